"""What all readers share: their interface, the facts about a source, rising timestamps, upright frames."""

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
from persam_vos.media.colours import BT709, Colours
from persam_vos.media.frame import Frame

DisplayMatrix = npt.NDArray[np.int32]
_Reader = TypeVar("_Reader")


@dataclass(frozen=True, slots=True)
class Clip:
    """A part of a source: frames ``start``, ``start + stride``, ... before ``stop``.

    Attributes:
        start: Index of the first frame.
        stop: Index of the first frame that is left out; None if the source ends first and its length is unknown.
        stride: Distance from one frame to the next.
        end: When the part ends, in seconds as ``Frame.time``; None if that is unknown.
    """

    start: int
    stop: int | None
    stride: int = 1
    end: Fraction | None = None

    @property
    def last(self) -> int | None:
        """Index of the last frame; None if that is unknown."""
        return None if self.stop is None else range(self.start, self.stop, self.stride)[-1]


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Facts about a source, known once it is open.

    Attributes:
        source: The video file, the folder or glob of images, or the image, as it was given.
        width: Width of a frame in pixels, rotation applied.
        height: Height of a frame in pixels, rotation applied.
        frame_rate: Average frames per second of the source, exact (29.97 is 30000/1001), whatever the stride; None if
            the source has none.
        time_base: Seconds per unit of ``Frame.pts``, exact.
        frame_count: Expected number of frames, for progress only, because containers may be wrong; None if unknown.
        has_audio: Whether ``source`` is a file with an audio stream.
        clip: The part of the source that is delivered; None for all of it.
        has_extras: Whether ``source`` is a file with subtitles or chapters.
        address: Of a source that is no file, such as ``http://...`` without a password, ``camera 0`` or ``standard
            input``; "" for others.
        images: Of an image sequence: the file of each frame of the source, by index.
        pixel_aspect: Width of a pixel as it is shown, in its heights, rotation applied: 64/45 for PAL in 16:9.
        colours: How colours are stored, which videos of it keep.
    """

    source: Path
    width: int
    height: int
    frame_rate: Fraction | None
    time_base: Fraction
    frame_count: int | None
    has_audio: bool
    clip: Clip | None = None
    has_extras: bool = False
    address: str = ""
    images: tuple[Path, ...] = ()
    pixel_aspect: Fraction = Fraction(1)
    colours: Colours = BT709

    def name_of(self, frame: int) -> str:
        """Return what the file of a frame is called, without its suffix: an image, else its index in five digits."""
        return self.images[frame].stem if frame < len(self.images) else f"{frame:05d}"


class FrameReader(Protocol):
    """Frames in presentation order, read once from first to last, like the lines of an open file.

    A second ``iter`` goes on where the first one stopped. Memory does not grow with the length of the video.

    Attributes:
        info: Facts about the source.
        warnings: What went wrong without stopping the reader, one line each; complete after the last frame.
    """

    info: StreamInfo
    warnings: list[str]

    def peek(self) -> Frame:
        """Return the next frame; iteration still goes on with it.

        Raises:
            VideoError: If no frame is left, or the next one cannot be used.
        """
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; ``index`` counts from 0 and ``pts`` rises strictly.

        Raises:
            VideoError: If a frame cannot be used, for example because it has another size than the first.
        """
        ...

    def stop(self) -> bool:
        """End with the frames that have come, instead of waiting for more; any thread may call this.

        Returns:
            Whether frames may be missing because of it.
        """
        ...

    def close(self) -> None:
        """Close the source; a second call does nothing."""
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
    _read_ahead: Frame | None = None

    def peek(self) -> Frame:
        """Return the next frame; see ``FrameReader``."""
        if self._read_ahead is None:
            self._read_ahead = next(self._frames, None)
        if self._read_ahead is None:
            raise VideoError(f"{self.info.source}: no frame could be decoded")
        return self._read_ahead

    def __iter__(self) -> Iterator[Frame]:
        """Return the reader itself, so that a second ``iter`` goes on where the first one stopped."""
        return self

    def __next__(self) -> Frame:
        """Return the next frame."""
        frame, self._read_ahead = self._read_ahead, None
        return next(self._frames) if frame is None else frame

    def __enter__(self: _Reader) -> _Reader:
        """Return the reader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the reader."""
        self.close()

    def stop(self) -> bool:
        """Files do not wait, and end as they would; see ``FrameReader``."""
        return False

    def close(self) -> None:
        """Close the source; a second call does nothing."""
        self._read_ahead = None
        self._frames.close()


class Clock:
    """Makes the timestamps of a stream rise strictly.

    A missing timestamp becomes the end of the previous frame. One that does not rise becomes the previous one plus one
    tick. After a jump back of more than a second, time goes on from the end of the previous frame.

    Attributes:
        mended: Number of timestamps that did not rise.
        end: End of the latest frame, in units of the time base.
    """

    def __init__(self, info: StreamInfo) -> None:
        self.mended = 0
        self.end = 0
        self._nominal = max(1, round(1 / (info.frame_rate * info.time_base))) if info.frame_rate else 1
        self._second = round(1 / info.time_base)
        self._offset = 0
        self._previous: int | None = None

    def tick(self, pts: int | None, duration: int) -> int:
        """Return the timestamp of the next frame.

        Args:
            pts: Its timestamp in the file, in units of the time base; None if it has none.
            duration: Its duration in the same units; 0 if unknown.
        """
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

    def warnings(self) -> list[str]:
        """Say how many timestamps were mended, if any."""
        return [f"{self.mended} timestamp(s) did not rise; mended"] if self.mended else []


def upright(rgb: Rgb, matrix: DisplayMatrix) -> Rgb:
    """Rotate and mirror a stored frame by its display matrix.

    Args:
        rgb: uint8, H x W x 3, as stored in the file.
        matrix: int32, 9 values (a b u c d v x y w): the point (x, y) is shown at (a x + c y, b x + d y), y down.

    Returns:
        uint8, contiguous: H x W x 3, or W x H x 3 where the axes are swapped.
    """
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if swaps_axes(matrix):
        rgb, a, d = rgb.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def swaps_axes(matrix: DisplayMatrix) -> bool:
    """Tell whether a display matrix exchanges rows and columns."""
    return abs(int(matrix[1])) > abs(int(matrix[0]))
