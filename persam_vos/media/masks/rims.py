"""Values of a mask that are no objects: levels between two values, which smoothing or resizing leaves along edges."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.masks import VOID, Mask
from persam_vos.media.masks.pictures import distinct

Values = npt.NDArray[np.integer[Any]]

# Grey levels of a smoothed edge form thin rings. A label map's objects do not.
_THIN_LEVELS_SHARE = 0.5
_THIN_LEVELS_SHARE_WITHOUT_WHITE = 0.8
_MIN_LEVELS_WITHOUT_WHITE = 17
# A rim is at most twice as wide as this share of the frame's longer side, in pixels, and runs along so much of an
# object's edge.
_RIM_SHARE, _MIN_RIM_RADIUS = 1 / 400, 2
_ALONG = 0.9
# What takes more than some seconds is not looked for: boxes of objects of so many pixels in all, and so many objects.
_MOST_PIXELS, _MOST_ENCLOSED = 1 << 28, 32


def is_soft(values: Values) -> bool:
    """Tell whether values, H x W, are the ramp of a smoothed edge: many levels, none of which has a body of its own."""
    ids = distinct(values)
    if ids.size < 2 or ids[0] < 0 or ids[-1] > VOID:
        return False
    if ids[-1] != VOID:
        # Smoothing leaves full white somewhere, unless the shape is as thin as its edge.
        many = ids.size >= _MIN_LEVELS_WITHOUT_WHITE
        return bool(many and _share_of_thin_levels(values, ids) > _THIN_LEVELS_SHARE_WITHOUT_WHITE)
    return _share_of_thin_levels(values, ids[:-1]) > _THIN_LEVELS_SHARE


def rim_ids(values: Values) -> tuple[list[int], list[int]]:
    """Find the ids of a label map that are rims of others: what interpolation leaves where a label map is resized.

    Args:
        values: H x W, of which 0 is ground.

    Returns:
        The ids that are rims, and those that have a body, both in rising order. An id with a body is a rim as well if
        it also surrounds another object. No rims if no object is surrounded by thin parts of others.
    """
    from scipy.ndimage import find_objects  # takes a while to import, and few runs need it

    found = distinct(values)
    if found.size and found[-1] > VOID:  # no label map, and perhaps of thousands of levels
        return [], []
    ids = found[found != VOID].tolist()
    kernel = np.ones((2 * max(_MIN_RIM_RADIUS, round(_RIM_SHARE * max(values.shape))) + 1,) * 2, np.uint8)
    boxes = {each: _grown(box) for each, box in enumerate(find_objects(values, VOID), start=1) if each in ids}
    if sum(values[box].size for box in boxes.values()) > _MOST_PIXELS:
        return [], []
    solid, thin = [], np.zeros(values.shape, np.bool_)
    for each, box in boxes.items():
        mask = values[box] == each
        body = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0
        solid += [each] if body.any() else []
        thin[box] |= mask & ~body
    rims: set[int] = set()
    for each in [each for each in solid if _is_enclosed(values[boxes[each]] == each, thin[boxes[each]])][
        :_MOST_ENCLOSED
    ]:
        rims |= _around(values, thin & (values != each), values == each, kernel)
    return sorted(rims), solid


def _grown(box: tuple[slice, ...]) -> tuple[slice, ...]:
    """Return a box with two more pixels at each side, as far as the frame goes."""
    return tuple(slice(max(each.start - 2, 0), each.stop + 2) for each in box)


def _edge(mask: Mask) -> Mask:
    """Return the outermost pixels of an object, bool, H x W."""
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    # Beyond the frame, OpenCV takes everything for the object: its edge there is none.
    edge: Mask = mask & ~(cv2.erode(mask.astype(np.uint8), cross) > 0)
    return edge


def _is_enclosed(mask: Mask, thin: Mask) -> bool:
    """Tell whether thin parts of others run along most of an object's edge; both bool, H x W."""
    edge = _edge(mask)
    near = cv2.dilate((thin & ~mask).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return bool(edge.any() and (edge & near).sum() >= _ALONG * edge.sum())


def _around(values: Values, thin: Mask, mask: Mask, kernel: npt.NDArray[np.uint8]) -> set[int]:
    """Return the ids of the thin parts that run along an object's edge.

    Args:
        values: H x W.
        thin: bool, H x W: parts of other objects that are no wider than ``kernel``.
        mask: bool, H x W: the object.
        kernel: Square of ones.
    """
    edge = _edge(mask)
    beside = cv2.dilate(edge.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    _, pieces = cv2.connectedComponents(thin.astype(np.uint8), connectivity=8)
    close = cv2.dilate(edge.astype(np.uint8), kernel, iterations=2) > 0
    return set(np.unique(values[thin & close & np.isin(pieces, pieces[thin & beside])]).tolist())


def _share_of_thin_levels(values: Values, ids: npt.NDArray[np.integer[Any]]) -> float:
    """Return the share of the levels whose region vanishes when it is eroded by one pixel."""
    middle = values[1:-1, 1:-1]
    inner = np.ones(middle.shape, np.bool_)
    for beside in (values[:-2, 1:-1], values[2:, 1:-1], values[1:-1, :-2], values[1:-1, 2:]):
        inner &= middle == beside
    return 1 - float(np.isin(ids, np.unique(middle[inner])).sum()) / len(ids)
