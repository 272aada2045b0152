"""Encodes pictures into a video file: H.264 in MP4, at the source's times and with its audio.

The file is made in parts, so that a run that is killed loses only what came after the last part.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from persam_vos.errors import OutputError, reason
from persam_vos.files import PartialFile, check_file, output_errors
from persam_vos.masks import Rgb
from persam_vos.media.audio import AudioTrack
from persam_vos.media.frame import Frame, FramesDone
from persam_vos.media.stream import StreamInfo
from persam_vos.media.video_parts import VideoParts, joined_packets

_BT709 = 1  # the number of the matrix, the primaries and the transfer function in H.273
# For x264. ``superfast`` needs two thirds of the time of ``veryfast`` and 10% more bytes for the same quality.
X264_OPTIONS = {"preset": "superfast", "crf": "18"}
_FALLBACK_FRAME_RATE = Fraction(25)  # frames per second for the encoder's rate control if the source has none


class VideoWriter:
    """Encodes one picture per frame of a source.

    Frames keep the exact presentation times of the source. MP4 cannot hold times below 0: if the source starts there,
    video and audio are moved together so that the first frame is at 0. 4:2:0 video has no odd sizes: an odd width or
    height is made even by repeating the last column or row. Colours are tagged BT.709, limited range. Audio is cut at
    the end of the last frame if the source has more frames, else all of it is kept.

    Of a range of the source (``StreamInfo.clip``), the first frame is at 0, the last one lasts until the end of the
    range, and the audio is that of the range.

    Pictures go into a part, which ``checkpoint`` completes. ``close`` joins the parts, adds the audio, and gives the
    file its final name.

    Args:
        path: The file; its folder exists.
        info: What the source of the frames says of itself.

    Attributes:
        warnings: What went wrong without stopping the writer, one line each.

    Raises:
        OutputError: If a folder of that name is in the way.
    """

    def __init__(self, path: Path, info: StreamInfo) -> None:
        self.warnings: list[str] = []
        self._info = info
        check_file(path)
        self._file, self._parts = PartialFile(path), VideoParts(path)
        self._part: _Part | None = None
        self._begun = False
        self._shift = self._last = self._last_index = 0
        self._rate = (info.frame_rate or _FALLBACK_FRAME_RATE) / (info.clip.stride if info.clip else 1)
        # Of a frame, in units of the time base.
        self._nominal_duration = max(1, round(1 / (self._rate * info.time_base)))

    def write(self, frame: Frame, picture: Rgb) -> None:
        """Encode the picture of a frame.

        Args:
            frame: The frame, which gives the picture its time.
            picture: uint8, H x W x 3, of the frame's size.

        Raises:
            OutputError: If the file cannot be written.
        """
        with _writing(self._file.path):
            if not self._begun:
                self._parts.begin()
                self._shift, self._begun = self._shift_of(frame.pts), True
            if self._part is None:
                self._part = _Part(self._parts.unfinished, frame, self._rate, self._info.pixel_aspect)
            self._part.write(picture, frame.pts - self._shift)
            self._last, self._last_index = frame.pts, frame.index

    def checkpoint(self) -> None:
        """Complete a part; see ``ResumableWriter``."""
        if self._part is not None:
            with _writing(self._file.path):
                self._part.close()
                self._parts.add(self._part.first_index)
            self._part = None

    def resume(self, done: FramesDone) -> None:
        """Go on after the frames of an earlier run; see ``ResumableWriter``."""
        self._begun, self._shift = True, self._shift_of(done.first_pts)
        self._last, self._last_index = done.last_pts, done.last_index
        with _writing(self._file.path):
            if self._file.path.exists() and not self._parts.paths():
                self._take_apart(done)
            self._parts.drop_after(done.last_index)
        self._parts.check(done.count)

    def close(self) -> tuple[Path, ...]:
        """Finish the file and return its path, or nothing if there was no frame.

        Raises:
            OutputError: If the file cannot be finished.
        """
        if not self._begun:
            return ()
        self.checkpoint()
        with _writing(self._file.path):
            self._copy(self._parts.paths(), self._file.partial, audio=self._info.has_audio)
            path = self._file.finish()
        self._parts.discard()
        self._begun = False
        return (path,)

    def suspend(self) -> None:
        """Leave the complete parts to a later run; see ``ResumableWriter``."""
        if self._part is not None:
            self._part.abort()
            self._part = None
        self._file.discard()

    def abort(self) -> None:
        """Remove the unfinished file; never raises, and leaves a finished one alone."""
        self.suspend()
        self._parts.discard()

    def _shift_of(self, first_pts: int) -> int:
        """Return what is subtracted from the times of a video that begins at ``first_pts``, in the same units."""
        return min(0, first_pts) if self._info.clip is None else first_pts

    def _end(self) -> Fraction:
        """Return when the last frame ends, in seconds of the source."""
        clip = self._info.clip
        if clip is not None and clip.end is not None and self._last_index == clip.last:
            return clip.end
        return (self._last + self._nominal_duration) * self._info.time_base

    def _take_apart(self, done: FramesDone) -> None:
        """Make the file of an interrupted run, as far as it counts, the first part of this one."""
        self._parts.begin()
        until = (done.last_pts - self._shift) * self._info.time_base
        self._copy([self._file.path], self._parts.unfinished, until=until)
        self._parts.add(done.first_index)
        self._file.path.unlink()

    def _copy(self, parts: Sequence[Path], target: Path, *, audio: bool = False, until: Fraction | None = None) -> None:
        """Join parts into one file, up to the frame at a time in seconds, and add the source's audio."""
        time_base, shift = self._info.time_base, self._shift * self._info.time_base
        last, end = self._last * time_base - shift, self._end() - shift
        packets = joined_packets(parts, self._nominal_duration * time_base)
        with _new_mp4(target, time_base) as container, closing(packets):
            first = next(packets)
            begin = first.dts or 0
            stream = container.add_stream_from_template(first.stream, opaque=True)
            with closing(self._audio(container)) if audio else nullcontext() as track:
                for packet, is_last in _with_last(chain([first], packets)):
                    time = (packet.pts or 0) * packet.time_base
                    if until is not None and time > until:
                        continue
                    if time == last:
                        packet.duration = round((end - time) / packet.time_base)
                    elif is_last:
                        _lengthen(packet, begin, end)
                    packet.stream = stream
                    container.mux_one(packet)
                    if track is not None:
                        track.advance(time + shift)
                if track is not None:
                    track.finish(self._last, self._nominal_duration)
                    self.warnings += track.warnings

    def _audio(self, container: av.container.OutputContainer) -> AudioTrack:
        shift = self._shift * self._info.time_base
        ends = None if self._info.clip is None else (shift, self._end())
        # Named in warnings; the container has a temporary name.
        return AudioTrack(self._info.source, container, shift=shift, target=self._file.path, ends=ends)


class _Part:
    """Encodes pictures into a file of their own, without audio.

    Args:
        path: The file; its folder exists.
        frame: The first one.
        rate: Frames per second, for the encoder's rate control.
        pixel_aspect: Width of a pixel as it is shown, in its heights.

    Attributes:
        first_index: Of the first frame.
    """

    def __init__(self, path: Path, frame: Frame, rate: Fraction, pixel_aspect: Fraction) -> None:
        self.first_index = frame.index
        self._time_base = frame.time_base
        self._reformatter = VideoReformatter()
        self._container = _open_mp4(path, frame.time_base)
        try:
            stream = self._container.add_stream("libx264", rate=rate, options=dict(X264_OPTIONS))
            stream.width, stream.height = frame.width + frame.width % 2, frame.height + frame.height % 2
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = frame.time_base
            context = stream.codec_context
            context.color_range = ColorRange.MPEG
            context.sample_aspect_ratio = pixel_aspect
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            self._stream = stream
        except BaseException:
            self._container.close()
            raise

    def write(self, picture: Rgb, pts: int) -> None:
        """Encode a picture, uint8, H x W x 3, with a presentation time in units of the first frame's time base."""
        encodable = self._encodable(picture)
        encodable.pts, encodable.time_base = pts, self._time_base
        self._container.mux(self._stream.encode(encodable))

    def close(self) -> None:
        """Complete the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abort(self) -> None:
        """Let go of the file; never raises."""
        _close_quietly(self._container)

    def _encodable(self, rgb: Rgb) -> av.VideoFrame:
        odd_rows, odd_columns = rgb.shape[0] % 2, rgb.shape[1] % 2
        if odd_rows or odd_columns:
            rgb = np.asarray(cv2.copyMakeBorder(rgb, 0, odd_rows, 0, odd_columns, cv2.BORDER_REPLICATE), np.uint8)
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(rgb, format="rgb24"),
            format="yuv420p",
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            dst_colorspace=Colorspace.ITU709,
        )


def _lengthen(packet: av.Packet[av.VideoStream], begin: int, end: Fraction) -> None:
    """Let the packet that is stored last last so long that all durations, from ``begin``, add up to the video's.

    MP4 tells a video's length by that sum, which differs where the rate varies, as frames are not stored as shown.
    """
    ticks = round(end / packet.time_base)
    missing = min(ticks - (packet.dts or 0) + begin, ticks - (packet.pts or 0))
    packet.duration = max(packet.duration or 0, missing)


def _with_last(
    packets: Iterator[av.Packet[av.VideoStream]],
) -> Generator[tuple[av.Packet[av.VideoStream], bool], None, None]:
    """Yield packets, and whether each is the last one."""
    previous = next(packets)
    for packet in packets:
        yield previous, False
        previous = packet
    yield previous, True


def _open_mp4(path: Path, time_base: Fraction) -> av.container.OutputContainer:
    # MP4 stores a late start in units of the whole movie: milliseconds, unless it is told the video's own units.
    return av.open(str(path), "w", format="mp4", options={"movie_timescale": str(time_base.denominator)})


def _close_quietly(container: av.container.OutputContainer) -> None:
    with suppress(OSError, ValueError, av.FFmpegError):
        container.close()


@contextmanager
def _new_mp4(path: Path, time_base: Fraction) -> Iterator[av.container.OutputContainer]:
    """Open a file, and complete it at the end of the ``with`` block, or let go of it at an error."""
    container = _open_mp4(path, time_base)
    try:
        yield container
        container.close()
    except BaseException:
        _close_quietly(container)
        raise


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn errors of the system and of FFmpeg while writing into an ``OutputError`` that names the file."""
    with output_errors(path):
        try:
            yield
        except av.FFmpegError as error:
            raise OutputError(f"{path}: cannot be written ({reason(error)})") from error
