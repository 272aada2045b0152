"""PNG files of object ids: read fast, and only if they are whole."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from persam_vos.errors import DatasetError, reason
from persam_vos.metrics import LabelMap

_MAX_PACKED = 1 << 18  # bytes; a mask takes some kilobytes, and what this much unpacks to still fits into memory
_MAX_PIXELS = 1 << 26  # 8192 x 8192; a file that claims more is not a frame but a decompression bomb


def read_label_map(path: Path) -> LabelMap:
    """Read a palette or greyscale PNG as the values of its pixels: the palette's indices, not its colours.

    Returns:
        uint8, H x W; may be read-only.

    Raises:
        DatasetError: If the file is missing, not a PNG, damaged, or holds colours instead of ids.
    """
    try:
        data = path.read_bytes()
        labels = _unfiltered(*_png_parts(data))
        if labels is not None:
            return labels
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.mode in ("P", "L", "1"):
                return np.asarray(image).astype(np.uint8)
            mode = image.mode
    except (OSError, ValueError, SyntaxError, zlib.error, struct.error) as error:
        raise DatasetError(f"{path} cannot be read as PNG ({reason(error)})") from error
    raise DatasetError(f"{path} is a PNG of mode {mode}; allowed: palette (P) or 8-bit greyscale (L) with object ids")


def _png_parts(data: bytes) -> tuple[tuple[int, ...], bytes]:
    """Header fields and compressed pixels of a PNG that is whole; Pillow does not check the pixels' checksum."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError("it does not start like one")
    header, pixels, kind, start = b"", [], b"", 8
    while kind != b"IEND":
        if start + 12 > len(data):
            raise ValueError("it ends too early")
        length, kind = struct.unpack_from(">I4s", data, start)
        body, checksum = data[start + 8 : start + 8 + length], data[start + 8 + length : start + 12 + length]
        if checksum != zlib.crc32(body, zlib.crc32(kind)).to_bytes(4, "big"):
            raise ValueError("it ends too early" if len(checksum) < 4 else f"its {kind!r} has a wrong checksum")
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            pixels.append(body)
        start += 12 + length
    fields = struct.unpack(">IIBBBBB", header)
    if not 0 < fields[0] * fields[1] <= _MAX_PIXELS:
        raise ValueError(f"it claims {fields[1]} x {fields[0]} pixels; allowed: 1..{_MAX_PIXELS}")
    return fields, b"".join(pixels)


def _unfiltered(header: tuple[int, ...], pixels: bytes) -> LabelMap | None:
    """Pixels of an 8-bit PNG without row filters, as DAVIS and most tools write masks; None if it is not one.

    Takes less than half of Pillow's time, and reading is most of the work of scoring.
    """
    width, height, depth, colour, _, _, interlaced = header
    if depth != 8 or colour not in (0, 3) or interlaced or len(pixels) > _MAX_PACKED:
        return None
    size = height * (width + 1)  # each row starts with the number of its filter
    # Without zlib's header and checksum, which takes a sixth of the time: the chunk's checksum covers the same bytes.
    rows = np.frombuffer(zlib.decompress(pixels[2:-4], -zlib.MAX_WBITS, size), np.uint8)
    if rows.size != size or rows[:: width + 1].any():
        return None
    labels: LabelMap = rows.reshape(height, width + 1)[:, 1:]
    return labels
