"""A mask file becomes a label map, or is refused with the reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from persam_vos.errors import MaskError, MaskSizeError, SettingsError
from persam_vos.files import PathLike
from persam_vos.masks import VOID, LabelMap, Mask, Rgb, as_label_map, interior_depth
from persam_vos.media.frame import Frame
from persam_vos.quiet import quiet_warnings

# An object of a larger share of the frame leaves too little background to tell it from.
_MAX_AREA_SHARE = 0.95
# An object of fewer cells leaves too little to recognise it by. A cell is 1 / 64 of the frame's longer side.
_MIN_AREA_CELLS = 0.25
_CELLS_PER_SIDE = 64
# A mask of a larger share of the frame that also touches all four edges shows what is around an object.
_INVERTED_AREA_SHARE = 0.5
# Pieces of so much of an object's largest one, farther from it than this in square roots of the object's area, are
# two things: parts of one thing on both sides of what hides it lie closer.
_PIECE_SHARE, _PIECE_DISTANCE = 0.25, 1.2
# Grey levels of a smoothed edge form thin rings. A label map's objects do not.
_THIN_LEVELS_SHARE = 0.5
_THIN_LEVELS_SHARE_WITHOUT_WHITE = 0.8
_MIN_LEVELS_WITHOUT_WHITE = 17
# Void that is an object by mistake has a body; that between objects is a line. In pixels.
_MAX_VOID_DEPTH = 4.0
_WHITE = 0xFFFFFF
_BLURRING_FORMATS = ("JPEG", "MPO")
_MAX_LEVELS_OF_ONE = 2


def read_mask(
    path: PathLike,
    *,
    like: Frame | Rgb | None = None,
    height: int | None = None,
    width: int | None = None,
    resize: bool = False,
    threshold: int | None = None,
    of: str = "video",
    doubts: list[str] | None = None,
) -> LabelMap:
    """Read the mask, or label map, of one frame or photo.

    A palette or greyscale picture holds object n as value n, unless all its colours are black and white; a picture of
    one single value besides 0 (255, say) is one object; 255 beside other values is void and becomes background, as in
    DAVIS. A colour picture of one colour on black, or with one flat shape in its alpha channel, is one object; where
    one colour is painted on opaque black, its alpha does not matter.

    Args:
        path: PNG or any other picture Pillow reads; EXIF orientation is not applied.
        like: The frame, or its pixels: its size is the mask's. Without it, and without ``height`` and ``width``, a
            mask of any size is read.
        height: Of the frame, in pixels, instead of ``like``.
        width: Of the frame, in pixels, instead of ``like``.
        resize: Scale a mask of another size (nearest neighbour) instead of refusing it, before it is decoded.
        threshold: Take the picture as one soft mask: brightness above this, 0..254, is object 1.
        of: Noun for the frame or photo in messages.
        doubts: Gets a line about what was perhaps meant otherwise.

    Returns:
        uint8, H x W, with at least one object.

    Raises:
        SettingsError: If one of ``height`` and ``width`` is given without the other.
        MaskError: If the file is no mask: unreadable, anti-aliased, of several colours, or of ids over 254.
        MaskSizeError: If it is of another size and ``resize`` is off.
        EmptyMaskError: If it holds no object.

    >>> from persam_vos import demo_clip
    >>> read_mask(demo_clip().mask).shape
    (360, 640)
    """
    path = Path(path)
    size = _size(like, height, width)
    values = _read_values(path, threshold, None if resize else size, of)
    if size is not None and values.shape != size:
        scaled = Image.fromarray(values.astype(np.int32)).resize(size[::-1], Image.Resampling.NEAREST)
        values = np.asarray(scaled)
    label_map = _to_label_map(path, values, of)
    if doubts is not None:
        doubts += void_warnings(values)
    return label_map


def void_warnings(values: npt.NDArray[Any]) -> tuple[str, ...]:
    """Return a warning where a body of white, 255, beside other values was probably meant as an object.

    Args:
        values: Of a mask, H x W, of any dtype; bool or a single value besides 0 has no void.
    """
    void = values == VOID
    others = np.unique(values[(values != 0) & ~void])
    if not others.size or not void.any() or interior_depth(void).max() <= _MAX_VOID_DEPTH:
        return ()
    return (
        f"white, 255, is void beside other values ({others[0]} here): its {int(void.sum())} pixels belong to no object;"
        " if they are one, give it a number from 1 to 254",
    )


def as_mask(mask: PathLike | npt.ArrayLike, height: int, width: int, *, of: str) -> LabelMap:
    """Return the label map of a frame or photo, given as a path or as an array.

    Args:
        mask: See ``read_mask`` for a path, ``as_label_map`` for an array.
        height: Of the frame, in pixels.
        width: Of the frame, in pixels.
        of: Noun for the frame or photo in messages.

    Returns:
        uint8, H x W, with at least one object.

    Raises:
        MaskError: See there.
    """
    if isinstance(mask, (str, os.PathLike)):
        return read_mask(mask, height=height, width=width, of=of)
    return as_label_map(mask, height, width, of=of)


def _size(like: Frame | Rgb | None, height: int | None, width: int | None) -> tuple[int, int] | None:
    if like is not None:
        height, width = (like.rgb if isinstance(like, Frame) else like).shape[:2]
    if height is not None and width is not None:
        return height, width
    if height is not None or width is not None:
        given, missing = ("width", "height") if height is None else ("height", "width")
        raise SettingsError(f"{given} is given without {missing}; give both, or neither to read a mask of any size")
    return None


def annotation_warnings(label_map: LabelMap, *, drawn: bool = True, of: str = "the first frame") -> tuple[str, ...]:
    """Return a warning for each object that can hardly be followed, or whose mask does not look like one thing.

    Args:
        label_map: uint8, H x W.
        drawn: Whether somebody drew the mask, and can draw it better; a mask that was found may look like anything.
        of: What messages call the frame.
    """
    min_area = _MIN_AREA_CELLS * (max(label_map.shape) / _CELLS_PER_SIDE) ** 2
    warnings = []
    for object_id in np.unique(label_map[label_map > 0]).tolist():
        mask = label_map == object_id
        area, share = int(mask.sum()), float(mask.mean())
        few, many = area < min_area, share > _MAX_AREA_SHARE
        if few or many:
            why = "few to recognise it by" if few else "many to be told from the rest"
            warnings.append(f"object {object_id} has {area} of {of}'s {mask.size} pixels: too {why}")
        elif not drawn:
            continue
        elif share > _INVERTED_AREA_SHARE and all(side.any() for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1])):
            warnings.append(
                f"object {object_id} covers {100 * share:.0f}% of {of} and touches all four edges: is its "
                "mask inverted?"
            )
        elif _in_far_pieces(mask):
            warnings.append(f"object {object_id} has pieces far apart in its mask: give each thing its own number")
    return tuple(warnings)


def _in_far_pieces(mask: Mask) -> bool:
    """Tell whether a mask, bool H x W, has large pieces far from its largest one."""
    bits, area = mask.astype(np.uint8), int(mask.sum())
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(bits, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    largest = 1 + int(areas[1:].argmax())
    large = [k for k in range(1, count) if k != largest and areas[k] >= _PIECE_SHARE * areas[largest]]
    if not large:
        return False
    away = cv2.distanceTransform((pieces != largest).astype(np.uint8), cv2.DIST_L2, 5)
    return any(float(away[pieces == k].min()) > _PIECE_DISTANCE * area**0.5 for k in large)


def _read_values(path: Path, threshold: int | None, size: tuple[int, int] | None, of: str) -> npt.NDArray[np.int64]:
    """Read a picture's values, H x W; its size must be ``size``, (height, width), unless that is None."""
    if path.exists() and not path.is_file():
        raise MaskError(f"{path}: is no file; give a PNG of the {of}'s size")
    try:
        # Pillow warns of large pictures; their size is checked here.
        with quiet_warnings(Image.DecompressionBombWarning):
            picture = Image.open(path)
        with picture:
            if size is not None and picture.size[::-1] != size:
                (height, width), (rows, columns) = picture.size[::-1], size
                raise MaskSizeError(
                    f"{path}: mask is {height} x {width}, {of} is {rows} x {columns} (height x width); pass "
                    "--resize-mask to scale it, in Python read_mask(..., resize=True)"
                )
            picture.load()
            if threshold is not None:
                return (np.asarray(picture.convert("L")) > threshold).astype(np.int64)
            _refuse_blurred(path, picture)
            if picture.mode not in ("1", "L", "P", "I", "I;16", "I;16L", "I;16B"):
                return _values_of_colours(path, picture.convert("RGBA"))
            colours = picture.mode == "P" and _is_black_and_white(picture)
            values: npt.NDArray[np.int64] = np.asarray(picture.convert("L") if colours else picture).astype(np.int64)
            return values
    except MaskError:
        raise
    except FileNotFoundError:
        raise MaskError(f"{path}: no such file; give a mask, a PNG of the {of}'s size") from None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
        raise MaskError(f"{path}: not a readable picture ({error}); give a PNG of the {of}'s size") from error


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


def _values_of_colours(path: Path, picture: Image.Image) -> npt.NDArray[np.int64]:
    rgba = np.asarray(picture).astype(np.int64)
    alpha = rgba[..., 3]
    colours = rgba[..., 0] << 16 | rgba[..., 1] << 8 | rgba[..., 2]
    if alpha.min() < alpha.max():
        if np.unique(alpha).size > 2:
            raise MaskError(
                f"{path}: its alpha channel is soft; save it without smoothing, or as a black and white mask"
            )
        seen = np.unique(colours[alpha > 0])
        if seen.size == 2 and seen[0] == 0 and (alpha.min() > 0 or seen[1] == _WHITE):
            painted: npt.NDArray[np.int64] = ((colours > 0) & (alpha > 0)).astype(np.int64)
            return painted
        opaque: npt.NDArray[np.int64] = (alpha == alpha.max()).astype(np.int64)
        return opaque
    if (rgba[..., 0] == rgba[..., 1]).all() and (rgba[..., 1] == rgba[..., 2]).all():
        grey: npt.NDArray[np.int64] = rgba[..., 0]
        return grey
    found = np.unique(colours[colours > 0])
    if found.size > 1:
        raise MaskError(
            f"{path}: {found.size} colours besides black; save it as a palette or greyscale PNG where object n has "
            "value n, or pass --mask-threshold for one soft mask, in Python read_mask(..., threshold=127)"
        )
    coloured: npt.NDArray[np.int64] = (colours > 0).astype(np.int64)
    return coloured


def _to_label_map(path: Path, values: npt.NDArray[np.int64], of: str) -> LabelMap:
    ids = np.unique(values[values != 0])
    height, width = values.shape
    if ids.size == 1 and not 0 < ids[0] <= VOID:
        # White of a picture of more than 8 bits.
        return as_label_map(values != 0, height, width, name=f"{path}: mask", of=of)
    if ids.size > 1 and ids[0] > 0 and ids[-1] <= VOID and _is_soft(values, ids):
        raise MaskError(
            f"{path}: looks like an anti-aliased mask ({ids.size} grey levels along the edges of white), not a label "
            "map; pass --mask-threshold 127 to cut it, in Python read_mask(..., threshold=127), or save it without "
            "smoothing"
        )
    return as_label_map(values, height, width, name=f"{path}: mask", of=of)


def _is_soft(values: npt.NDArray[np.int64], ids: npt.NDArray[np.int64]) -> bool:
    """Tell whether values are the ramp of a smoothed edge: many levels, none of which has a body of its own."""
    if ids.size < 2 or ids[-1] != VOID:
        # Smoothing leaves full white somewhere, unless the shape is as thin as its edge.
        many = ids.size >= _MIN_LEVELS_WITHOUT_WHITE
        return bool(many and _share_of_thin_levels(values, ids) > _THIN_LEVELS_SHARE_WITHOUT_WHITE)
    return _share_of_thin_levels(values, ids[:-1]) > _THIN_LEVELS_SHARE


def _share_of_thin_levels(values: npt.NDArray[np.int64], ids: npt.NDArray[np.int64]) -> float:
    """Return the share of the levels whose region vanishes when it is eroded by one pixel."""
    thin = 0
    for level in ids.tolist():
        region = values == level
        inner = region[1:-1, 1:-1] & region[:-2, 1:-1] & region[2:, 1:-1] & region[1:-1, :-2] & region[1:-1, 2:]
        thin += not inner.any()
    return thin / len(ids)
