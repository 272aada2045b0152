"""Encodes pictures into a video file: H.264 in MP4, at the source's times and with its audio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from persam_vos.errors import OutputError, reason
from persam_vos.files import PartialFile, check_file, output_errors
from persam_vos.masks import Rgb
from persam_vos.media.audio import AudioTrack
from persam_vos.media.frame import Frame
from persam_vos.media.stream import StreamInfo

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

    The file gets its final name in ``close``.

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
        self._file = PartialFile(path)
        self._container: av.container.OutputContainer | None = None
        self._reformatter = VideoReformatter()
        self._audio: AudioTrack | None = None
        self._shift = 0
        self._last = 0

    def write(self, frame: Frame, picture: Rgb) -> None:
        """Encode the picture of a frame, and the audio up to it.

        Args:
            frame: The frame, which gives the picture its time.
            picture: uint8, H x W x 3, of the frame's size.

        Raises:
            OutputError: If the file cannot be written.
        """
        with _writing(self._file.path):
            if self._container is None:
                self._shift = min(0, frame.pts)
                self._container = self._open(frame)
            encodable = self._encodable(picture)
            encodable.pts, encodable.time_base = frame.pts - self._shift, frame.time_base
            self._last = frame.pts
            self._mux_video(self._container, encodable)
            if self._audio is not None:
                self._audio.advance(frame.time)

    def close(self) -> tuple[Path, ...]:
        """Finish the file and return its path, or nothing if there was no frame.

        Raises:
            OutputError: If the file cannot be finished.
        """
        if self._container is None:
            return ()
        with _writing(self._file.path):
            self._mux_video(self._container, None)
            if self._audio is not None:
                self._audio.finish(self._last, self._nominal_duration)
                self.warnings += self._audio.warnings
                self._audio.close()
            self._container.close()
            self._container = None
            return (self._file.finish(),)

    def abort(self) -> None:
        """Remove the unfinished file; never raises, and leaves a finished one alone."""
        if self._audio is not None:
            self._audio.close()
        if self._container is not None:
            with suppress(OSError, ValueError, av.FFmpegError):
                self._container.close()
            self._container = None
        self._file.discard()

    def _open(self, frame: Frame) -> av.container.OutputContainer:
        rate = self._info.frame_rate or _FALLBACK_FRAME_RATE
        time_base = frame.time_base
        self._nominal_duration = max(1, round(1 / (rate * time_base)))
        # MP4 stores a late start in units of the whole movie: milliseconds, unless it is told the video's own units.
        options = {"movie_timescale": str(time_base.denominator)}
        container = av.open(str(self._file.partial), "w", format="mp4", options=options)
        try:
            stream = container.add_stream("libx264", rate=rate, options=dict(X264_OPTIONS))
            stream.width, stream.height = frame.width + frame.width % 2, frame.height + frame.height % 2
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = time_base
            context = stream.codec_context
            context.color_range = ColorRange.MPEG
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            self._stream = stream
            if self._info.has_audio:
                self._audio = AudioTrack(
                    self._info.source, container, shift=self._shift * time_base, target=self._file.path
                )
        except BaseException:
            container.close()
            raise
        return container

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

    def _mux_video(self, container: av.container.OutputContainer, picture: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(picture):
            packet.duration = self._nominal_duration  # counts for the last frame only: others end where the next begins
            container.mux(packet)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn errors of the system and of FFmpeg while writing into an ``OutputError`` that names the file."""
    with output_errors(path):
        try:
            yield
        except av.FFmpegError as error:
            raise OutputError(f"{path}: cannot be written ({reason(error)})") from error
