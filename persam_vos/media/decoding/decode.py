"""Decodes the packets of a video with PyAV, and says what its header says."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from persam_vos.errors import VideoError, reason
from persam_vos.media.decoding.container import decoder_with_alpha, open_container, video_stream
from persam_vos.media.decoding.frame_maker import FrameMaker
from persam_vos.media.decoding.shown_times import ShownTimes
from persam_vos.media.stream import StreamInfo

# Frames a second. Files that claim more mostly tell the unit of their times; an encoder would take it for a flood.
_HIGHEST_RATE = 240
_MEASURED_FRAMES = 120
_MAX_MISSING_SECONDS = Fraction(1, 2)  # the length in a header may be rounded


@dataclass(slots=True)
class Tally:
    """What happened while a stream was decoded.

    Attributes:
        delivered: Frames decoded.
        damaged: Frames that were concealed, and packets that could not be decoded.
        hidden: Packets that an edit list hides.
        stopped: Why reading stopped before the end; empty if it did not.
    """

    delivered: int = 0
    damaged: int = 0
    hidden: int = 0
    stopped: str = ""

    def warnings(self, stream: av.VideoStream) -> list[str]:
        """Say what went wrong, one line each, once the whole stream has been decoded."""
        found = [f"reading stopped early: {self.stopped}"] if self.stopped else []
        if self.damaged:
            found.append(f"{self.damaged} damaged frame(s), concealed or skipped")
        # An index lists all frames (MP4, AVI) or only key frames, so it is never too long.
        if self.delivered < (expected := len(stream.index_entries) - self.hidden):
            found.append(f"only {self.delivered} of {expected} frames could be read")
        return found


def decode(
    stream: av.VideoStream,
    packets: Iterator[av.Packet[av.VideoStream]],
    tally: Tally,
    times: ShownTimes | None = None,
) -> Generator[av.VideoFrame, None, None]:
    """Yield the frames of packets, in presentation order; skip packets that cannot be decoded.

    Args:
        stream: The video.
        packets: Its packets, in the order of the file.
        tally: Told what happens.
        times: Gives the frames their times, where FFmpeg would guess them.
    """
    decoder = decoder_with_alpha(stream) or stream
    packet: av.Packet[av.VideoStream] | None = None
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            tally.stopped = reason(error)
            packet = None
        if packet is not None and packet.size:
            tally.hidden += packet.is_discard
            if times is not None:
                times.add(packet)
        try:
            frames = decoder.decode(packet)
        except av.EOFError:  # the demuxer's last, empty packet has flushed the decoder already
            frames = []
        except av.FFmpegError:
            frames = []
            tally.damaged += 1
            if times is not None and packet is not None:
                times.drop(packet)
        for frame in frames:
            tally.damaged += bool(frame.is_corrupt)
            tally.delivered += 1
            if times is not None:
                frame.pts = times.take()
            yield frame
        if packet is None:
            return


def first_frame(path: Path, stream: av.VideoStream, frames: Iterator[av.VideoFrame], tally: Tally) -> av.VideoFrame:
    """Return the next of the decoded frames; raises ``VideoError`` if there is none."""
    if (first := next(frames, None)) is None:
        told = "; ".join(tally.warnings(stream))
        raise VideoError(f"{path}: holds no frame that can be decoded{told and f' ({told})'}")
    return first


def describe(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream, maker: FrameMaker
) -> StreamInfo:
    """Say what the header of a file says of its video; ``frame_count`` may be wrong."""
    rate, count = stream.average_rate or stream.guessed_rate, stream.frames or None
    if rate and rate > _HIGHEST_RATE and (measured := _measured_rate(path, stream)):
        rate, count = measured, None
    if count is None and rate and (seconds := _seconds(container, stream)):
        count = round(seconds * rate)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return StreamInfo(
        source=path,
        width=maker.width,
        height=maker.height,
        frame_rate=rate or None,
        time_base=time_base_of(stream),
        frame_count=count,
        has_audio=bool(container.streams.audio),
        has_extras=bool(container.streams.subtitles or container.chapters()),
        pixel_aspect=1 / aspect if maker.swaps_axes else aspect,
        colours=maker.colours,
    )


def _measured_rate(path: Path, stream: av.VideoStream) -> Fraction | None:
    """Return the rate of the first frames of a file by their times; None of what is no file, or has one frame."""
    times: list[int] = []
    with suppress(VideoError, av.FFmpegError), open_container(path) as probe:
        for packet in probe.demux(video_stream(path, probe)):
            time = packet.dts if packet.pts is None else packet.pts
            if packet.size and time is not None:
                times.append(time)
            if len(times) == _MEASURED_FRAMES:
                break
    if len(times) < 2 or (seconds := (max(times) - min(times)) * time_base_of(stream)) <= 0:
        return None
    return (Fraction(len(times) - 1) / seconds).limit_denominator(1001)


def time_base_of(stream: av.VideoStream) -> Fraction:
    """Return the seconds per unit of a stream's timestamps."""
    return stream.time_base or Fraction(1, 90000)


def end_warnings(container: av.container.InputContainer, stream: av.VideoStream, end: int) -> list[str]:
    """Say whether the frames read end, at ``end`` in units of the time base, before the header's end."""
    time_base, expected = time_base_of(stream), _seconds(container, stream)
    read = (end - (stream.start_time or 0)) * time_base
    if expected is None or read >= expected - _MAX_MISSING_SECONDS:
        return []
    return [f"ends early: {float(read):.2f} of {float(expected):.2f} seconds could be read"]


def _seconds(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    """Return the video's length by its header; None if only the whole file, audio included, has one."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    if container.duration and len(container.streams) == 1:
        return Fraction(container.duration, av.time_base)
    return None
