"""The alpha of one object becomes bytes, and bytes become alpha again."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from persam_vos.masks import box_xyxy
from persam_vos.soft_edges import Alpha

_PLACE = struct.Struct("<4i")  # top, left, height and width


def pack_alpha(alpha: Alpha) -> bytes:
    """Return alpha, uint8 H x W, as bytes: where it is not 0, and its values there."""
    if (box := box_xyxy(alpha > 0)) is None:
        return _PLACE.pack(0, 0, 0, 0)
    x0, y0, x1, y1 = box
    window = alpha[y0 : y1 + 1, x0 : x1 + 1]
    return _PLACE.pack(y0, x0, *window.shape) + zlib.compress(window.tobytes(), 1)


def unpack_alpha(packed: bytes, size: tuple[int, int]) -> Alpha:
    """Return alpha, uint8 H x W, of bytes by ``pack_alpha``.

    Raises:
        ValueError: If they are none, or of another size.
    """
    if len(packed) < _PLACE.size:
        raise ValueError("alpha is cut short")
    top, left, height, width = _PLACE.unpack_from(packed)
    alpha = np.zeros(size, np.uint8)
    if height:
        window = alpha[top : top + height, left : left + width]
        if min(top, left, height, width) < 0 or window.shape != (height, width):
            raise ValueError("alpha lies outside the frame")
        # No more is unpacked than the window holds.
        values = zlib.decompressobj().decompress(packed[_PLACE.size :], height * width)
        window[:] = np.frombuffer(values, np.uint8).reshape(height, width)
    return alpha
