"""Frames of a video in any order: of a file, of images, or of arrays."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from persam_vos.errors import FrameIndexError
from persam_vos.media.frame import Frame
from persam_vos.media.stream import StreamInfo

_Video = TypeVar("_Video", bound="RandomAccessVideo")


class RandomAccessVideo(ABC):
    """A video whose frames are read in any order, made by ``open_random_access``; a context manager.

    Frame n is what ``open_video`` delivers as frame n: the same index, time and pixels. Threads may share a video; they
    decode one at a time.

    Attributes:
        info: Facts about the source; its ``frame_count`` is exact.
        warnings: What went wrong without stopping the reader, one line each; may grow while frames are read.
        files: The files that the frames come from; none of arrays.
    """

    info: StreamInfo
    warnings: list[str]
    files: tuple[Path, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames."""

    @abstractmethod
    def _frame(self, index: int) -> Frame:
        """Return the frame at an index that exists."""

    @abstractmethod
    def _pts(self, index: int) -> int:
        """Return when the frame at an index that exists is shown, in units of the time base."""

    @abstractmethod
    def end(self) -> Fraction:
        """Return when the last frame ends, in seconds."""

    def frame(self, index: int) -> Frame:
        """Return one frame.

        Raises:
            FrameIndexError: If the video has no such frame.
            VideoError: If it cannot be read.
        """
        return self._frame(self._checked(index))

    def frames(self, start: int | None = None, stop: int | None = None, step: int = 1) -> Iterator[Frame]:
        """Yield the frames of ``range(start, stop, step)``.

        Backwards, as many frames are decoded ahead as take up some hundred MB at most.

        Args:
            start: The first frame; None for the first one of the video, or backwards the last one.
            stop: The first frame that is left out; None for none.
            step: Distance from one frame to the next; negative for backwards.

        Raises:
            FrameIndexError: If the video lacks one of these frames.
            ValueError: If ``step`` is 0.
            VideoError: If a frame cannot be read.
        """
        if start is None:
            start = 0 if step > 0 else len(self) - 1
        if stop is None:
            stop = len(self) if step > 0 else -1
        indices = range(start, stop, step)
        for end in (indices[0], indices[-1]) if indices else ():
            self._checked(end)
        return map(self.frame, indices) if step > 0 else self._backwards(indices)

    def time_of(self, index: int) -> Fraction:
        """Return when a frame is shown, in seconds, exact, as ``Frame.time``.

        Raises:
            FrameIndexError: If the video has no such frame.
        """
        return self._pts(self._checked(index)) * self.info.time_base

    def index_from(self, seconds: Fraction | float) -> int:
        """Return the index of the first frame shown at a time or later; the number of frames if there is none."""
        return bisect_left(range(len(self)), seconds, key=self.time_of)

    @abstractmethod
    def close(self) -> None:
        """Close the source; a second call does nothing."""

    def __enter__(self: _Video) -> _Video:
        """Return the video itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source."""
        self.close()

    def _backwards(self, indices: range) -> Iterator[Frame]:
        return map(self.frame, indices)

    def _checked(self, index: int) -> int:
        if 0 <= (index := operator.index(index)) < len(self):
            return index
        raise FrameIndexError(
            f"{self.info.source}: has no frame {index}; it has {len(self)} frame(s), 0 to {len(self) - 1}"
        )
