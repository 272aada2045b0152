"""Ways to damage a PNG, or to make it hostile."""

from __future__ import annotations

import zlib
from pathlib import Path


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_bit(path: Path) -> None:
    """Change one bit of the compressed pixels, so that their checksum is wrong."""
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 20] ^= 1
    path.write_bytes(data)


def claim_huge(path: Path) -> None:
    """Claim 65536 x 65536 pixels under a right checksum."""
    path.write_bytes(_huge(path.read_bytes()))


def add_second_header(path: Path) -> None:
    """Put a header of a huge picture first, and leave the true one behind it."""
    data = path.read_bytes()
    path.write_bytes(_huge(data)[:33] + data[8:])


def _huge(png: bytes) -> bytes:
    data = bytearray(png)
    data[16:24] = b"\x00\x01\x00\x00" * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)
