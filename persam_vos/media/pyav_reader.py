"""Reads a video file with PyAV: upright frames in full-range RGB."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from persam_vos.errors import VideoError, reason
from persam_vos.masks import Rgb
from persam_vos.media.frame import Frame
from persam_vos.media.stream import Clock, DisplayMatrix, GeneratorReader, StreamInfo, swaps_axes, upright

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
_MAX_SKEW = 0.01  # of a rotation matrix: the ratio of its smaller entry to its larger one
_MAX_MISSING_SECONDS = Fraction(1, 2)  # the length in a header may be rounded


class VideoReader(GeneratorReader):
    """Reads a video file with PyAV.

    Rotation by a multiple of 90 degrees and mirroring are applied. The sample aspect ratio is not: pixels stay as
    stored. HDR is not tone-mapped. Damaged frames that the decoder can conceal are delivered, packets that it cannot
    decode are skipped, and a file that ends early gives the frames that it has; each case adds a warning. Timestamps
    that do not rise are mended (see ``Clock``), so that no frame is lost and no two share a time.

    Args:
        path: The file.

    Raises:
        VideoError: If the file is missing, is not a video, or has no frame that can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.warnings = []
        self._path = path
        self._reformatter = VideoReformatter()
        self._container = open_container(path)
        try:
            self._stream = video_stream(path, self._container)
            self._decoded = self._decode()
            first = self._first_frame()
            self._size = (first.width, first.height)
            self.matrix = _display_matrix(first)
            self._warn_of_skewed_rotation()
            self.info = self._describe()
        except BaseException:
            self._container.close()
            raise
        self._frames = self._deliver(first)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        super().close()
        self._decoded.close()
        self._container.close()

    def _first_frame(self) -> av.VideoFrame:
        first = next(self._decoded, None)
        if first is None:
            told = f" ({'; '.join(self.warnings)})" if self.warnings else ""
            raise VideoError(f"{self._path}: holds no frame that can be decoded{told}")
        return first

    def _describe(self) -> StreamInfo:
        width, height = self._size[::-1] if swaps_axes(self.matrix) else self._size
        rate = self._stream.average_rate or self._stream.guessed_rate
        time_base = self._stream.time_base or Fraction(1, 90000)
        count = self._stream.frames or None
        if count is None and rate and (seconds := self._seconds()):
            count = round(seconds * rate)
        return StreamInfo(
            source=self._path,
            width=width,
            height=height,
            frame_rate=rate or None,
            time_base=time_base,
            frame_count=count,
            has_audio=bool(self._container.streams.audio),
        )

    def _seconds(self) -> Fraction | None:
        """Return the video's length by its header; None if only the whole file, audio included, has one."""
        if self._stream.duration and self._stream.time_base:
            return self._stream.duration * self._stream.time_base
        if self._container.duration and len(self._container.streams) == 1:
            return Fraction(self._container.duration, av.time_base)
        return None

    def _warn_of_skewed_rotation(self) -> None:
        a, b = (int(value) for value in self.matrix[:2])
        if min(abs(a), abs(b)) > _MAX_SKEW * max(abs(a), abs(b)):
            self.warnings.append("the rotation in the metadata is not a multiple of 90 degrees; it is rounded to one")

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        """Yield decoded frames in presentation order; warn of those that could not be decoded."""
        packets = self._container.demux(self._stream)
        damaged = delivered = hidden = 0
        packet: av.Packet[av.VideoStream] | None = None
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self.warnings.append(f"reading stopped early: {reason(error)}")
                packet = None
            if packet is not None and packet.size:
                hidden += packet.is_discard
            try:
                frames = self._stream.decode(packet)
            except av.EOFError:  # the demuxer's last, empty packet has flushed the decoder already
                frames = []
            except av.FFmpegError:
                frames = []
                damaged += 1
            for frame in frames:
                damaged += bool(frame.is_corrupt)
                delivered += 1
                yield frame
            if packet is None:
                break
        if damaged:
            self.warnings.append(f"{damaged} damaged frame(s), concealed or skipped")
        # An index lists all frames (MP4, AVI) or only key frames, so it is never too long.
        if delivered < (expected := len(self._stream.index_entries) - hidden):
            self.warnings.append(f"only {delivered} of {expected} frames could be read")

    def _deliver(self, first: av.VideoFrame) -> Generator[Frame, None, None]:
        clock = Clock(self.info)
        yield self._finish(first, 0, clock)
        for index, decoded in enumerate(self._decoded, start=1):
            if (decoded.width, decoded.height) != self._size:
                raise VideoError(
                    f"{self._path}: frame {index} is {decoded.width} x {decoded.height} pixels, the frames before it"
                    f" are {self._size[0]} x {self._size[1]}; all frames must have one size"
                )
            yield self._finish(decoded, index, clock)
        if clock.mended:
            self.warnings.append(f"{clock.mended} timestamp(s) did not rise; mended")
        expected, start = self._seconds(), (self._stream.start_time or 0) * self.info.time_base
        if expected is not None and (read := clock.end * self.info.time_base - start) < expected - _MAX_MISSING_SECONDS:
            self.warnings.append(f"ends early: {float(read):.2f} of {float(expected):.2f} seconds could be read")

    def _finish(self, decoded: av.VideoFrame, index: int, clock: Clock) -> Frame:
        try:
            rgb = self._to_rgb(decoded)
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{self._path}: frame {index} ({decoded.format.name}) has no conversion to RGB: {error}"
            ) from error
        pts = clock.tick(decoded.pts, decoded.duration or 0)
        return Frame(index=index, pts=pts, time_base=self.info.time_base, rgb=upright(rgb, self.matrix))

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


def _display_matrix(decoded: av.VideoFrame) -> DisplayMatrix:
    data = decoded.side_data.get("DISPLAYMATRIX")
    if data is None:
        return np.array([1, 0, 0, 0, 1, 0, 0, 0, 1], np.int32)
    return np.frombuffer(memoryview(cast(SideData, data)).tobytes(), np.int32, count=9)


def open_container(path: Path) -> av.container.InputContainer:
    """Open a video file; raises ``VideoError`` if it is missing or FFmpeg cannot open it."""
    if not path.is_file():
        raise VideoError(f"{path}: no such file")
    # torchvision before 0.26 makes FFmpeg log through Python, and decoding threads may then wait for ever.
    av.logging.set_level(None)
    try:
        # FFmpeg cannot take a resolved path for one of its protocols ("pipe:", "concat:").
        container = av.open(str(path.resolve()), mode="r", metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: not a video, or damaged or cut short; FFmpeg says: {reason(error)}") from error
    if container.format.name == "tty":  # FFmpeg draws any *.txt as a terminal would
        container.close()
        raise VideoError(f"{path}: a text file, not a video")
    return container


def video_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    """Return the first video stream, ready to decode; raises ``VideoError`` if there is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:  # cover art is not a video
            if stream.codec_context is None:
                raise VideoError(f"{path}: FFmpeg has no decoder for its video stream")
            stream.thread_type = "AUTO"
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none"
    raise VideoError(f"{path}: holds no video stream (its streams: {kinds}); give a video")
