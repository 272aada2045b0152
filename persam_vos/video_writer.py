"""Videos drawn from the results: H.264 in MP4, at the source's times and with its audio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from persam_vos.audio import AudioTrack
from persam_vos.draw import draw_cutout, draw_overlay
from persam_vos.frame import Frame, Rgb
from persam_vos.objects import FrameResult
from persam_vos.result_files import check_file, check_size, output_errors
from persam_vos.stream import StreamInfo

_BT709 = 1  # as matrix, primaries and transfer alike
# Of x264. ``superfast`` takes two thirds of the time of ``veryfast``, for as good a picture in a tenth more bytes.
VIDEO_OPTIONS = {"preset": "superfast", "crf": "18"}
_NOMINAL_RATE = Fraction(25)  # for the encoder's rate control, where the source names no rate


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What a writer is told when it is made.

    Attributes:
        folder: Where its file goes; exists.
        info: The source of the frames.
        background: RGB, 0..255, behind objects that are cut out.
    """

    folder: Path
    info: StreamInfo
    background: tuple[int, int, int] = (0, 0, 0)


class VideoWriter(ABC):
    """Encodes one drawn frame per result; a subclass says what is drawn.

    Frames keep the exact presentation times of the source; only if these start below 0, which MP4 cannot hold, video
    and audio are moved together so that the first frame is at 0. An odd width or height is made even by repeating the
    last column or row, because 4:2:0 video has no odd sizes. Colours are BT.709, limited range, and tagged so. Audio
    is cut at the end of the last frame if the source has more frames, else it is all there.

    Nothing is written under the final name before ``close``.

    Args:
        settings: Folder, source and background.

    Attributes:
        name: The file's name in the folder.
        warnings: What went wrong without stopping the writer, one line each.
    """

    name: str

    def __init__(self, settings: ExportSettings) -> None:
        self.warnings: list[str] = []
        self.settings = settings
        self._path = settings.folder / self.name
        check_file(self._path)
        self._partial = settings.folder / f".{self.name}.partial"
        self._container: av.container.OutputContainer | None = None
        self._reformatter = VideoReformatter()
        self._audio: AudioTrack | None = None
        self._shift = 0
        self._last = 0

    @abstractmethod
    def draw(self, frame: Frame, result: FrameResult) -> Rgb:
        """Return the picture of a frame: uint8, H x W x 3, the frame's size."""

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Draw and encode a frame, and the audio up to it.

        Raises:
            MaskSizeError: If the label map has another size than the frame.
            OutputError: If the file cannot be written.
        """
        check_size(result.label_map, frame.rgb, f"frame {frame.index}")
        with output_errors(self._path):
            if self._container is None:
                self._shift = min(0, frame.pts)
                self._container = self._open(frame)
            picture = self._encodable(self.draw(frame, result))
            picture.pts, picture.time_base = frame.pts - self._shift, frame.time_base
            self._last = frame.pts
            self._mux_video(self._container, picture)
            if self._audio is not None:
                self._audio.advance(frame.seconds)

    def close(self) -> tuple[Path, ...]:
        """Finish the file and give it its name; what was written, nothing if there was no frame.

        Raises:
            OutputError: If the file cannot be finished.
        """
        if self._container is None:
            return ()
        with output_errors(self._path):
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
        rate = self.settings.info.frame_rate or _NOMINAL_RATE
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
            if self.settings.info.has_audio:
                self._audio = AudioTrack(self.settings.info.source, container, shift=self._shift * time_base)
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


class OverlayWriter(VideoWriter):
    """Writes ``overlay.mp4``: the frames with each object tinted and outlined."""

    name = "overlay.mp4"

    def draw(self, frame: Frame, result: FrameResult) -> Rgb:
        """Return the frame with its objects tinted."""
        return draw_overlay(frame.rgb, result.label_map)


class CutoutWriter(VideoWriter):
    """Writes ``cutout.mp4``: the objects alone on a plain background."""

    name = "cutout.mp4"

    def draw(self, frame: Frame, result: FrameResult) -> Rgb:
        """Return the objects on the background."""
        return draw_cutout(frame.rgb, result.label_map, self.settings.background)
