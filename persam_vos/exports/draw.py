"""Draws label maps: as a palette picture, as tints over the frame, as objects cut out of it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from persam_vos.errors import MaskError
from persam_vos.exports.styles import PLAIN, ObjectStyles
from persam_vos.masks import LabelMap, Rgb

MAX_JPEG_SIDE = 65_500  # pixels; libjpeg writes no longer sides

_TINT_OPACITY = 0.5
_CONTOUR_SHARE = 1 / 240  # width of the contour as a share of the picture's shorter side


def palette_image(label_map: LabelMap, styles: ObjectStyles = PLAIN) -> Image.Image:
    """Return a label map as a picture of mode P with the DAVIS palette, and the colours of objects that have one.

    Args:
        label_map: uint8, H x W; 0 is background, n is object n.
        styles: Colours of objects.

    Raises:
        MaskError: If it has another dtype.
    """
    if label_map.dtype != np.uint8:
        raise MaskError(f"label map is {label_map.dtype}; it must be uint8, where 0 is background and n is object n")
    image = Image.fromarray(label_map)
    image.putpalette(styles.masks.tobytes())
    return image


def draw_overlay(rgb: Rgb, label_map: LabelMap, styles: ObjectStyles = PLAIN) -> Rgb:
    """Tint each object with its colour, and draw its contour, just inside of it, in the full colour.

    Args:
        rgb: uint8, H x W x 3.
        label_map: uint8, H x W; 0 is background, n is object n.
        styles: Colours of objects.

    Returns:
        uint8, H x W x 3, a new array.
    """
    drawn = rgb.copy()
    left, top, width, height = cv2.boundingRect(label_map)
    if width == 0:
        return drawn
    thickness = max(1, round(min(label_map.shape) * _CONTOUR_SHARE))
    # The objects' box is enough, with a margin in which the contour finds the background.
    rows = slice(max(0, top - thickness), top + height + thickness)
    columns = slice(max(0, left - thickness), left + width + thickness)
    labels, region = label_map[rows, columns], drawn[rows, columns]
    inside = (labels > 0).astype(np.uint8)
    colours = cv2.applyColorMap(labels, styles.overlay[:, None])
    tinted = cv2.addWeighted(region, 1 - _TINT_OPACITY, colours, _TINT_OPACITY, 0)
    kernel = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
    gradient = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, kernel)
    edges = cv2.bitwise_and(gradient, gradient, mask=inside)
    tinted = cv2.copyTo(colours, edges, tinted)
    drawn[rows, columns] = cv2.copyTo(tinted, inside, region)
    return drawn


def draw_transparent(rgb: Rgb, label_map: LabelMap) -> npt.NDArray[np.uint8]:
    """Keep the objects and make everything else transparent and black, so that it compresses to nearly nothing.

    Args:
        rgb: uint8, H x W x 3.
        label_map: uint8, H x W; 0 is background.

    Returns:
        uint8, H x W x 4, RGBA: alpha is 255 on the objects and 0 elsewhere.
    """
    alpha = (label_map > 0).astype(np.uint8) * 255
    drawn = np.asarray(cv2.cvtColor(cv2.bitwise_and(rgb, rgb, mask=alpha), cv2.COLOR_RGB2RGBA), dtype=np.uint8)
    drawn[..., 3] = alpha
    return drawn
