"""Masks as polygons: all parts and holes of an object in one closed line."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.masks import Mask

Points = npt.NDArray[np.int32]
"""N x 2: x and y of pixels."""

_MIN_POINTS = 3


def polygon_of(mask: Mask) -> Points:
    """Return the outline of a mask as one polygon.

    Its corners are pixels of the mask, and what is filled between them, the line included, is the mask. Further parts
    and holes are joined to it by lines there and back, which enclose nothing; those between parts add their own pixels.

    Args:
        mask: bool, H x W, not empty.

    Returns:
        N x 2, at least three points, of which some may be equal.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    lines: list[Points] = sorted(
        (np.asarray(each, np.int32).reshape(-1, 2) for each in contours), key=len, reverse=True
    )
    joined = lines[0]
    for line in lines[1:]:
        joined = _joined(joined, line)
    while len(joined) < _MIN_POINTS:
        joined = np.concatenate([joined, joined[-1:]])
    return joined


def filled(polygon: Points, height: int, width: int) -> Mask:
    """Return the pixels in and on a polygon, as programs draw it: bool, H x W."""
    drawn = cv2.fillPoly(np.zeros((height, width), np.uint8), [polygon], 1)
    return np.asarray(drawn, np.uint8).view(np.bool_)


def iou_of(polygon: Points, mask: Mask) -> float:
    """Return the IoU of a polygon with its mask, bool, H x W, not empty: 1 where nothing is lost."""
    drawn = filled(polygon, *mask.shape)
    return float((drawn & mask).sum() / (drawn | mask).sum())


def _joined(polygon: Points, line: Points) -> Points:
    """Go from the nearest point of a polygon to another closed line, around it, and back."""
    distances = ((polygon[:, None, :] - line[None, :, :]).astype(np.int64) ** 2).sum(axis=2)
    at, start = np.unravel_index(int(distances.argmin()), distances.shape)
    around = np.roll(line, -int(start), axis=0)
    return np.concatenate([polygon[: at + 1], around, around[:1], polygon[at:]])
