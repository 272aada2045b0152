"""Anything that a Python user calls a video becomes a reader."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from persam_vos.errors import VideoError
from persam_vos.files import PathLike
from persam_vos.masks import Rgb
from persam_vos.media.array_reader import ArrayReader
from persam_vos.media.decoding.file_access import VideoFileAccess
from persam_vos.media.photo_files import is_glob
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.ranges import SkippingReader, frame_range
from persam_vos.media.readers import open_random_access, open_video
from persam_vos.media.sources import exact_rate
from persam_vos.media.stream import FrameReader, StreamInfo
from persam_vos.prompts import Span
from persam_vos.settings.video import Settings

WHOLE = Span()
VideoLike = PathLike | FrameReader | Rgb | Iterable[Rgb]
_VIDEOS = "a path, a glob, a reader of open_video, an array N x H x W x 3, or an iterable of arrays H x W x 3"


class VideoSource:
    """A video in any form that ``track`` takes.

    Args:
        video: The video.
        settings: Which reader decodes files.
        frame_rate: Frames per second of images and arrays.
        span: The frames that are tracked.
        masks: Files that are masks: images of a sequence that are no frames.

    Attributes:
        is_read_once: Whether it is an iterator or a reader, whose frames can be read once.
    """

    def __init__(
        self,
        video: VideoLike,
        settings: Settings,
        frame_rate: Fraction | float = 24,
        span: Span = WHOLE,
        masks: Collection[Path] = (),
    ) -> None:
        self._video, self._settings, self._frame_rate = video, settings, exact_rate(frame_rate)
        self._frames = frame_range(*span)
        self._span, self._masks = span, masks
        self._is_reader = isinstance(getattr(video, "info", None), StreamInfo)
        self.is_read_once = self._is_reader or isinstance(video, Iterator)
        self._was_read = False

    def open(self) -> FrameReader:
        """Open the video.

        Raises:
            VideoError: If it cannot be opened, or was an iterator and has been read.
        """
        video: Any = self._video
        if self.is_read_once and self._was_read:
            raise VideoError("the frames of an iterator or a reader can be tracked once; call track with a new one")
        self._was_read = True
        if isinstance(video, (str, os.PathLike)):
            start, end, stride = self._span
            return open_video(
                os.fspath(video),
                backend=self._settings.reader,
                frame_rate=self._frame_rate,
                start=start,
                end=end,
                stride=stride,
                deinterlace=self._settings.deinterlace,
                masks=self._masks,
                max_latency=self._settings.max_latency,
                playlists=self._settings.allow_playlists,
            )
        if self._is_reader:
            return self._cut(video)
        if isinstance(video, np.ndarray) and video.ndim != 4:
            shape = " x ".join(map(str, video.shape))
            raise VideoError(f"video is an array {shape}; allowed: {_VIDEOS}")
        if not isinstance(video, Iterable):
            raise VideoError(f"video is of type {type(video).__name__}; allowed: {_VIDEOS}")
        return self._cut(ArrayReader(video, frame_rate=self._frame_rate))

    def random_access(self) -> RandomAccessVideo:
        """Open the whole video for reading frames in any order.

        Raises:
            VideoError: If its frames can be read once only.
        """
        video: Any = self._video
        if self._is_reader and (video.info.source.exists() or is_glob(video.info.source)):
            video = video.info.source
        elif self.is_read_once or not isinstance(video, (str, os.PathLike, np.ndarray, Sequence)):
            raise VideoError(
                "prompts after the first frame need a video whose frames can be read in any order; give a path, an"
                " array or a list of arrays"
            )
        frames = open_random_access(
            video, frame_rate=self._frame_rate, deinterlace=self._settings.deinterlace, masks=self._masks
        )
        if self._settings.reader != "pyav" and isinstance(frames, VideoFileAccess):
            reader = self._settings.reader
            frames.warnings.append(f"with prompts after the first frame, PyAV reads the video, and not {reader}")
        return frames

    def _cut(self, reader: FrameReader) -> FrameReader:
        """Return the frames of a reader that are tracked."""
        return reader if self._frames.is_whole else SkippingReader(reader, self._frames.clip_by_rate(reader.info))
