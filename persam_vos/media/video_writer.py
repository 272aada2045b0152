"""Pictures become a video file: H.264 in MP4, at the source's times and with its audio."""

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
from persam_vos.files import check_file, output_errors, partial_path
from persam_vos.masks import Rgb
from persam_vos.media.audio import AudioTrack
from persam_vos.media.frame import Frame
from persam_vos.media.stream import StreamInfo

_BT709 = 1  # as matrix, primaries and transfer alike
# Of x264. ``superfast`` takes two thirds of the time of ``veryfast``, for as good a picture in a tenth more bytes.
VIDEO_OPTIONS = {"preset": "superfast", "crf": "18"}
_NOMINAL_RATE = Fraction(25)  # for the encoder's rate control, where the source names no rate


class VideoWriter:
    """Encodes pictures, one per frame of a source.

    Frames keep the exact presentation times of the source. If these start below 0, which MP4 cannot hold, video and
    audio are moved together so that the first frame is at 0. An odd width or height is made even by repeating the last
    column or row, because 4:2:0 video has no odd sizes. Colours are BT.709, limited range, and tagged so. Audio is cut
    at the end of the last frame if the source has more frames, else all of it is kept.

    Nothing is written under the final name before ``close``.

    Args:
        path: The file; its folder exists.
        info: The source of the frames.

    Attributes:
        warnings: What went wrong without stopping the writer, one line each.

    Raises:
        OutputError: If a folder of that name is in the way.
    """

    def __init__(self, path: Path, info: StreamInfo) -> None:
        self.warnings: list[str] = []
        self._info = info
        self._path = path
        check_file(path)
        self._partial = partial_path(path)
        self._container: av.container.OutputContainer | None = None
        self._reformatter = VideoReformatter()
        self._audio: AudioTrack | None = None
        self._shift = 0
        self._last = 0

    def write(self, frame: Frame, picture: Rgb) -> None:
        """Encode the picture of a frame, and the audio up to it.

        Args:
            frame: Whose time the picture gets.
            picture: uint8, H x W x 3, of the frame's size.

        Raises:
            OutputError: If the file cannot be written.
        """
        with _writing(self._path):
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
        """Finish the file and give it its name; what was written, nothing if there was no frame.

        Raises:
            OutputError: If the file cannot be finished.
        """
        if self._container is None:
            return ()
        with _writing(self._path):
            self._mux_video(self._container, None)
            if self._audio is not None:
                self._audio.finish(self._last, self._nominal_duration)
                self.warnings += self._audio.warnings
                self._audio.close()
            self._container.close()
            self._container = None
            self._partial.replace(self._path)
        return (self._path,)

    def abort(self) -> None:
        """Remove what was written; nothing has, or had, the final name."""
        if self._audio is not None:
            self._audio.close()
        if self._container is not None:
            with suppress(OSError, ValueError, av.FFmpegError):
                self._container.close()
            self._container = None
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)

    def _open(self, frame: Frame) -> av.container.OutputContainer:
        rate = self._info.frame_rate or _NOMINAL_RATE
        time_base = frame.time_base
        self._nominal_duration = max(1, round(1 / (rate * time_base)))
        # A late start is held in units of the whole movie: take the video's own, or it is rounded to milliseconds.
        options = {"movie_timescale": str(time_base.denominator)}
        container = av.open(str(self._partial), "w", format="mp4", options=options)
        try:
            stream = container.add_stream("libx264", rate=rate, options=dict(VIDEO_OPTIONS))
            stream.width, stream.height = frame.width + frame.width % 2, frame.height + frame.height % 2
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = time_base
            context = stream.codec_context
            context.color_range = ColorRange.MPEG
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            self._stream = stream
            if self._info.has_audio:
                self._audio = AudioTrack(self._info.source, container, shift=self._shift * time_base)
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
            packet.duration = self._nominal_duration  # matters for the last frame only: the others end at the next
            container.mux(packet)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raise ``OutputError``, naming the file, for what the system or FFmpeg says while writing."""
    with output_errors(path):
        try:
            yield
        except av.FFmpegError as error:
            raise OutputError(f"{path}: cannot be written ({reason(error)})") from error
