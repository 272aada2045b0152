"""PNG files -> label maps or masks; fast, because reading is most of the work of scoring, and strict.

A file must be whole: the checksum of every chunk is compared, which Pillow does not do for pixels.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from persam_vos.errors import DatasetError, reason
from persam_vos.masks import LabelMap, Mask

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_PACKED_BYTES = 1 << 18  # a mask takes some kilobytes; 256 KiB unpack to at most 256 MiB
_MAX_PIXELS = 1 << 26  # 8192 x 8192; a file that claims more is a decompression bomb
_MAX_PALETTE_BYTES = 3 * 256
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
    """Read a PNG of one object: greyscale, black and white, RGB or palette. Every pixel that is not black is object.

    In a palette, index 0 is background. The exception is a palette whose index 0 is a colour while another index in
    use is black, as written by tools that sort palettes to make files smaller: there, black is background.

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
        brightness = colours.max(axis=1)
        if brightness[0] and not brightness[values].all():
            values = brightness[values]
    mask: Mask = values != 0
    return mask


@dataclass(frozen=True, slots=True)
class _Picture:
    """A decoded PNG.

    Attributes:
        mode: Pillow's name of the kind of values.
        values: uint8, H x W; H x W x 3 in mode RGB.
        palette: R, G and B of the indices from 0 on, a byte each; empty without a palette.
    """

    mode: str
    values: npt.NDArray[np.uint8]
    palette: bytes


def _read(path: Path, modes: tuple[str, ...], allowed: str) -> _Picture:
    """Decode a PNG: the usual kind here, all others by Pillow."""
    try:
        png = _parse(path.read_bytes())
        values = _unfiltered_pixels(png)
        if values is not None:
            return _Picture("P" if png.colour_type == _INDEXED else "L", values, png.palette)
        with Image.open(io.BytesIO(png.essence), formats=["PNG"]) as image:
            mode = image.mode
            if mode in modes:
                return _Picture(mode, np.asarray(image, dtype=np.uint8), png.palette)
    except (OSError, ValueError, SyntaxError, zlib.error, struct.error) as error:
        raise DatasetError(f"{path} cannot be read as PNG ({reason(error)})") from error
    raise DatasetError(f"{path} is a PNG of mode {mode}; allowed: {allowed}")


@dataclass(frozen=True, slots=True)
class _Png:
    """The parts of a PNG that make a mask.

    Attributes:
        width: Pixels.
        height: Pixels.
        depth: Bits a value.
        colour_type: As the PNG specification numbers them.
        interlaced: Whether rows come in several passes.
        palette: R, G and B of the indices from 0 on, a byte each; empty without a palette.
        packed: The pixels, compressed by zlib.
        essence: A PNG file of header, palette and pixels alone. Pillow fails on some other chunks, such as damaged
            text, that do not matter here.
    """

    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: bool
    palette: bytes
    packed: bytes
    essence: bytes


def _parse(data: bytes) -> _Png:
    """Take a PNG file apart; ``ValueError`` if it is not whole or claims too many pixels."""
    chunks = [chunk for chunk in _chunks(data) if chunk[4:8] in (b"IHDR", b"PLTE", b"IDAT", b"IEND")]
    headers, palettes, pixels = (
        [chunk[8:-4] for chunk in chunks if chunk[4:8] == kind] for kind in (b"IHDR", b"PLTE", b"IDAT")
    )
    if len(headers) != 1:  # Pillow might take the size from another header than the one checked here
        raise ValueError(f"it has {len(headers)} headers")
    width, height, depth, colour_type, _, _, interlaced = struct.unpack(">IIBBBBB", headers[0])
    if not 0 < width * height <= _MAX_PIXELS:
        raise ValueError(f"it claims {height} x {width} pixels; allowed: 1..{_MAX_PIXELS}")
    palette = palettes[0][:_MAX_PALETTE_BYTES] if palettes else b""
    essence = _SIGNATURE + b"".join(chunks)
    return _Png(width, height, depth, colour_type, bool(interlaced), palette, b"".join(pixels), essence)


def _chunks(data: bytes) -> Iterator[bytes]:
    """Yield the chunks of a PNG file up to its end mark, each as length, kind, body and checksum.

    Raises:
        ValueError: If a chunk is cut off or its checksum is wrong.
    """
    if not data.startswith(_SIGNATURE):
        raise ValueError("it does not start like one")
    start, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        if start + 12 > len(data):
            raise ValueError("it ends too early")
        length, kind = struct.unpack_from(">I4s", data, start)
        chunk = data[start : start + 12 + length]
        if len(chunk) < 12 + length:
            raise ValueError("it ends too early")
        if zlib.crc32(chunk[4:-4]).to_bytes(4, "big") != chunk[-4:]:
            raise ValueError(f"its {kind!r} has a wrong checksum")
        yield chunk
        start += len(chunk)


def _unfiltered_pixels(png: _Png) -> LabelMap | None:
    """Unpack an 8-bit PNG without row filters, the kind that DAVIS and most tools write; None if it is another kind.

    Takes a third of Pillow's time.
    """
    one_value = png.depth == 8 and png.colour_type in (_GREY, _INDEXED)
    if not one_value or png.interlaced or len(png.packed) > _MAX_PACKED_BYTES:
        return None
    size = png.height * (png.width + 1)  # each row starts with the number of its filter
    # Skips zlib's header and checksum, which saves a sixth of the time: the chunk's checksum covers the same bytes.
    rows = np.frombuffer(zlib.decompress(png.packed[2:-4], -zlib.MAX_WBITS, size), np.uint8)
    if rows.size != size or rows[:: png.width + 1].any():
        return None
    labels: LabelMap = rows.reshape(png.height, png.width + 1)[:, 1:]
    return labels
