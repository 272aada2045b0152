"""Pictures go in; out comes a file with their video alone, which may be a part of a longer one."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, VideoReformatter

from persam_vos.media.colours import BT709, SWSCALE_MATRICES
from persam_vos.media.encoding.video_formats import VideoFormat
from persam_vos.media.frame import Frame
from persam_vos.media.stream import StreamInfo

Picture = npt.NDArray[np.uint8]
"""uint8: H x W, grey; H x W x 3, RGB; or H x W x 4, RGBA."""

_OF_CHANNELS = {1: "gray", 3: "rgb24", 4: "rgba"}


class VideoEncoder:
    """Encodes pictures into a file, without audio. Colours are stored and tagged as in the source.

    Args:
        path: The file; its folder exists.
        frame: The first one.
        video_format: What the file is.
        rate: Frames per second, for the encoder's rate control and level.
        info: What the source says of colours and of the shape of pixels.

    Attributes:
        first_index: Of the first frame.
    """

    def __init__(self, path: Path, frame: Frame, video_format: VideoFormat, rate: Fraction, info: StreamInfo) -> None:
        self.first_index = frame.index
        self._format, self._time_base, self._colours = video_format, frame.time_base, info.colours
        full = info.colours.full_range and video_format.full_range
        self._range = ColorRange.JPEG if full else ColorRange.MPEG
        told = not video_format.transfers or info.colours.transfer in video_format.transfers
        self._transfer = info.colours.transfer if told else BT709.transfer
        self._reformatter = VideoReformatter()
        self._container = open_output(path, video_format, frame.time_base)
        try:
            encoder = video_format.encoder_for(frame.width)
            stream = cast(
                av.VideoStream, self._container.add_stream(encoder, rate=rate, options=dict(video_format.options))
            )
            odd_columns, odd_rows = (side % 2 if video_format.even else 0 for side in (frame.width, frame.height))
            stream.width, stream.height = frame.width + odd_columns, frame.height + odd_rows
            stream.pix_fmt = video_format.pixels
            stream.time_base = stream.codec_context.time_base = frame.time_base
            context = stream.codec_context
            context.color_range = self._range
            context.sample_aspect_ratio = info.pixel_aspect
            context.colorspace, context.color_primaries = info.colours.matrix, info.colours.primaries
            context.color_trc = self._transfer
            self._stream = stream
        except BaseException:
            self._container.close()
            raise

    def write(self, picture: Picture, pts: int) -> None:
        """Encode a picture with a presentation time in units of the first frame's time base."""
        encodable = self._encodable(picture)
        encodable.pts, encodable.time_base = pts, self._time_base
        self._container.mux(self._stream.encode(encodable))

    def close(self) -> None:
        """Complete the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abort(self) -> None:
        """Let go of the file; never raises."""
        close_quietly(self._container)

    def _encodable(self, picture: Picture) -> av.VideoFrame:
        odd_rows, odd_columns = (side % 2 if self._format.even else 0 for side in picture.shape[:2])
        if odd_rows or odd_columns:
            grown = cv2.copyMakeBorder(picture, 0, odd_rows, 0, odd_columns, cv2.BORDER_REPLICATE)
            picture = np.asarray(grown, np.uint8)
        source = _OF_CHANNELS[1 if picture.ndim == 2 else picture.shape[2]]
        made = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=source)
        # The picture has the primaries of the source: swscale would convert those that it is not told.
        made.color_primaries, made.color_trc = self._colours.primaries, self._transfer
        encodable = self._reformatter.reformat(
            made,
            format=self._format.pixels,
            src_color_range=ColorRange.JPEG,
            dst_color_range=self._range,
            dst_colorspace=SWSCALE_MATRICES.get(self._colours.matrix, self._colours.matrix),
            dst_color_primaries=self._colours.primaries,
            dst_color_trc=self._transfer,
            # From 8 to 10 bits, several threads now and then leave wrong pixels where their parts meet.
            threads=1 if "10" in self._format.pixels else 0,
        )
        # swscale has one name for two matrices.
        encodable.colorspace = self._colours.matrix
        return encodable


def open_output(path: Path, video_format: VideoFormat, time_base: Fraction) -> av.container.OutputContainer:
    """Open a file for a video whose times are in units of ``time_base`` seconds."""
    options = video_format.container_options(time_base)
    return av.open(str(path), "w", format=video_format.container, options=options)


def close_quietly(container: av.container.OutputContainer) -> None:
    """Let go of a file; never raises."""
    with suppress(OSError, ValueError, av.FFmpegError):
        container.close()
