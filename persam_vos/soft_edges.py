"""Alpha of objects: how much of each pixel they cover, from the logits of their masks or from the masks alone."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.masks import LabelMap, Mask

Alpha = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]

OPAQUE = 255
_LEAST_INSIDE = 128
# Logits beyond which alpha is 0 or 255.
_SATURATED = 10.0
# Factor of the logits: 1 leaves a halo, since the masks of ``memory`` hold a share of a prior that knows no edges.
_SLOPE = 2.0
# Slope of the sigmoid, per pixel, at which an edge is one pixel wide. A steeper one would show the pixels as steps.
_SLOPE_OF_A_PIXEL = 4.0
# Samples of the decoder along the longer side of a frame: between two of them, its logits know nothing.
_SAMPLES = 256
_MIN_REACH = 2


def edge_reach(shape: Sequence[int]) -> int:
    """Return how many pixels from its outline an edge may be soft, in a frame of height x width: 3 at 854 x 480."""
    return max(_MIN_REACH, round(max(shape) / _SAMPLES))


def alpha_of_logits(logits: Logits, inside: Mask, reach: int) -> Alpha:
    """Return the alpha of a mask that has logits.

    The edge is as wide as the logits say, and at least a pixel.

    Args:
        logits: float32, h x w.
        inside: bool, h x w: the mask that came of them, which alpha agrees with.
        reach: Pixels from the outline of the mask beyond which nothing is soft.

    Returns:
        uint8, h x w: at least 128 inside and less outside.
    """
    across = cv2.Sobel(logits, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    along = cv2.Sobel(logits, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    steepness = np.maximum(cv2.magnitude(across, along), _SLOPE_OF_A_PIXEL / _SLOPE)
    scaled = np.clip(_SLOPE_OF_A_PIXEL * logits / steepness, -_SATURATED, _SATURATED)
    alpha = OPAQUE / (1 + np.exp(-scaled))
    return agreeing(np.rint(alpha).astype(np.uint8), inside, reach)


def alpha_of_labels(label_map: LabelMap) -> Alpha:
    """Return the alpha of masks that have no logits: soft within a pixel of their common outline.

    Args:
        label_map: uint8, H x W; 0 is background.

    Returns:
        uint8, H x W: at least 128 on objects and less elsewhere.
    """
    inside = label_map > 0
    smoothed = cv2.GaussianBlur(inside.astype(np.uint8) * OPAQUE, (3, 3), 0, borderType=cv2.BORDER_REPLICATE)
    return _on_either_side(np.asarray(smoothed, np.uint8), inside)


def agreeing(alpha: Alpha, inside: Mask, reach: int) -> Alpha:
    """Make alpha agree with a mask: at least 128 inside, less outside, and all or nothing far from its outline.

    Args:
        alpha: uint8, h x w.
        inside: bool, h x w.
        reach: Pixels from the outline beyond which nothing is soft.

    Returns:
        uint8, h x w, a new array.
    """
    around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    mask = inside.astype(np.uint8) * OPAQUE
    # What lies beyond the frame's border is unknown, and no edge.
    within = cv2.erode(mask, around, borderType=cv2.BORDER_REPLICATE)
    near = cv2.dilate(mask, around, borderType=cv2.BORDER_REPLICATE)
    return _on_either_side(np.asarray(cv2.min(cv2.max(alpha, within), near), np.uint8), inside)


def feathered(inside: Mask, radius: int) -> Alpha:
    """Return alpha that rises from 0 at so many pixels outside of a mask to 255 as far inside.

    Args:
        inside: bool, h x w; what lies beyond its border is unknown, and no edge.
        radius: In pixels, at least 1.

    Returns:
        uint8, h x w: at least 128 inside and less outside.
    """
    if inside.all() or not inside.any():
        return inside.astype(np.uint8) * np.uint8(OPAQUE)
    to_outside, to_inside = (
        cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) for mask in (inside, ~inside)
    )
    # The edge lies half a pixel beyond the outermost one.
    distance = np.where(inside, to_outside - 0.5, 0.5 - to_inside)
    share = np.clip(0.5 + distance / (2 * radius), 0, 1)
    return _on_either_side(np.rint(OPAQUE * share * share * (3 - 2 * share)).astype(np.uint8), inside)


def owners(label_map: LabelMap) -> LabelMap:
    """Return the object that each pixel of a frame is on or nearest to: uint8, H x W; 0 if there is none."""
    outside = (label_map == 0).astype(np.uint8)
    if outside.all():
        return np.zeros_like(label_map)
    _, nearest = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    objects = np.zeros(int(nearest.max()) + 1, np.uint8)
    held = label_map > 0
    objects[nearest[held]] = label_map[held]
    owner: LabelMap = objects[nearest]
    return owner


def alpha_of_object(alpha: Alpha, owner: LabelMap, object_id: int) -> Alpha:
    """Return what of the alpha of all objects belongs to one: its pixels, and the edges nearest to it.

    Args:
        alpha: uint8, H x W, of all objects.
        owner: uint8, H x W, by ``owners``.
        object_id: The object.

    Returns:
        uint8, H x W.
    """
    mine: Alpha = np.where(owner == object_id, alpha, np.uint8(0))
    return mine


def _on_either_side(alpha: Alpha, inside: Mask) -> Alpha:
    """Raise alpha to 128 inside of a mask, and lower it to 127 outside."""
    sides: Alpha = np.where(inside, np.maximum(alpha, _LEAST_INSIDE), np.minimum(alpha, _LEAST_INSIDE - 1))
    return sides
