"""Colours and alpha of a frame become the pixels of an export."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.masks import Rgb
from persam_vos.results import FrameResult
from persam_vos.settings.output import ExportOptions
from persam_vos.soft_edges import Alpha, alpha_of_labels

Rgba = npt.NDArray[np.uint8]

# Pixels beyond the edge that keep the colour of the frame where alpha is straight: two blocks of ProRes, so that no
# codec mixes black into an edge. What lies farther is black, and costs nearly nothing.
_MARGIN = 16
_BY_ALPHA_OPTION = ("prores", "webm", "rgba")


def kinds_of_alpha(exports: Iterable[str], options: ExportOptions) -> dict[str, str]:
    """Return whether the colours of each export with alpha are straight or premultiplied, by its name.

    OpenEXR's are premultiplied, as its specification wants.
    """
    kinds = {name: options.alpha for name in exports if name in _BY_ALPHA_OPTION}
    return {**kinds, **({"exr": "premultiplied"} if "exr" in exports else {})}


def alpha_of(result: FrameResult) -> Alpha:
    """Return the alpha of a result, uint8 H x W; that of its masks if it has none."""
    return alpha_of_labels(result.label_map) if result.alpha is None else result.alpha


def straight(rgb: Rgb, alpha: Alpha) -> Rgba:
    """Return the colours of a frame, not multiplied by alpha, a little beyond the edge; black farther out.

    Args:
        rgb: uint8, H x W x 3.
        alpha: uint8, H x W.

    Returns:
        uint8, H x W x 4.
    """
    near = cv2.dilate(alpha, np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8))
    return _joined(cv2.bitwise_and(rgb, rgb, mask=near), alpha)


def premultiplied(rgb: Rgb, alpha: Alpha) -> Rgba:
    """Return the colours of a frame multiplied by alpha, and alpha: uint8, H x W x 4."""
    return _joined(cv2.multiply(rgb, cv2.merge([alpha, alpha, alpha]), scale=1 / 255), alpha)


def _joined(rgb: cv2.typing.MatLike, alpha: Alpha) -> Rgba:
    joined = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA), np.uint8)
    joined[..., 3] = alpha
    return joined
