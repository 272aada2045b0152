"""Two masks -> the DAVIS measures J and F; their values over a sequence -> mean, recall and decay.

The *region similarity* J is the Jaccard index of two masks. The *boundary similarity* F is the F-measure of the
precision and recall of their contours, where a contour pixel counts as found if the other contour passes within a
tolerance of it.

References:
    Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR 2016.
    Pont-Tuset et al., "The 2017 DAVIS Challenge on Video Object Segmentation", arXiv:1704.00675.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.errors import MaskError, MaskSizeError
from persam_vos.masks import LabelMap, Mask

_Binary = npt.NDArray[np.uint8]  # a mask as 0 and 1, the form that OpenCV takes
TOLERANCE = 0.008
"""Distance within which two contours match, as a share of the frame's diagonal."""
RECALL_THRESHOLD = 0.5
"""A frame is recalled if its J or F lies above this."""
_DECAY_BINS = 4
_NEIGHBOURS: _Binary = np.ones((2, 2), np.uint8)


@dataclass(frozen=True, slots=True)
class Statistics:
    """One measure over the frames of a sequence.

    Attributes:
        mean: Mean over the frames.
        recall: Share of the frames above ``RECALL_THRESHOLD``.
        decay: Mean of the first quarter of the frames minus mean of the last; negative if the result improves.
    """

    mean: float
    recall: float
    decay: float


def region_similarity(prediction: Mask, truth: Mask) -> float:
    """Return the region similarity J: intersection over union.

    Args:
        prediction: bool, H x W.
        truth: bool, H x W.

    Returns:
        J in 0..1: 1 for two empty masks, 0 for an empty and a non-empty one.

    Raises:
        MaskError: If a mask is not boolean, not two-dimensional or has no pixel.
        MaskSizeError: If the masks differ in size.

    Example:
        >>> import numpy as np
        >>> truth = np.zeros((4, 4), bool)
        >>> truth[:2] = True
        >>> prediction = np.zeros((4, 4), bool)
        >>> prediction[0] = True
        >>> region_similarity(prediction, truth)
        0.5
    """
    return score_masks(prediction, truth)[0]


def boundary_similarity(prediction: Mask, truth: Mask) -> float:
    """Return the boundary similarity F: the F-measure of two contours.

    The tolerance is ``boundary_tolerance`` of the masks' size; give whole frames, not cut-outs.

    Args:
        prediction: bool, H x W.
        truth: bool, H x W.

    Returns:
        F in 0..1: 1 for two masks without contour, 0 if only one has a contour. An empty mask and one that fills the
        frame have no contour.

    Raises:
        MaskError: If a mask is not boolean, not two-dimensional or has no pixel.
        MaskSizeError: If the masks differ in size.
    """
    return score_masks(prediction, truth)[1]


def score_masks(prediction: Mask, truth: Mask) -> tuple[float, float]:
    """Return J and F of one pair of masks, in less time than two calls take.

    Args:
        prediction: bool, H x W.
        truth: bool, H x W.

    Returns:
        ``region_similarity`` and ``boundary_similarity``.

    Raises:
        MaskError: If a mask is not boolean, not two-dimensional or has no pixel.
        MaskSizeError: If the masks differ in size.
    """
    _check(prediction, truth, np.bool_)
    j, f = _score_objects(prediction.view(np.uint8), truth.view(np.uint8), 1)[0]
    return float(j), float(f)


def score_label_maps(prediction: LabelMap, truth: LabelMap, objects: int) -> npt.NDArray[np.float64]:
    """Return J and F of every object of one pair of label maps.

    Args:
        prediction: uint8, H x W; pixels of object n have value n.
        truth: uint8, H x W.
        objects: Score objects 1..objects; pixels of any other value are background.

    Returns:
        float64, objects x 2: ``region_similarity`` and ``boundary_similarity``, in rising order of id.

    Raises:
        MaskError: If a label map is not uint8, not two-dimensional or has no pixel.
        MaskSizeError: If the label maps differ in size.
    """
    _check(prediction, truth, np.uint8)
    return _score_objects(prediction, truth, objects)


def boundary_tolerance(height: int, width: int) -> int:
    """Return the distance in pixels within which contours match: 0.8 % of the diagonal, rounded up.

    Args:
        height: Height of the whole frame in pixels.
        width: Width of the whole frame in pixels.

    Returns:
        The radius of the disk by which a contour is dilated; 8 for 480 x 854.
    """
    return math.ceil(TOLERANCE * math.sqrt(height * height + width * width))


def boundary_map(mask: Mask) -> Mask:
    """Return the contour of a mask, as the benchmark draws it.

    A pixel is on the contour if it differs from its east, south or south-east neighbour, so the contour lies half a
    pixel up and left of the true edge. There is no contour along the border of the frame.

    Args:
        mask: bool, H x W.

    Returns:
        bool, H x W, one pixel wide.

    Raises:
        MaskError: If the mask is not boolean, not two-dimensional or has no pixel.
    """
    _check(mask, mask, np.bool_)
    return _contour(mask.view(np.uint8)).view(np.bool_)


def sequence_statistics(values: npt.ArrayLike) -> Statistics:
    """Return mean, recall and decay of one measure over the frames of a sequence.

    Args:
        values: float, one per scored frame, in the order of time. Mean and decay leave NaN out; recall counts it
            as a frame that was not recalled, as the official code does.

    Returns:
        The statistics; NaN where all values are.

    Raises:
        ValueError: If ``values`` is empty or not one-dimensional.
    """
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or series.size == 0:
        raise ValueError(f"values has shape {series.shape}; it must be one number per frame, at least one")
    # Neighbouring bins share a frame, as in the official code. That keeps the indices in uint8, which overflows from
    # 256 frames on; full integers give the same bins up to there and the intended ones after.
    edges = (np.round(np.linspace(1, series.size, _DECAY_BINS + 1) + 1e-10) - 1).astype(np.intp)
    first, last = series[edges[0] : edges[1] + 1], series[edges[-2] : edges[-1] + 1]
    recall = float(np.mean(series > RECALL_THRESHOLD))
    return Statistics(_mean(series), recall, _mean(first) - _mean(last))


def _mean(values: npt.NDArray[np.float64]) -> float:
    """Mean of the values that are not NaN. Unlike ``np.nanmean``, all NaN gives NaN without a warning."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _check(prediction: npt.NDArray[np.generic], truth: npt.NDArray[np.generic], dtype: type[np.generic]) -> None:
    for name, mask in (("prediction", prediction), ("truth", truth)):
        if mask.dtype != dtype or mask.ndim != 2 or mask.size == 0:
            wanted = np.dtype(dtype)
            raise MaskError(f"{name} is {mask.dtype} {mask.shape}; it must be {wanted} of shape (height, width)")
    if prediction.shape != truth.shape:
        raise MaskSizeError(
            f"prediction is {prediction.shape[0]} x {prediction.shape[1]}, "
            f"truth is {truth.shape[0]} x {truth.shape[1]}; both must have the same height and width"
        )


def _score_objects(prediction: LabelMap, truth: LabelMap, objects: int) -> npt.NDArray[np.float64]:
    scores = np.ones((objects, 2))  # an object that is absent from both scores 1
    radius = boundary_tolerance(*prediction.shape)
    box = _contour_box(prediction, truth)
    prediction, truth = prediction[box], truth[box]
    for index in range(objects):
        predicted, true = (prediction == index + 1).view(np.uint8), (truth == index + 1).view(np.uint8)
        box = _contour_box(predicted, true)
        predicted, true = predicted[box], true[box]
        if true.size:
            f = _f_measure(_contour(predicted), _contour(true), radius)
            scores[index] = _jaccard(predicted, true), f
    return scores


def _contour_box(prediction: _Binary, truth: _Binary) -> tuple[slice, slice]:
    """Return the rows and columns that hold all objects of both, and their contours; empty slices without an object.

    The box is one pixel larger at the top and left, where the contour lies, and at the bottom and right, so that the
    last row and column of a mask meet background unless they lie at the border of the frame.
    """
    boxes = [(x, y, x + w, y + h) for x, y, w, h in map(cv2.boundingRect, (prediction, truth)) if w]
    if not boxes:
        return slice(0), slice(0)
    left, top = (max(min(box[axis] for box in boxes) - 1, 0) for axis in (0, 1))
    right, bottom = (max(box[axis] for box in boxes) + 1 for axis in (2, 3))
    return slice(top, bottom), slice(left, right)


def _jaccard(prediction: _Binary, truth: _Binary) -> float:
    both = cv2.countNonZero(prediction & truth)
    return both / (cv2.countNonZero(prediction) + cv2.countNonZero(truth) - both)


def _contour(mask: _Binary) -> _Binary:
    # Maximum minus minimum over the pixel and its east, south and south-east neighbours. OpenCV leaves out neighbours
    # beyond the border; the official rules for the last row and column amount to the same.
    contour = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, _NEIGHBOURS, anchor=(0, 0))
    return contour.astype(np.uint8, copy=False)


def _f_measure(prediction: _Binary, truth: _Binary, radius: int) -> float:
    """F of two contours, exact for any cut-out that holds both: only the contours' own pixels are looked up."""
    # A contour is an integer with a bit a pixel, and one shift moves all of it. This dilates by a disk several times
    # as fast as OpenCV. Blank columns, as many as the farthest shift, keep bits that leave a row out of the next one.
    stride = -(-(prediction.shape[1] + radius) // 8) * 8
    predicted, true = _pack(prediction, stride), _pack(truth, stride)
    if not predicted or not true:
        return 1.0 if predicted == true else 0.0
    precision = (predicted & _dilate(true, stride, radius)).bit_count() / predicted.bit_count()
    recall = (true & _dilate(predicted, stride, radius)).bit_count() / true.bit_count()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _pack(contour: _Binary, stride: int) -> int:
    """Return an integer whose bits are the pixels in reading order; zeros fill each row up to ``stride`` bits."""
    padded = np.zeros((contour.shape[0], stride), np.uint8)
    padded[:, : contour.shape[1]] = contour
    return int.from_bytes(np.packbits(padded).tobytes(), "big")


def _dilate(contour: int, stride: int, radius: int) -> int:
    """Dilate a packed contour by the disk of all offsets with x * x + y * y <= radius * radius."""
    widened = [contour]  # widened[n]: dilated by n pixels to the left and to the right
    for x in range(1, radius + 1):
        widened.append(widened[-1] | contour << x | contour >> x)
    dilated = widened[radius]
    for y in range(1, radius + 1):
        row = widened[math.isqrt(radius * radius - y * y)]
        dilated |= row << y * stride | row >> y * stride
    return dilated
