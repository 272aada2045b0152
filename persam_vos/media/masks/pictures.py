"""The values that the pixels of a mask's picture stand for: of palettes, grey levels, colours and alpha channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from persam_vos.errors import MaskError

Values = npt.NDArray[np.integer[Any]]

_WHITE = 0xFFFFFF
_PIXELS_AT_ONCE = 1 << 24
_BLURRING_FORMATS = ("JPEG", "MPO")
_MAX_LEVELS_OF_ONE = 2
_VALUE_MODES = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B")
# A photo that is cut out has more colours, shapes that are painted have fewer.
_MAX_PAINTED_COLOURS = 16
_SEVERAL_COLOURS = (
    "save it as a palette or greyscale PNG where object n has value n, or pass --mask-threshold for one soft mask, in"
    " Python read_mask(..., threshold=127)"
)


def brightness(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Return how much each pixel of a soft mask belongs to its object: uint8, H x W.

    That is the alpha channel of a picture that has one, and else, or if only black and white are painted, brightness.
    """
    grey = np.asarray(picture.convert("L"))
    if not picture.has_transparency_data:
        return grey
    alpha = np.asarray(picture.convert("RGBA"))[..., 3]
    if alpha.min() == alpha.max():
        return grey
    seen = np.unique(grey[alpha > 0])
    return np.minimum(grey, alpha) if seen.size == 2 and (seen == (0, 255)).all() else alpha


def picture_values(path: Path, picture: Image.Image, doubts: list[str]) -> Values:
    """Return the value of each pixel of a decoded picture, H x W: 0 is ground.

    Args:
        path: The file, for messages.
        picture: The picture.
        doubts: Gets a line about what was perhaps meant otherwise.

    Raises:
        MaskError: If the format blurs values, or they are colours or transparency of which no object can be told.
    """
    _refuse_blurred(path, picture)
    if picture.mode not in _VALUE_MODES:
        is_plain = picture.mode == "RGBA" or (picture.mode == "RGB" and not picture.has_transparency_data)
        return _values_of_colours(path, picture if is_plain else picture.convert("RGBA"))
    if picture.mode != "P":
        values = np.asarray(picture)
        return values.view(np.uint8) if values.dtype == np.bool_ else values
    if _is_black_and_white(picture):
        return np.asarray(picture.convert("L"))
    return _values_of_palette(picture, doubts)


def distinct(values: npt.NDArray[Any], where: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[Any]:
    """Return the values besides 0 that occur, in rising order, with little memory of their own.

    Args:
        values: H x W.
        where: bool, H x W: the pixels that count; None for all.
    """
    found = np.zeros(0, values.dtype)
    rows = max(_PIXELS_AT_ONCE // max(values.shape[1], 1), 1)
    for top in range(0, len(values), rows):
        part = values[top : top + rows] if where is None else values[top : top + rows][where[top : top + rows]]
        # NumPy sorts, or hashes, what it could count.
        own = np.flatnonzero(np.bincount(part.ravel())) if values.dtype == np.uint8 else part
        found = np.union1d(found, own.astype(values.dtype))
    besides: npt.NDArray[Any] = found[found != 0]
    return besides


def _refuse_blurred(path: Path, picture: Image.Image) -> None:
    """Raise ``MaskError`` for a format that loses the exact values, where it shows."""
    levels = np.unique(np.asarray(picture.convert("L"))).size if picture.format in _BLURRING_FORMATS else 0
    if levels > _MAX_LEVELS_OF_ONE:
        raise MaskError(
            f"{path}: is a JPEG, which blurs a mask's values ({levels} grey levels); save it as PNG, or pass "
            "--mask-threshold 127 for one object, in Python read_mask(..., threshold=127)"
        )


def _is_black_and_white(picture: Image.Image) -> bool:
    """Tell a black and white picture, whose palette may begin with white, from a label map."""
    colours = picture.convert("RGB").getcolors(2)
    return {colour for _, colour in colours or ()} == {(0, 0, 0), (255, 255, 255)}


def _values_of_palette(picture: Image.Image, doubts: list[str]) -> Values:
    """Return the indices of a palette picture, with that of the ground exchanged for 0."""
    indices: Values = np.array(picture)
    used = np.unique(indices).tolist()
    if transparent := [index for index in used if index in _transparent_indices(picture)]:
        ground = transparent[0]
        indices[np.isin(indices, transparent)] = ground
    else:
        ground = _ground(indices, used, _palette(picture))
    if ground == 0:
        return indices
    is_object = indices == 0
    indices[indices == ground] = 0
    indices[is_object] = ground
    if is_object.any():
        doubts.append(
            f"index 0 of its palette is not the ground: index {ground} is taken for that, and what is painted with"
            f" index 0 is object {ground}"
        )
    return indices


def _palette(picture: Image.Image) -> npt.NDArray[np.int64]:
    """Return a palette's colours, N x 3; an index beyond it is black."""
    palette = np.zeros((256, 3), np.int64)
    given = np.asarray(picture.getpalette() or (), np.int64).reshape(-1, 3)
    palette[: len(given)] = given[:256]
    return palette


def _transparent_indices(picture: Image.Image) -> list[int]:
    """Return the indices of a palette that are fully transparent; none if all are, or none is."""
    alpha = picture.info.get("transparency")
    if isinstance(alpha, int):
        return [alpha]
    return [index for index, value in enumerate(alpha or b"") if value == 0]


def _ground(indices: Values, used: list[int], palette: npt.NDArray[np.int64]) -> int:
    """Return the index of the ground: 0, unless that is a colour, and another index is black or lies at the edges.

    Args:
        indices: H x W.
        used: Those that occur.
        palette: RGB of each index, N x 3.
    """
    is_black = [index for index in used if not palette[index].any()]
    if 0 in is_black or (not palette[0].any() and not is_black):
        return 0
    edges = np.concatenate([indices[0], indices[-1], indices[:, 0], indices[:, -1]])
    at_edges = int(np.bincount(edges).argmax())
    most = (edges == at_edges).mean() > 0.5
    if is_black:
        return 0 if most and at_edges == 0 else is_black[0]
    return at_edges if most else 0


def _values_of_colours(path: Path, picture: Image.Image) -> Values:
    pixels = np.asarray(picture)
    colours = pixels[..., 0].astype(np.uint32)
    for channel in (pixels[..., 1], pixels[..., 2]):
        colours <<= 8
        colours |= channel
    if pixels.shape[2] == 4 and (alpha := pixels[..., 3]).min() < alpha.max():
        return _values_of_cutout(path, alpha, colours)
    if (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all():
        grey: Values = pixels[..., 0]
        return grey
    found = distinct(colours)
    if found.size > 1:
        raise MaskError(f"{path}: {found.size} colours besides black; {_SEVERAL_COLOURS}")
    coloured: Values = (colours > 0).view(np.uint8)
    return coloured


def _values_of_cutout(path: Path, alpha: npt.NDArray[Any], colours: npt.NDArray[Any]) -> Values:
    """Return the one object of a picture that is partly transparent: what is opaque, or painted on opaque black."""
    if np.unique(alpha).size > 2:
        raise MaskError(
            f"{path}: its alpha channel is soft; pass --mask-threshold 127 to cut it, in Python read_mask(...,"
            " threshold=127), or save it without smoothing"
        )
    seen = distinct(colours, alpha > 0)
    if seen.size == 1 and (colours[alpha > 0] == 0).any() and (alpha.min() > 0 or seen[0] == _WHITE):
        painted: Values = ((colours > 0) & (alpha > 0)).view(np.uint8)
        return painted
    opaque: npt.NDArray[np.bool_] = alpha == alpha.max()
    shown = np.unique(colours[opaque])
    if 1 < shown.size <= _MAX_PAINTED_COLOURS:
        raise MaskError(f"{path}: {shown.size} colours on a transparent ground; {_SEVERAL_COLOURS}")
    return opaque.view(np.uint8)
