"""Two masks -> counts of shared pixels, summed over photos -> IoU, accuracy and Boundary IoU.

References:
    Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR 2021, arXiv:2103.16562.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from persam_vos.errors import MaskError, MaskSizeError
from persam_vos.masks import Mask

BAND = 0.02
"""Width of the band along a mask's contour that Boundary IoU compares, as a share of the photo's diagonal."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Counts of the pixels that a prediction and the truth share, in one photo or summed over several.

    Attributes:
        intersection: Pixels of both.
        union: Pixels of either.
        truth: Pixels of the truth, at least 1.
        boundary_intersection: Pixels of both bands, see ``boundary_band``.
        boundary_union: Pixels of either band, at least 1.
    """

    intersection: int
    union: int
    truth: int
    boundary_intersection: int
    boundary_union: int

    @property
    def iou(self) -> float:
        """Intersection over union, in percent."""
        return 100 * self.intersection / self.union

    @property
    def accuracy(self) -> float:
        """Share of the truth that was found, in percent."""
        return 100 * self.intersection / self.truth

    @property
    def boundary_iou(self) -> float:
        """Intersection over union of the bands along the contours, in percent."""
        return 100 * self.boundary_intersection / self.boundary_union

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(
            self.intersection + other.intersection,
            self.union + other.union,
            self.truth + other.truth,
            self.boundary_intersection + other.boundary_intersection,
            self.boundary_union + other.boundary_union,
        )


def compare_masks(prediction: Mask, truth: Mask) -> Overlap:
    """Count the pixels that a prediction and the truth share.

    Args:
        prediction: bool, H x W.
        truth: bool, H x W, with at least one pixel.

    Raises:
        MaskError: If a mask is not boolean or not two-dimensional, or the truth is empty.
        MaskSizeError: If the masks differ in size.
    """
    if prediction.shape != truth.shape:
        raise MaskSizeError(f"prediction has shape {prediction.shape}, truth {truth.shape}; both must be the same")
    bands = boundary_band(prediction), boundary_band(truth)
    if not truth.any():
        raise MaskError("truth is empty; it must hold an object to be compared with")
    pixels = (prediction & truth, prediction | truth, truth, bands[0] & bands[1], bands[0] | bands[1])
    return Overlap(*(int(np.count_nonzero(each)) for each in pixels))


def boundary_band(mask: Mask) -> Mask:
    """Return the pixels of a mask that lie along its contour, as Boundary IoU defines them.

    A pixel of the mask belongs to the band if some background lies within the band's width of it, in rows and in
    columns. The width is ``BAND`` of the diagonal, rounded, and at least 1 pixel. Beyond the border of the photo all is
    background.

    Args:
        mask: bool, H x W; give whole photos, not cut-outs.

    Returns:
        bool, H x W; empty only if the mask is.

    Raises:
        MaskError: If the mask is not boolean, not two-dimensional or has no pixel.
    """
    if mask.dtype != np.bool_ or mask.ndim != 2 or mask.size == 0:
        raise MaskError(f"mask is {mask.dtype} {mask.shape}; it must be bool of shape (height, width)")
    distance = max(1, round(BAND * math.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2)))
    pixels, band = mask.view(np.uint8), mask.copy()
    left, top, width, height = cv2.boundingRect(pixels)
    # Around the box of the mask all is background, as beyond the border, so the box can stand for the photo.
    box = slice(top, top + height), slice(left, left + width)
    if width:
        kernel = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
        band[box] ^= cv2.erode(pixels[box], kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0).view(np.bool_)
    return band
