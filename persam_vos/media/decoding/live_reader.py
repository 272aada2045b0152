"""Reads what can be read once and may break off: addresses, cameras, standard input."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from fractions import Fraction

import av

from persam_vos.errors import SettingsError, VideoError
from persam_vos.media.decoding.container import other_videos, video_stream
from persam_vos.media.decoding.decode import Tally, decode, describe, first_frame, time_base_of
from persam_vos.media.decoding.frame_maker import FrameMaker
from persam_vos.media.decoding.live_sources import LiveSource
from persam_vos.media.frame import Frame
from persam_vos.media.stream import Clock, GeneratorReader, StreamInfo

_LOG = logging.getLogger(__name__)
# Seconds before each try to connect again; after the last one, the video ends.
RETRY_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# Lost connections that have lines of their own at the beginning, and as many at the end.
TOLD_LOSSES = 5


class LiveReader(GeneratorReader):
    """Reads frames as they come, once.

    A connection that is lost is made again, with growing delays; each loss is a warning, and logged at once. A
    recording goes on behind the last frame that was read, a live stream with what is shown by then. Frames count from 0
    without gaps, whatever was lost or dropped; their times go on.

    Args:
        source: What is read.
        deinterlace: Make every second row of interlaced frames anew.
        max_latency: Drop frames that are read more than so many seconds late, by their times, compared with the
            frame that was the least late; None to drop none.

    Raises:
        SettingsError: If ``max_latency`` is not above 0.
        VideoError: If it cannot be opened, or has no frame that can be decoded.
    """

    def __init__(self, source: LiveSource, *, deinterlace: bool = False, max_latency: float | None = None) -> None:
        if max_latency is not None and not max_latency > 0:
            raise SettingsError(f"max_latency is {max_latency}; it must be a number of seconds above 0")
        self.warnings = []
        self._source = source
        self._latency = None if max_latency is None else _Latency(max_latency)
        self._tally, self._losses, self._stopped = Tally(), _Losses(self.warnings), threading.Event()
        self._connection = _Connection(source, self._tally, self._stopped)
        try:
            first = self._connection.first()
            stream = self._connection.stream
            self._maker = FrameMaker(source.path, first, time_base_of(stream), deinterlace=deinterlace)
            self.info = self._connection.info(self._maker)
        except BaseException:
            self._connection.close()
            raise
        self.warnings += [*other_videos(self._connection.container, stream), *self._maker.warnings]
        if self._connection.container.streams.audio:
            self.warnings.append(f"the audio of {source.name} is not kept")
        self._ended = False
        self._frames = self._deliver(first)

    def stop(self) -> bool:
        """Wait for nothing any more; see ``FrameReader``."""
        self._stopped.set()
        return not self._ended

    def close(self) -> None:
        """Close the source; a second call does nothing."""
        self.stop()
        super().close()
        self._connection.close()

    def _deliver(self, first: av.VideoFrame) -> Generator[Frame, None, None]:
        clock, index = Clock(self.info), 0
        for decoded in self._all(first):
            pts = clock.tick(decoded.pts, decoded.duration or 0)
            if self._latency is None or self._latency.is_in_time(pts * self.info.time_base):
                yield self._maker.make(decoded, index, pts)
                index += 1
        self._ended = True
        if self._latency is not None and self._latency.dropped:
            self.warnings.append(
                f"{self._latency.dropped} frame(s) were dropped, since they came more than"
                f" {self._latency.limit:g} s late; {index} are delivered"
            )
        if self._stopped.is_set():
            self.warnings.append(f"reading was stopped after {index} frame(s)")
        if self._tally.damaged:
            self.warnings.append(f"{self._tally.damaged} damaged frame(s), concealed or skipped")
        self.warnings += clock.warnings()

    def _all(self, first: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Yield all frames, over all connections."""
        begin, last, count = _identity(first), first.pts, 1
        yield first
        while True:
            for decoded in self._connection.frames:
                last, count = decoded.pts, count + 1
                yield decoded
            lost = self._connection.lost
            if not lost or not self._source.is_remote or (again := self._reconnect(count, lost)) is None:
                return
            if _identity(again) == begin and last is not None:  # a recording that begins anew
                behind = (each for each in self._connection.frames if each.pts is not None and each.pts > last)
                if (again := next(behind, None)) is None:
                    self.warnings[-1] = f"ended after {count} frame(s) ({lost}), and a second connection had no more"
                    return
            last, count = again.pts, count + 1
            yield again

    def _reconnect(self, count: int, lost: str) -> av.VideoFrame | None:
        """Connect again; return the first frame, or None if no try succeeds."""
        name, began = self._source.name, time.monotonic()
        self._connection.close()
        _LOG.warning("%s: connection lost after %d frames (%s); connecting again", name, count, lost)
        for delay in RETRY_DELAYS:
            if self._stopped.wait(delay):
                self._losses.add(f"the connection was lost after {count} frame(s) ({lost})")
                return None
            try:
                self._connection = _Connection(self._source, self._tally, self._stopped, self.info.time_base)
                first = self._connection.first()
            except VideoError as error:
                _LOG.warning("%s", error)
                self._connection.close()
                continue
            seconds = time.monotonic() - began
            self._losses.add(
                f"the connection was lost after {count} frame(s) ({lost}), and is back {seconds:.1f} s later"
            )
            _LOG.warning("%s: connected again after %.1f seconds", name, seconds)
            if self._latency is not None:
                self._latency.begin_anew()
            return first
        self.warnings.append(
            f"the connection was lost after {count} frame(s) ({lost}), and {len(RETRY_DELAYS)} tries to connect again"
            " failed; the video ends there"
        )
        return None


def _identity(frame: av.VideoFrame) -> tuple[int | None, bytes]:
    """Return what tells the beginning of a recording from that of a stream: time and picture."""
    return frame.pts, hashlib.sha256(bytes(frame.planes[0])).digest()


class _Connection:
    """One connection to a source: its container, its stream and its frames.

    Args:
        source: What is opened.
        tally: Of all connections to it.
        stopped: Set when nobody waits for frames any more.
        time_base: Seconds per unit of the times of frames; None for the stream's own.

    Attributes:
        container: The open container.
        stream: The video.
        frames: Its frames.
    """

    def __init__(
        self, source: LiveSource, tally: Tally, stopped: threading.Event, time_base: Fraction | None = None
    ) -> None:
        self._source, self._tally = source, tally
        self._tally.stopped = ""
        self.container = source.open(stopped)
        try:
            self.stream = video_stream(source.path, self.container)
        except BaseException:
            self.container.close()
            raise
        frames, own = decode(self.stream, self.container.demux(self.stream), self._tally), time_base_of(self.stream)
        self.frames = frames if time_base is None or time_base == own else _rescaled(frames, own, time_base)

    @property
    def lost(self) -> str:
        """Why reading stopped before the end; empty if it did not."""
        return self._tally.stopped

    def first(self) -> av.VideoFrame:
        """Return the first frame.

        Raises:
            VideoError: If there is none.
        """
        return first_frame(self._source.path, self.stream, self.frames, self._tally)

    def info(self, maker: FrameMaker) -> StreamInfo:
        """Say what the header says; audio is not read."""
        info = describe(self._source.path, self.container, self.stream, maker)
        return replace(info, has_audio=False, has_extras=False, address=self._source.name)

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self.frames.close()
        with suppress(av.FFmpegError, OSError):
            self.container.close()


def _rescaled(
    frames: Generator[av.VideoFrame, None, None], own: Fraction, time_base: Fraction
) -> Generator[av.VideoFrame, None, None]:
    """Yield frames whose times are in other units."""
    with closing(frames):
        for frame in frames:
            if frame.pts is not None:
                frame.pts = round(frame.pts * own / time_base)
            frame.duration, frame.time_base = round((frame.duration or 0) * own / time_base), time_base
            yield frame


class _Losses:
    """Tells of lost connections: of the first and the last ones with a line each, of those between by their number.

    Args:
        warnings: Gets the lines.
    """

    def __init__(self, warnings: list[str]) -> None:
        self._warnings = warnings
        self._lines: list[str] = []
        self._between = 0

    def add(self, line: str) -> None:
        """Tell of one more loss."""
        self._lines.append(line)
        self._warnings.append(line)
        if len(self._lines) <= 2 * TOLD_LOSSES:
            return
        oldest = self._warnings.index(self._lines.pop(TOLD_LOSSES))
        if self._between:
            del self._warnings[oldest]
            oldest = self._warnings.index(self._summary)
        self._between += 1
        self._warnings[oldest] = self._summary

    @property
    def _summary(self) -> str:
        return f"{self._between} more losses of the connection"


class _Latency:
    """Tells which frames come too late.

    Attributes:
        limit: Seconds that a frame may be late.
        dropped: Frames that were too late.
    """

    def __init__(self, limit: float) -> None:
        self.limit, self.dropped = limit, 0
        self._least: float | None = None

    def begin_anew(self) -> None:
        """Forget how late frames were so far."""
        self._least = None

    def is_in_time(self, media_time: Fraction) -> bool:
        """Tell whether a frame that is read now, and shown at a time in seconds, is not too late; count it if it is."""
        late = time.monotonic() - float(media_time)
        self._least = late if self._least is None else min(self._least, late)
        if late - self._least <= self.limit:
            return True
        self.dropped += 1
        return False
