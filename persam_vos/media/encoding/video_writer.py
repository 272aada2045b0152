"""Encodes pictures into a video file, at the source's times and with its audio.

The file is made in parts, so that a run that is killed loses only what came after the last part.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av

from persam_vos.errors import OutputError, reason
from persam_vos.files import PartialFile, check_file, output_errors
from persam_vos.media.encoding.side_tracks import SideTracks
from persam_vos.media.encoding.video_encoder import Picture, VideoEncoder, close_quietly, open_output
from persam_vos.media.encoding.video_formats import H264, VideoFormat
from persam_vos.media.encoding.video_parts import VideoParts, joined_packets
from persam_vos.media.frame import Frame, FramesDone
from persam_vos.media.stream import StreamInfo

_FALLBACK_FRAME_RATE = Fraction(25)  # frames per second for the encoder's rate control if the source has none


class VideoWriter:
    """Encodes one picture per frame of a source.

    Frames keep the exact presentation times of the source. MP4 cannot hold times below 0: if the source starts there,
    video and audio are moved together so that the first frame is at 0. WebM rounds times to milliseconds. H.264 has no
    odd sizes here: an odd width or height is made even by repeating the last column or row. Colours are stored as in
    the source, and tagged so. All audio tracks and the chapters are kept. Audio is cut at the end of the last frame if
    the source has more frames, else all of it is kept.

    Of a range of the source (``StreamInfo.clip``), the first frame is at 0, the last one lasts until the end of the
    range, and the audio is that of the range.

    Pictures go into a part, which ``checkpoint`` completes. ``close`` joins the parts, adds the audio, and gives the
    file its final name.

    Args:
        path: The file, with the suffix of its format; its folder exists.
        info: What the source of the frames says of itself.
        video_format: What the file is.

    Attributes:
        warnings: What went wrong without stopping the writer, one line each.

    Raises:
        OutputError: If a folder of that name is in the way, or pictures of this size cannot be encoded.
    """

    def __init__(self, path: Path, info: StreamInfo, video_format: VideoFormat = H264) -> None:
        self.warnings: list[str] = []
        self._info, self._format = info, video_format
        check_file(path)
        video_format.check(info.width, info.height)
        self._file, self._parts = PartialFile(path), VideoParts(path)
        self._part: VideoEncoder | None = None
        self._begun = False
        self._shift = self._last = self._last_index = 0
        self._rate = (info.frame_rate or _FALLBACK_FRAME_RATE) / (info.clip.stride if info.clip else 1)
        # Of a frame, in units of the time base.
        self._nominal_duration = max(1, round(1 / (self._rate * info.time_base)))

    def write(self, frame: Frame, picture: Picture) -> None:
        """Encode the picture of a frame.

        Args:
            frame: The frame, which gives the picture its time.
            picture: uint8, of the frame's size: H x W, grey; H x W x 3, RGB; or H x W x 4, RGBA.

        Raises:
            OutputError: If the file cannot be written.
        """
        with _writing(self._file.path):
            if not self._begun:
                self._parts.begin()
                self._shift, self._begun = self._shift_of(frame.pts), True
            if self._part is None:
                given = self._format, self._rate, self._info
                self._part = VideoEncoder(self._parts.unfinished, frame, *given)
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
            self._copy(self._parts.paths(), self._file.partial, sides=self._info.has_audio or self._info.has_extras)
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

    def _copy(self, parts: Sequence[Path], target: Path, *, sides: bool = False, until: Fraction | None = None) -> None:
        """Join parts into one file, up to the frame at a time in seconds, and add the source's audio and chapters."""
        time_base, shift = self._info.time_base, self._shift * self._info.time_base
        last, end = self._last * time_base - shift, self._end() - shift
        packets = joined_packets(parts, self._nominal_duration * time_base, self._format.reordered)
        with self._new(target) as container, closing(packets):
            first = next(packets)
            begin = first.dts or 0
            stream = container.add_stream_from_template(first.stream, opaque=True)
            _describe_as(stream, first.stream, self._format)
            with closing(self._sides(container)) if sides else nullcontext() as track:
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

    @contextmanager
    def _new(self, path: Path) -> Iterator[av.container.OutputContainer]:
        """Open a file, and complete it at the end of the ``with`` block, or let go of it at an error."""
        container = open_output(path, self._format, self._info.time_base)
        try:
            yield container
            container.close()
        except BaseException:
            close_quietly(container)
            raise

    def _sides(self, container: av.container.OutputContainer) -> SideTracks:
        shift = self._shift * self._info.time_base
        ends = None if self._info.clip is None else (shift, self._end())
        # Named in warnings; the container has a temporary name.
        return SideTracks(self._info.source, container, shift=shift, end=self._end(), target=self._file.path, ends=ends)


def _describe_as(stream: av.VideoStream, part: av.VideoStream, video_format: VideoFormat) -> None:
    """Let a stream tell what a copy loses: which ProRes it is; that a WebM file has alpha."""
    if video_format.container == "webm":
        stream.metadata.update(part.metadata)
    else:
        stream.codec_context.codec_tag = part.codec_context.codec_tag


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


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn errors of the system and of FFmpeg while writing into an ``OutputError`` that names the file."""
    with output_errors(path):
        try:
            yield
        except av.FFmpegError as error:
            raise OutputError(f"{path}: cannot be written ({reason(error)})") from error
