"""A frame of video, its pixels and its time; and the frames of which the results are there already."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from persam_vos.errors import VideoError
from persam_vos.masks import ArrayRecord, Rgb

_ALLOWED = "allowed: a NumPy array of uint8, height x width x 3, RGB"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Frame(ArrayRecord):
    """One decoded frame, upright, in presentation order.

    Attributes:
        index: Position in the stream, from 0.
        pts: Presentation time in units of ``time_base``.
        time_base: Seconds per unit of ``pts``, exact.
        rgb: uint8, H x W x 3, full-range RGB.

    Raises:
        VideoError: If ``rgb`` is not a uint8 array of shape H x W x 3 with at least one pixel.
    """

    index: int
    pts: int
    time_base: Fraction
    rgb: Rgb

    def __post_init__(self) -> None:
        if not isinstance(self.rgb, np.ndarray):
            raise VideoError(f"frame {self.index} is of type {type(self.rgb).__name__}; {_ALLOWED}")
        if self.rgb.dtype != np.uint8 or self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.size == 0:
            shape = " x ".join(map(str, self.rgb.shape))
            raise VideoError(f"frame {self.index} is {self.rgb.dtype}, {shape}; {_ALLOWED}")

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.rgb.shape[1])

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds, exact."""
        return self.pts * self.time_base


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesDone:
    """Which frames of a video an earlier run has done.

    Attributes:
        count: Their number, at least one.
        first_index: Of the first one.
        first_pts: Of the first one, in units of the video's time base.
        last_index: Of the last one.
        last_pts: Of the last one.
    """

    count: int
    first_index: int
    first_pts: int
    last_index: int
    last_pts: int


def untimed_frame(rgb: Rgb, index: int = 0) -> Frame:
    """Return a picture without a time, uint8, H x W x 3, as a frame at ``index`` seconds."""
    return Frame(index, index, Fraction(1), rgb)
