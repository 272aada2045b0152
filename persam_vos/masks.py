"""A frame of video, and the geometry between its pixels and the model's square input."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.errors import EmptyMaskError, MaskSizeError

Rgb = npt.NDArray[np.uint8]
LabelMap = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
MAX_OBJECT_ID = 254
VOID = 255


def check_size(label_map: LabelMap, rgb: Rgb, name: str) -> None:
    """Raise ``MaskSizeError`` unless a label map has the size of the picture of that name."""
    if label_map.shape != rgb.shape[:2]:
        (height, width), (rows, columns) = label_map.shape, rgb.shape[:2]
        raise MaskSizeError(f"label map is {height} x {width}, {name} is {rows} x {columns}")


def box_xyxy(mask: Mask, *, left: int = 0, top: int = 0) -> tuple[int, int, int, int] | None:
    """Return the tight box (x0, y0, x1, y1), inclusive, of a mask; None if it is empty.

    Args:
        mask: bool, H x W.
        left: Column of the frame at which the mask begins.
        top: The row.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]), top + int(rows[-1])


def grown_box(mask: Mask, margin: int) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1) of a mask that is not empty, ``margin`` pixels larger but inside the frame."""
    box = box_xyxy(mask)
    if box is None:
        raise EmptyMaskError("a box was asked for of an empty mask")
    height, width = mask.shape
    x0, y0, x1, y1 = box
    return max(x0 - margin, 0), max(y0 - margin, 0), min(x1 + margin, width), min(y1 + margin, height)


def anchor_point(mask: Mask, *, middle: bool) -> tuple[int, int]:
    """Return a point (x, y) on a mask that is not empty.

    Args:
        mask: bool, H x W.
        middle: Take the middle of the box where it lies on the mask: that of a ring or a crescent does not. Otherwise,
            the point deepest inside is taken.
    """
    box = box_xyxy(mask)
    if middle and box is not None:
        x, y = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2
        if mask[y, x]:
            return x, y
    return interior_point(mask)


def interior_point(mask: Mask) -> tuple[int, int]:
    """Return the point (x, y) of a mask that lies deepest inside it; the mask must not be empty."""
    padded = np.pad(mask, 1).astype(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x) - 1, int(y) - 1
