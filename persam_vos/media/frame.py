"""A frame of video, and the geometry between its pixels and the model's square input."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from persam_vos.masks import Rgb


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame, upright, in presentation order.

    Attributes:
        index: Position in the stream, from 0.
        pts: Presentation time in units of ``time_base``.
        time_base: Seconds per unit of ``pts``, exact.
        rgb: uint8, H x W x 3, full-range RGB.

    Raises:
        ValueError: If ``rgb`` is not a non-empty uint8 array of shape H x W x 3.
    """

    index: int
    pts: int
    time_base: Fraction
    rgb: Rgb

    def __post_init__(self) -> None:
        if self.rgb.dtype != np.uint8 or self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.size == 0:
            raise ValueError(f"rgb is {self.rgb.dtype} {self.rgb.shape}; it must be uint8 of shape (height, width, 3)")

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.rgb.shape[1])

    @property
    def seconds(self) -> Fraction:
        """Presentation time in seconds, exact."""
        return self.pts * self.time_base
