"""What a label map looks like: the palette, objects tinted over their frame, objects cut out of it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from persam_vos.masks import LabelMap, Rgb

Palette = npt.NDArray[np.uint8]
_TINT = 0.5
_CONTOUR = 255  # white, because many of the palette's colours are dark


def davis_palette() -> Palette:
    """Return the colours of DAVIS annotations, which are those of PASCAL VOC.

    The bits of an index are dealt in turn to red, green and blue, from the highest bit of each colour downwards.

    Returns:
        uint8, 256 x 3, RGB.
    """
    index = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            taken = index >> (3 * bit + channel) & 1
            palette[:, channel] |= (taken << (7 - bit)).astype(np.uint8)
    return palette


_PALETTE = davis_palette()


def palette_image(label_map: LabelMap) -> Image.Image:
    """Return a label map, uint8 H x W, as a picture of mode P with the DAVIS palette."""
    image = Image.fromarray(label_map)
    image.putpalette(_PALETTE.tobytes())
    return image


def draw_overlay(rgb: Rgb, label_map: LabelMap) -> Rgb:
    """Tint each object with its palette colour and draw its contour, just inside of it, in white.

    Args:
        rgb: uint8, H x W x 3.
        label_map: uint8, H x W; 0 is background, n is object n.

    Returns:
        uint8, H x W x 3, a new array.
    """
    drawn = rgb.copy()
    left, top, width, height = cv2.boundingRect(label_map)
    if width == 0:
        return drawn
    thickness = max(1, round(min(label_map.shape) / 360))
    # Only where the objects are, with a margin in which the contour finds the background.
    rows = slice(max(0, top - thickness), top + height + thickness)
    columns = slice(max(0, left - thickness), left + width + thickness)
    labels, region = label_map[rows, columns], drawn[rows, columns]
    inside = (labels > 0).astype(np.uint8)
    colours = cv2.applyColorMap(labels, _PALETTE[:, None])
    tinted = cv2.addWeighted(region, 1 - _TINT, colours, _TINT, 0, dst=colours)
    kernel = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
    gradient = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, kernel)
    edges = cv2.bitwise_and(gradient, gradient, mask=inside)
    tinted = cv2.copyTo(np.full_like(tinted, _CONTOUR), edges, tinted)
    drawn[rows, columns] = cv2.copyTo(tinted, inside, region)
    return drawn


def draw_cutout(rgb: Rgb, label_map: LabelMap, background: tuple[int, int, int]) -> Rgb:
    """Keep the objects and paint everything else.

    Args:
        rgb: uint8, H x W x 3.
        label_map: uint8, H x W; 0 is background.
        background: RGB, 0..255.

    Returns:
        uint8, H x W x 3, a new array.
    """
    # Channel by channel: many times faster than np.full with a colour.
    canvas = cv2.merge([np.full(label_map.shape, value, np.uint8) for value in background])
    return np.asarray(cv2.copyTo(rgb, (label_map > 0).astype(np.uint8), canvas), dtype=np.uint8)


def draw_transparent(rgb: Rgb, label_map: LabelMap) -> npt.NDArray[np.uint8]:
    """Keep the objects and make everything else transparent, and black, so that it is gone and takes no space.

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
