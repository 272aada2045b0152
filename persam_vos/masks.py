"""Arrays of pixels: their types, masks of any dtype as label maps, boxes and points of masks."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.errors import EmptyMaskError, MaskError, MaskSizeError

Rgb = npt.NDArray[np.uint8]
LabelMap = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
MAX_OBJECT_ID = 254
VOID = 255


def as_label_map(
    mask: npt.ArrayLike,
    height: int,
    width: int,
    *,
    name: str = "mask",
    of: str = "frame",
    void: int | None = VOID,
) -> LabelMap:
    """Return a mask or label map of any boolean or integer dtype as a label map.

    Args:
        mask: H x W. Of bool, or of the values 0 and 255, it is one object. Of integers, it is a label map: 0 is
            background, n in 1..254 is object n, and 255 beside other objects is void and becomes background, as in
            DAVIS.
        height: Of the frame or photo, in pixels.
        width: Of the frame or photo, in pixels.
        name: What messages call the mask.
        of: Noun for the frame or photo in messages.
        void: 255, or None where 255 is an object like any other.

    Returns:
        uint8, H x W, with at least one object; an array of its own.

    Raises:
        MaskError: If the dtype is neither bool nor an integer, or a value is outside 0..255.
        MaskSizeError: If the shape is not (height, width).
        EmptyMaskError: If it holds no object.

    >>> as_label_map([[False, True], [False, False]], 2, 2)
    array([[0, 1],
           [0, 0]], dtype=uint8)
    >>> as_label_map([[0, 7], [255, 300]], 2, 2)
    Traceback (most recent call last):
    persam_vos.errors.MaskError: mask holds 300; allowed: 0 background, 1..254 objects, 255 void
    """
    try:
        values = np.asarray(mask)
    except (TypeError, ValueError) as error:
        raise MaskError(f"{name} is of type {type(mask).__name__}, and no array ({error})") from error
    if values.dtype.kind not in "bui":
        raise MaskError(f"{name} is {values.dtype}; allowed: bool, or integers with n for object n")
    if values.shape != (height, width):
        raise MaskSizeError(f"{name} is {_size(values)}, {of} is {height} x {width} (height x width)")
    ids = np.unique(values)
    ids = ids[ids != 0]
    if not ids.size:
        raise EmptyMaskError(f"{name} is empty: every pixel is 0")
    if values.dtype == np.bool_ or (void is not None and ids.tolist() == [void]):
        one: LabelMap = (values != 0).astype(np.uint8)
        return one
    outside = ids[(ids < 0) | (ids > VOID)]
    if outside.size:
        raise MaskError(f"{name} holds {outside[0]}; allowed: 0 background, 1..{MAX_OBJECT_ID} objects, {VOID} void")
    label_map: LabelMap = (values if void is None else np.where(values == void, 0, values)).astype(np.uint8)
    return label_map


def check_size(label_map: LabelMap, rgb: Rgb, name: str) -> None:
    """Raise ``MaskSizeError`` unless a label map has the size of the picture of that name."""
    if label_map.shape != rgb.shape[:2]:
        raise MaskSizeError(f"label map is {_size(label_map)}, {name} is {rgb.shape[0]} x {rgb.shape[1]}")


def _size(array: npt.NDArray[np.generic]) -> str:
    return " x ".join(map(str, array.shape)) or "a single number"


class ArrayRecord:
    """Base of frozen dataclasses that hold arrays: ``repr`` shows their dtypes and shapes, not their pixels."""

    __slots__ = ()

    def __repr__(self) -> str:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.repr}  # type: ignore[arg-type]
        shown = (f"{name}={_shown(value)}" for name, value in values.items())
        return f"{type(self).__name__}({', '.join(shown)})"


def _shown(value: object) -> str:
    return f"<{value.dtype} {_size(value)}>" if isinstance(value, np.ndarray) else repr(value)


def box_xyxy(mask: Mask, *, left: int = 0, top: int = 0) -> tuple[int, int, int, int] | None:
    """Return the tight box (x0, y0, x1, y1) of a mask, with inclusive maxima; None if the mask is empty.

    Args:
        mask: bool, H x W.
        left: Column of the frame at which the mask begins.
        top: Row of the frame at which the mask begins.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]), top + int(rows[-1])


def grown_box(mask: Mask, margin: int) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1) of a mask, ``margin`` pixels larger on each side but inside the frame.

    Raises:
        EmptyMaskError: If the mask is empty.
    """
    box = box_xyxy(mask)
    if box is None:
        raise EmptyMaskError("an empty mask has no box")
    height, width = mask.shape
    x0, y0, x1, y1 = box
    return max(x0 - margin, 0), max(y0 - margin, 0), min(x1 + margin, width), min(y1 + margin, height)


def anchor_point(mask: Mask, *, middle: bool) -> tuple[int, int]:
    """Return a point (x, y) on a mask that is not empty.

    Args:
        mask: bool, H x W.
        middle: Take the middle of the box if it lies on the mask; that of a ring does not. Otherwise, and without
            ``middle``, take the point deepest inside the mask.
    """
    box = box_xyxy(mask)
    if middle and box is not None:
        x, y = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2
        if mask[y, x]:
            return x, y
    return interior_point(mask)


def interior_point(mask: Mask) -> tuple[int, int]:
    """Return the point (x, y) of a mask that lies deepest inside it; the mask must not be empty."""
    y, x = np.unravel_index(int(interior_depth(mask).argmax()), mask.shape)
    return int(x), int(y)


def interior_depth(mask: Mask) -> npt.NDArray[np.float32]:
    """Return how deep each pixel of a mask lies inside it.

    Args:
        mask: bool, H x W; what lies beyond its border counts as outside.

    Returns:
        float32, H x W: the Euclidean distance in pixels to the nearest pixel outside the mask; 0 outside.

    >>> interior_depth(np.array([[True, True, True], [True, True, True], [True, True, False]])).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.4142135381698608, 1.0], [1.0, 1.0, 0.0]]
    """
    padded = np.pad(mask, 1).astype(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return np.asarray(depth, np.float32)
