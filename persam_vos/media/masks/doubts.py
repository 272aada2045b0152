"""What is doubtful about a mask that was read: whether it shows what was meant."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.masks import VOID, LabelMap, Mask, interior_depth
from persam_vos.media.masks.pictures import distinct

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
# Void that is an object by mistake has a body; that between objects is a line. In pixels.
_MAX_VOID_DEPTH = 4.0
# Sizes that are rounded to whole pixels differ by less than this share.
_SAME_SHAPE = 0.02


def void_warnings(values: npt.NDArray[Any]) -> tuple[str, ...]:
    """Return a warning where a body of white, 255, beside other values was probably meant as an object.

    Args:
        values: Of a mask, H x W, of any dtype; bool or a single value besides 0 has no void.
    """
    found, void = distinct(values), values == VOID
    others = found[found != VOID]
    if not others.size or not void.any() or interior_depth(void).max() <= _MAX_VOID_DEPTH:
        return ()
    return (
        f"white, 255, is void beside other values ({others[0]} here): its {int(void.sum())} pixels belong to no object;"
        " if they are one, give it a number from 1 to 254",
    )


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
                "mask inverted? --invert-mask takes what is not painted"
            )
        elif _in_far_pieces(mask):
            warnings.append(f"object {object_id} has pieces far apart in its mask: give each thing its own number")
    return tuple(warnings)


def stretch_warnings(size: tuple[int, int], frame: tuple[int, int], of: str) -> tuple[str, ...]:
    """Return a warning where a mask is scaled to a frame of another shape.

    Args:
        size: (height, width) of the mask.
        frame: (height, width) of the frame.
        of: Noun for the frame or photo.
    """
    (rows, columns), (height, width) = size, frame
    most = max(_SAME_SHAPE * columns * height, columns, height)
    if abs(columns * height - width * rows) <= most:
        return ()
    return (
        f"the mask is {rows} x {columns}, the {of} {height} x {width} (height x width): it has another shape, and is"
        " stretched; look at the first mask that is written",
    )


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
