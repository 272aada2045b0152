"""What every reader shares: the protocol, what a source says of itself, rising timestamps, upright frames."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from persam_vos.errors import VideoError
from persam_vos.masks import Rgb
from persam_vos.media.frame import Frame

DisplayMatrix = npt.NDArray[np.int32]
_Reader = TypeVar("_Reader")


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a source says of itself when it is opened.

    Attributes:
        source: The video file, the folder or glob of images, or the image, as it was given.
        width: Width in pixels of the frames as they are delivered, rotation applied.
        height: Height in pixels of the frames as they are delivered, rotation applied.
        frame_rate: Average frames per second, exact (29.97 is 30000/1001); None where the source does not say.
        time_base: Seconds per unit of ``Frame.pts``, exact.
        frame_count: How many frames to expect, for a progress bar only: containers may be off; None where unknown.
        has_audio: Whether ``source`` is a file with an audio stream.
    """

    source: Path
    width: int
    height: int
    frame_rate: Fraction | None
    time_base: Fraction
    frame_count: int | None
    has_audio: bool


class FrameReader(Protocol):
    """Frames in presentation order, read once from first to last, like the lines of an open file.

    A second ``iter`` goes on where the first one stopped. Memory does not grow with the length of the source.

    Attributes:
        info: What the source says of itself.
        warnings: What went wrong without stopping the reader, one line each; complete once the last frame is read.
    """

    info: StreamInfo
    warnings: list[str]

    @property
    def first(self) -> Frame:
        """The first frame, before or after iteration begins; iteration delivers it all the same.

        Raises:
            VideoError: If the source has no frame.
        """
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; ``index`` counts from 0 and ``pts`` rises strictly.

        Raises:
            VideoError: If a frame cannot be used, for instance because it has another size than the first.
        """
        ...

    def close(self) -> None:
        """Let go of the source; more than once does no harm."""
        ...

    def __enter__(self: _Reader) -> _Reader:
        """Return the reader itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the reader."""
        ...


class GeneratorReader:
    """Base of the readers: delivers the frames of one generator, ``_frames``, and closes it; see ``FrameReader``."""

    info: StreamInfo
    warnings: list[str]
    _frames: Generator[Frame, None, None]
    _first: Frame | None = None
    _read_ahead: Frame | None = None

    @property
    def first(self) -> Frame:
        """The first frame; see ``FrameReader``."""
        if self._first is None:
            self._read_ahead = next(self, None)
        if self._first is None:
            raise VideoError(f"{self.info.source}: no frame could be decoded")
        return self._first

    def __iter__(self) -> Iterator[Frame]:
        """Return the reader itself, so that a second ``iter`` goes on where the first one stopped."""
        return self

    def __next__(self) -> Frame:
        """Return the next frame."""
        frame, self._read_ahead = self._read_ahead, None
        if frame is None:
            frame = next(self._frames)
        if self._first is None:
            self._first = frame
        return frame

    def __enter__(self: _Reader) -> _Reader:
        """Return the reader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the reader."""
        self.close()

    def close(self) -> None:
        """Let go of the source; more than once does no harm."""
        self._read_ahead = None
        self._frames.close()


class Clock:
    """Turns the timestamps of a stream into strictly rising ones.

    A missing timestamp becomes the end of the previous frame. One that does not rise becomes the previous one plus one
    tick; if it jumps back by more than a second, time goes on from the end of the previous frame instead.

    Attributes:
        mended: How many timestamps did not rise.
        end: Where the latest frame ends.
    """

    def __init__(self, info: StreamInfo) -> None:
        self.mended = 0
        self.end = 0
        self._nominal = max(1, round(1 / (info.frame_rate * info.time_base))) if info.frame_rate else 1
        self._second = round(1 / info.time_base)
        self._offset = 0
        self._previous: int | None = None

    def tick(self, pts: int | None, duration: int) -> int:
        """Return the timestamp of the next frame, in units of the time base; a duration of 0 is an unknown one."""
        result = self.end if pts is None else pts + self._offset
        if self._previous is not None and result <= self._previous:
            self.mended += 1
            if self._previous - result > self._second:
                self._offset += self.end - result
                result = self.end
            else:
                result = self._previous + 1
        self._previous, self.end = result, result + (duration or self._nominal)
        return result


def upright(rgb: Rgb, matrix: DisplayMatrix) -> Rgb:
    """Turn and mirror a stored frame as its display matrix asks.

    Args:
        rgb: uint8, H x W x 3, as stored.
        matrix: int32, 9 values (a b u c d v x y w): the point (x, y) is shown at (a x + c y, b x + d y), y down.

    Returns:
        uint8, contiguous: H x W x 3, or W x H x 3 where the axes are swapped.
    """
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if swaps_axes(matrix):
        rgb, a, d = rgb.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def swaps_axes(matrix: DisplayMatrix) -> bool:
    """Tell whether a display matrix makes rows of columns."""
    return abs(int(matrix[1])) > abs(int(matrix[0]))
