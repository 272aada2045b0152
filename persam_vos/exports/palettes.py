"""Colours of objects: those of DAVIS for mask files, and those of overlays, which people can tell apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Palette = npt.NDArray[np.uint8]

# Okabe and Ito, "Color Universal Design" (2008), https://jfly.uni-koeln.de/color/: readers with any common kind of
# colour blindness can tell these apart. Their order, without black, which hides shape and texture.
_OKABE_ITO = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermillion
    (204, 121, 167),  # reddish purple
)


def davis_palette() -> Palette:
    """Return the colours of DAVIS annotations, which are those of PASCAL VOC.

    The bits of an index go to red, green and blue in turn, from the highest bit of each colour downwards.

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


def overlay_palette() -> Palette:
    """Return the colours of objects in overlays: Okabe and Ito's seven, then lighter and darker shades of them.

    From object 22 on they repeat: nobody can tell more of them apart, hence the legend's numbers.

    Returns:
        uint8, 256 x 3, RGB; row n is the colour of object n, and row 0, the background, is black.
    """
    colours = np.array(_OKABE_ITO, np.float64)
    shades = np.concatenate([colours, (colours + 255) / 2, colours / 2])
    palette = np.zeros((256, 3), np.uint8)
    palette[1:] = np.resize(shades.round(), (255, 3))
    return palette
