"""Decodes a video with PyAV: its packets, and upright frames in full-range RGB."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from persam_vos.errors import VideoError, reason
from persam_vos.masks import Rgb
from persam_vos.media.frame import Frame
from persam_vos.media.shown_times import ShownTimes
from persam_vos.media.stream import DisplayMatrix, StreamInfo, swaps_axes, upright

# From the colour matrix in a frame's tag (numbers of H.273) to swscale's name of it. Untagged video is read as BT.601
# whatever its size, as swscale, ffmpeg and decord do. Matrices not listed go to swscale under their own number.
_SWSCALE_COLORSPACES = {
    0: Colorspace.DEFAULT,
    1: Colorspace.ITU709,
    2: Colorspace.DEFAULT,
    3: Colorspace.DEFAULT,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    10: 9,  # BT.2020 with constant luminance, which swscale has no conversion for, as without
}
_MAX_MISSING_SECONDS = Fraction(1, 2)  # the length in a header may be rounded
_MAX_SKEW = 0.01  # of a rotation matrix: the ratio of its smaller entry to its larger one


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
            frames = stream.decode(packet)
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


class FrameMaker:
    """Makes upright RGB frames of decoded ones, which must all have the size of the first.

    Args:
        path: The file, for messages.
        first: The first frame of the stream, which says how it is rotated.
        time_base: Seconds per unit of ``Frame.pts``.

    Attributes:
        width: Width of a frame in pixels, rotation applied.
        height: Height of a frame in pixels, rotation applied.
        swaps_axes: Whether rows of the file are columns of a frame.
        warnings: What is doubtful about the rotation.
    """

    def __init__(self, path: Path, first: av.VideoFrame, time_base: Fraction) -> None:
        self._path, self._time_base = path, time_base
        self._size = (first.width, first.height)
        self._matrix = _display_matrix(first)
        self._reformatter = VideoReformatter()
        self.swaps_axes = swaps_axes(self._matrix)
        self.width, self.height = self._size[::-1] if self.swaps_axes else self._size
        self.warnings: list[str] = []
        a, b = (int(value) for value in self._matrix[:2])
        if min(abs(a), abs(b)) > _MAX_SKEW * max(abs(a), abs(b)):
            self.warnings.append("the rotation in the metadata is not a multiple of 90 degrees; it is rounded to one")

    def make(self, decoded: av.VideoFrame, index: int, pts: int) -> Frame:
        """Return a decoded frame as the one at ``index``, shown at ``pts``.

        Raises:
            VideoError: If it has another size than the first, or no conversion to RGB.
        """
        if (decoded.width, decoded.height) != self._size:
            raise VideoError(
                f"{self._path}: frame {index} is {decoded.width} x {decoded.height} pixels, the frames before it"
                f" are {self._size[0]} x {self._size[1]}; all frames must have one size"
            )
        try:
            rgb = self._to_rgb(decoded)
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{self._path}: frame {index} ({decoded.format.name}) has no conversion to RGB: {error}"
            ) from error
        return Frame(index=index, pts=pts, time_base=self._time_base, rgb=upright(rgb, self._matrix))

    def _to_rgb(self, decoded: av.VideoFrame) -> Rgb:
        full = decoded.color_range == ColorRange.JPEG or decoded.format.name.startswith("yuvj")
        converted = self._reformatter.reformat(
            decoded,
            format="rgb24",
            src_colorspace=None if decoded.format.is_rgb else _SWSCALE_COLORSPACES.get(decoded.colorspace),
            src_color_range=ColorRange.JPEG if full or decoded.format.is_rgb else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.BICUBIC,  # of the chroma, as ffmpeg does
        )
        return cast(Rgb, converted.to_ndarray())


def describe(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream, maker: FrameMaker
) -> StreamInfo:
    """Say what the header of a file says of its video; ``frame_count`` may be wrong."""
    rate = stream.average_rate or stream.guessed_rate
    count = stream.frames or None
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
        pixel_aspect=1 / aspect if maker.swaps_axes else aspect,
    )


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


def _display_matrix(decoded: av.VideoFrame) -> DisplayMatrix:
    data = decoded.side_data.get("DISPLAYMATRIX")
    if data is None:
        return np.array([1, 0, 0, 0, 1, 0, 0, 0, 1], np.int32)
    return np.frombuffer(memoryview(cast(SideData, data)).tobytes(), np.int32, count=9)
