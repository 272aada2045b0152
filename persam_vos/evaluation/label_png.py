"""PNG files of object ids, or of one object: read fast, and only if they are whole."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from persam_vos.errors import DatasetError, reason
from persam_vos.evaluation.metrics import LabelMap, Mask

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_PACKED = 1 << 18  # bytes; a mask takes some kilobytes, and what this much unpacks to still fits into memory
_MAX_PIXELS = 1 << 26  # 8192 x 8192; a file that claims more is not a frame but a decompression bomb
_MAX_PALETTE = 3 * 256  # bytes
_GREY, _INDEXED = 0, 3  # colour types of one value a pixel


def read_png_label_map(path: Path) -> LabelMap:
    """Read a palette or greyscale PNG as the values of its pixels: the palette's indices, not its colours.

    Returns:
        uint8, H x W; may be read-only.

    Raises:
        DatasetError: If the file is missing, not a PNG, damaged, or holds colours instead of ids.
    """
    return _read(path, ("P", "L", "1"), "palette (P) or 8-bit greyscale (L) with object ids").values


def read_png_mask(path: Path) -> Mask:
    """Read a PNG of one object: greyscale, black and white, RGB or palette; what is not black is the object.

    Of a palette, index 0 is the background, unless it is a colour and another index in use is black: tools that make
    files smaller put the colours into an order of their own.

    Returns:
        bool, H x W.

    Raises:
        DatasetError: If the file is missing, not a PNG, damaged, or of another kind.
    """
    modes = ("P", "L", "1", "RGB")
    picture = _read(path, modes, "palette (P), 8-bit greyscale (L) or RGB, with the object on black")
    values = picture.values
    if picture.mode == "RGB":
        values = values[..., 0] | values[..., 1] | values[..., 2]
    elif picture.mode == "P":
        colours = np.zeros((256, 3), np.uint8)
        colours.reshape(-1)[: len(picture.palette)] = np.frombuffer(picture.palette, np.uint8)
        brightest = colours.max(axis=1)
        if brightest[0] and not brightest[values].all():
            values = brightest[values]
    mask: Mask = values != 0
    return mask


@dataclass(frozen=True, slots=True)
class _Picture:
    """A decoded PNG.

    Attributes:
        mode: Pillow's name for what its values mean.
        values: uint8, H x W, or H x W x 3 of mode RGB.
        palette: RGB, byte by byte, of the indices from 0; empty if it has none.
    """

    mode: str
    values: npt.NDArray[np.uint8]
    palette: bytes


def _read(path: Path, modes: tuple[str, ...], allowed: str) -> _Picture:
    try:
        parts = _take_apart(path.read_bytes())
        values = _unfiltered(parts.header, parts.pixels)
        if values is not None:
            return _Picture("P" if parts.header[3] == _INDEXED else "L", values, parts.palette)
        with Image.open(io.BytesIO(parts.file), formats=["PNG"]) as image:
            mode = image.mode
            if mode in modes:
                return _Picture(mode, np.asarray(image, dtype=np.uint8), parts.palette)
    except (OSError, ValueError, SyntaxError, zlib.error, struct.error) as error:
        raise DatasetError(f"{path} cannot be read as PNG ({reason(error)})") from error
    raise DatasetError(f"{path} is a PNG of mode {mode}; allowed: {allowed}")


@dataclass(frozen=True, slots=True)
class _Parts:
    """A PNG taken apart.

    Attributes:
        header: Width, height, depth, colour type, compression, filter, interlacing.
        palette: RGB, byte by byte; empty if there is none.
        pixels: Compressed.
        file: A PNG of these alone: what else a file may hold is no part of a mask, and Pillow trips over some of it.
    """

    header: tuple[int, ...]
    palette: bytes
    pixels: bytes
    file: bytes


def _take_apart(data: bytes) -> _Parts:
    """Take a PNG apart if it is whole; Pillow does not check the pixels' checksum."""
    if not data.startswith(_SIGNATURE):
        raise ValueError("it does not start like one")
    bodies: dict[bytes, list[bytes]] = {kind: [] for kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND")}
    chunks, start = [_SIGNATURE], len(_SIGNATURE)
    while not bodies[b"IEND"]:
        if start + 12 > len(data):
            raise ValueError("it ends too early")
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        body, checksum = data[start + 8 : end - 4], data[end - 4 : end]
        if checksum != zlib.crc32(body, zlib.crc32(kind)).to_bytes(4, "big"):
            raise ValueError("it ends too early" if len(checksum) < 4 else f"its {kind!r} has a wrong checksum")
        if kind in bodies:
            bodies[kind].append(body)
            chunks.append(data[start:end])
        start = end
    if len(bodies[b"IHDR"]) != 1:  # of two, Pillow may go by another one than is checked here
        raise ValueError(f"it has {len(bodies[b'IHDR'])} headers")
    header = struct.unpack(">IIBBBBB", bodies[b"IHDR"][0])
    if not 0 < header[0] * header[1] <= _MAX_PIXELS:
        raise ValueError(f"it claims {header[1]} x {header[0]} pixels; allowed: 1..{_MAX_PIXELS}")
    palette = b"".join(bodies[b"PLTE"][:1])[:_MAX_PALETTE]
    return _Parts(header, palette, b"".join(bodies[b"IDAT"]), b"".join(chunks))


def _unfiltered(header: tuple[int, ...], pixels: bytes) -> LabelMap | None:
    """Pixels of an 8-bit PNG without row filters, as DAVIS and most tools write masks; None if it is not one.

    Takes less than half of Pillow's time, and reading is most of the work of scoring.
    """
    width, height, depth, colour, _, _, interlaced = header
    if depth != 8 or colour not in (_GREY, _INDEXED) or interlaced or len(pixels) > _MAX_PACKED:
        return None
    size = height * (width + 1)  # each row starts with the number of its filter
    # Without zlib's header and checksum, which takes a sixth of the time: the chunk's checksum covers the same bytes.
    rows = np.frombuffer(zlib.decompress(pixels[2:-4], -zlib.MAX_WBITS, size), np.uint8)
    if rows.size != size or rows[:: width + 1].any():
        return None
    labels: LabelMap = rows.reshape(height, width + 1)[:, 1:]
    return labels
