"""Photos, references and helpers for tests of the commands on photos."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
from command_line import save
from pictures import scene
from PIL import Image

# Settings that make a run short.
FAST = "backend: torch\nprecision: float32\nbatch_size: 1\nmask_token: false\npasses: 1\ncolours: 0.0\n"
CAT, CUP = (60, 80), (300, 100)
SIZE = (270, 480)
SUFFIXES = {"masks": ".png", "overlays": ".jpg", "cutouts": ".png"}


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def records(output: Path) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]


def mask_of(output: Path, name: str) -> np.ndarray:
    with Image.open(output / "masks" / f"{name}.png") as picture:
        assert picture.mode == "P"
        return np.asarray(picture)


def image(given: Path, *sources: object) -> list[object]:
    return ["image", given / "reference.png", given / "mask.png", *sources, "--config", given / "fast.yaml"]


def claim(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    parts = [
        struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def spoilt(folder: Path) -> dict[str, str]:
    """Write files that are no photos; return what is wrong with each."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = save(folder / "cut.jpg", scene([CAT, CUP])[0]).read_bytes()
    for name, content in (
        ("cut.jpg", whole[: len(whole) // 2]),
        ("empty.jpg", b""),
        ("huge.png", claim(20_000, 20_000)),
        ("text.jpg", b"this is no photo"),
    ):
        (folder / name).write_bytes(content)
    return {
        "cut.jpg": "cannot be read",
        "empty.jpg": "the file is empty",
        "huge.png": "20000 x 20000 pixels, more than the limit of 100 megapixels; scale it down",
        "text.jpg": "not an image that can be read",
    }
