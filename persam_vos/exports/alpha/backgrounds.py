"""What lies behind objects that are cut out: a colour, a picture, a video, or the blurred frame."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from persam_vos.errors import VideoError
from persam_vos.files import PHOTO_SUFFIXES
from persam_vos.masks import Rgb
from persam_vos.media import Frame, FramesDone, StreamInfo, open_video, read_photo
from persam_vos.media.decoding.animations import is_animation
from persam_vos.settings.output import ExportOptions
from persam_vos.soft_edges import Alpha

# The frame is blurred at this share of its size, with a Gaussian of this share of its longer side.
_BLUR_SCALE = 1 / 8
_BLUR_SHARE = 1 / 50


class Background(Protocol):
    """Gives each frame what lies behind its objects."""

    def of(self, frame: Frame) -> Rgb:
        """Return a picture of the frame's size: uint8, H x W x 3. Frames are asked for in rising order."""
        ...

    def resume(self, done: FramesDone) -> None:
        """Go on after frames done."""
        ...

    def close(self) -> None:
        """Let go of files; a second call does nothing."""
        ...


def background_of(options: ExportOptions, info: StreamInfo) -> Background:
    """Return what the options say.

    Args:
        options: ``background`` is a colour, ``blur``, or a file.
        info: Of the frames.

    Raises:
        PhotoError: If the file is no picture that can be read.
        VideoError: If it is no video.
    """
    if (colour := options.background_rgb) is not None:
        return _Still(np.full((info.height, info.width, 3), colour, np.uint8))
    if (path := options.background_file) is None:
        return _Blurred()
    if path.suffix.lower() in PHOTO_SUFFIXES and not is_animation(path):
        return _Still(covering(read_photo(path), info.height, info.width))
    return _Film(path)


def laid_on(rgb: Rgb, alpha: Alpha, behind: Rgb) -> Rgb:
    """Lay the objects of a frame on a background.

    Args:
        rgb: uint8, H x W x 3.
        alpha: uint8, H x W.
        behind: uint8, H x W x 3.

    Returns:
        uint8, H x W x 3, a new array.
    """
    laid = behind.copy()
    left, top, width, height = cv2.boundingRect(alpha)
    if width:
        here = slice(top, top + height), slice(left, left + width)
        cover = cv2.merge([alpha[here]] * 3)
        over = cv2.multiply(rgb[here], cover, scale=1 / 255)
        laid[here] = cv2.add(over, cv2.multiply(behind[here], cv2.bitwise_not(cover), scale=1 / 255))
    return laid


def covering(rgb: Rgb, height: int, width: int) -> Rgb:
    """Scale a picture so that it covers height x width, and cut off equally on both sides what is too much."""
    scale = max(height / rgb.shape[0], width / rgb.shape[1])
    size = max(round(scale * rgb.shape[1]), width), max(round(scale * rgb.shape[0]), height)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=way)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width], np.uint8)


class _Still:
    """One picture."""

    def __init__(self, picture: Rgb) -> None:
        self._picture = picture

    def of(self, _: Frame) -> Rgb:
        return self._picture

    def resume(self, done: FramesDone) -> None:
        """Nothing changes."""

    def close(self) -> None:
        """Nothing is open."""


class _Blurred:
    """The frame itself, out of focus."""

    def of(self, frame: Frame) -> Rgb:
        small = cv2.resize(frame.rgb, None, fx=_BLUR_SCALE, fy=_BLUR_SCALE, interpolation=cv2.INTER_AREA)
        deviation = max(_BLUR_SHARE * max(small.shape[:2]), 1.0)
        small = cv2.GaussianBlur(small, (0, 0), deviation)
        return np.asarray(cv2.resize(small, (frame.width, frame.height), interpolation=cv2.INTER_LINEAR), np.uint8)

    def resume(self, done: FramesDone) -> None:
        """Nothing changes."""

    def close(self) -> None:
        """Nothing is open."""


class _Film:
    """A video that begins with the first frame, and again where it ends; its frames are shown at their own times."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shown = self._pictures()
        self._now = next(self._shown)
        self._next = next(self._shown)
        self._start: Fraction | None = None
        self._first_pts: int | None = None
        self._made: Rgb | None = None

    def of(self, frame: Frame) -> Rgb:
        if self._start is None:
            self._start = frame.time if self._first_pts is None else self._first_pts * frame.time_base
        while self._next[0] <= frame.time - self._start:
            self._now, self._next = self._next, next(self._shown)
            self._made = None
        if self._made is None:
            self._made = covering(self._now[1], frame.height, frame.width)
        return self._made

    def resume(self, done: FramesDone) -> None:
        self._first_pts = done.first_pts

    def close(self) -> None:
        self._shown.close()

    def _pictures(self) -> Generator[tuple[Fraction, Rgb], None, None]:
        """Yield seconds and pictures without an end."""
        begin = Fraction(0)
        while True:
            last, step = begin, Fraction(1, 25)
            with open_video(self._path) as reader:
                first: Fraction | None = None
                for frame in reader:
                    first = frame.time if first is None else first
                    time = begin + frame.time - first
                    step = time - last or step
                    last = time
                    yield time, frame.rgb
            if first is None:
                raise VideoError(f"{self._path}: no frame could be decoded")
            begin = last + step
