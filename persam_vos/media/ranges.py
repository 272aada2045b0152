"""A range of a video: from one frame or second to another, every frame or every n-th."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from fractions import Fraction

from persam_vos.errors import FrameIndexError, SettingsError
from persam_vos.media.frame import Frame
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.stream import Clip, FrameReader, GeneratorReader, StreamInfo

_POSITION = re.compile(r"(?P<seconds>[0-9]+(\.[0-9]*)?|\.[0-9]+)s|(?P<frame>[0-9]+)")
_ALLOWED = "allowed: a frame, counted from 0, such as 120, or seconds such as 12.5s"

_MAX_OVERSHOOT_SECONDS = Fraction(1, 2)  # of a range's end: the length that other programs tell may be rounded


@dataclass(frozen=True, slots=True)
class FrameAt:
    """A position in a video: the frame of this index."""

    index: int

    def __str__(self) -> str:
        return f"frame {self.index}"


@dataclass(frozen=True, slots=True)
class SecondsAt:
    """A position in a video: the first frame that is shown so many seconds after the video's first one, or later."""

    seconds: Fraction

    def __str__(self) -> str:
        return f"{float(self.seconds):g} s"


Position = FrameAt | SecondsAt


def parse_position(value: str | int) -> Position:
    """Read a position in a video: ``120`` or ``"120"`` is a frame, counted from 0, ``"12.5s"`` a number of seconds.

    Raises:
        SettingsError: If it is neither.

    >>> parse_position("120"), parse_position("12.5s")
    (FrameAt(index=120), SecondsAt(seconds=Fraction(25, 2)))
    """
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        found = _POSITION.fullmatch(str(value).strip())
        if found and found["seconds"]:
            return SecondsAt(Fraction(found["seconds"].removesuffix(".")))
        if found:
            return FrameAt(int(found["frame"]))
    raise SettingsError(f"position in the video is {value!r}; {_ALLOWED}")


@dataclass(frozen=True, slots=True)
class FrameRange:
    """Which frames of a video are wanted; see ``frame_range``.

    Attributes:
        start: The first frame; None for the first one of the video.
        end: The first frame that is left out; None for the end of the video.
        stride: Every so many-th frame, counted from ``start``.
    """

    start: Position | None = None
    end: Position | None = None
    stride: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether this is every frame of any video."""
        return self == FrameRange()

    def clip_of(self, video: RandomAccessVideo) -> Clip:
        """Find the range in a video.

        Raises:
            FrameIndexError: If it is empty, or not in the video.
        """
        count, first, end = len(video), video.time_of(0), video.end()
        length = end - first
        whole = f"{video.info.source}: has {count} frame(s), 0 to {count - 1}, and lasts {float(length):.2f} s"

        def index_of(position: Position) -> int:
            if isinstance(position, FrameAt):
                outside, index = position.index > count, position.index
            else:
                outside = position.seconds > length + _MAX_OVERSHOOT_SECONDS
                index = video.index_from(first + position.seconds)
            if outside:
                way = "starts at" if position == self.start else "goes to"
                raise FrameIndexError(f"{whole}; the range {way} {position}, which is after its end")
            return index

        start, stop = self._ends(index_of, whole)
        stop = count if stop is None else stop
        if start >= count:
            raise FrameIndexError(f"{whole}; the range starts at {self.start}, after the last frame")
        return Clip(start=start, stop=stop, stride=self.stride, end=end if stop == count else video.time_of(stop))

    def clip_by_rate(self, info: StreamInfo) -> Clip:
        """Find the range in frames of which only the rate is known; seconds are counted by that.

        Raises:
            FrameIndexError: If the range is empty.
            SettingsError: If the range is given in seconds, and the frames have no rate.
        """

        def index_of(position: Position) -> int:
            if isinstance(position, FrameAt):
                return position.index
            if info.frame_rate is None:
                raise SettingsError(f"{info.source}: has no frame rate; give the range in frames, not in seconds")
            return math.ceil(position.seconds * info.frame_rate)

        start, stop = self._ends(index_of, str(info.source))
        return Clip(start=start, stop=stop, stride=self.stride, end=None)

    def _ends(self, index_of: Callable[[Position], int], whole: str) -> tuple[int, int | None]:
        start = 0 if self.start is None else index_of(self.start)
        stop = None if self.end is None else index_of(self.end)
        if stop is not None and stop <= start:
            begin = self.start or FrameAt(0)
            raise FrameIndexError(
                f"{whole}; the range from {begin} to {self.end} is empty: its end is the first frame that is left out"
            )
        return start, stop


def frame_range(start: str | int | None = None, end: str | int | None = None, stride: int = 1) -> FrameRange:
    """Return which frames of a video are wanted.

    Args:
        start: The first frame: its index, or seconds as text such as ``"12.5s"``; see ``parse_position``.
        end: The first frame that is left out, given in the same way.
        stride: Every so many-th frame, counted from ``start``; at least 1.

    Raises:
        SettingsError: If one of them is not allowed.
    """
    if not isinstance(stride, int) or isinstance(stride, bool) or stride < 1:
        raise SettingsError(f"stride is {stride!r}; it must be a whole number of frames, at least 1")
    begin, stop = (None if each is None else parse_position(each) for each in (start, end))
    return FrameRange(begin, stop, stride)


class ClipReader(GeneratorReader):
    """Reads a range of a video by seeking; the frames keep their index and time.

    Args:
        video: The video; closed with the reader.
        frames: The range.

    Raises:
        FrameIndexError: If the video has no frame in the range.
    """

    def __init__(self, video: RandomAccessVideo, frames: FrameRange) -> None:
        self._video = video
        clip = frames.clip_of(video)
        self.warnings = video.warnings
        self.info = info_of_clip(video.info, clip)
        self._frames = (frame for frame in video.frames(clip.start, clip.stop, clip.stride))

    def close(self) -> None:
        """Close the video; a second call does nothing."""
        super().close()
        self._video.close()


class SkippingReader(GeneratorReader):
    """Reads a range of frames that can be read only once, from the first one on; the frames keep their index and time.

    Args:
        reader: The frames; closed with this reader.
        clip: The range.
    """

    def __init__(self, reader: FrameReader, clip: Clip) -> None:
        self._reader, self._clip = reader, clip
        self.warnings = reader.warnings
        self.info = info_of_clip(reader.info, clip)
        self._frames = self._deliver()

    def stop(self) -> bool:
        """Wait for nothing any more; see ``FrameReader``."""
        return self._reader.stop()

    def close(self) -> None:
        """Close the frames; a second call does nothing."""
        super().close()
        self._reader.close()

    def _deliver(self) -> Generator[Frame, None, None]:
        clip, count = self._clip, 0
        for frame in self._reader:
            count = frame.index + 1
            if frame.index >= clip.start and (frame.index - clip.start) % clip.stride == 0:
                yield frame
            if clip.stop is not None and count >= clip.stop:
                break
        if count <= clip.start:
            raise FrameIndexError(f"{self.info.source}: has {count} frame(s); the range starts at frame {clip.start}")
        if clip.stop is not None and count < clip.stop:
            self.warnings.append(f"the range goes to frame {clip.stop}; there are {count} frames")


def info_of_clip(info: StreamInfo, clip: Clip) -> StreamInfo:
    """Return the facts about a range of a source."""
    stop = info.frame_count if clip.stop is None else clip.stop
    count = None if stop is None else len(range(clip.start, stop, clip.stride))
    return replace(info, frame_count=count, clip=clip)
