"""Anything that a Python user calls a video becomes a reader."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from persam_vos.errors import VideoError
from persam_vos.files import PathLike
from persam_vos.masks import Rgb
from persam_vos.media.array_reader import ArrayReader
from persam_vos.media.photo_files import is_glob
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.readers import open_random_access, open_video
from persam_vos.media.sources import exact_rate
from persam_vos.media.stream import FrameReader, StreamInfo
from persam_vos.settings.video import Settings

VideoLike = PathLike | FrameReader | Rgb | Iterable[Rgb]
_VIDEOS = "a path, a glob, a reader of open_video, an array N x H x W x 3, or an iterable of arrays H x W x 3"


class VideoSource:
    """A video in any form that ``track`` takes.

    Attributes:
        is_read_once: Whether it is an iterator or a reader, whose frames can be read once.
    """

    def __init__(self, video: VideoLike, settings: Settings, frame_rate: Fraction | float) -> None:
        self._video, self._settings, self._frame_rate = video, settings, exact_rate(frame_rate)
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
        if self._is_reader:
            reader: FrameReader = video
            return reader
        if isinstance(video, (str, os.PathLike)):
            return open_video(os.fspath(video), backend=self._settings.reader, frame_rate=self._frame_rate)
        if isinstance(video, np.ndarray) and video.ndim != 4:
            shape = " x ".join(map(str, video.shape))
            raise VideoError(f"video is an array {shape}; allowed: {_VIDEOS}")
        if not isinstance(video, Iterable):
            raise VideoError(f"video is of type {type(video).__name__}; allowed: {_VIDEOS}")
        return ArrayReader(video, frame_rate=self._frame_rate)

    def open_again(self) -> RandomAccessVideo:
        """Open the video so that its frames can be read in any order.

        Raises:
            VideoError: If it was an iterator or a reader, or cannot be opened.
        """
        video: Any = self._video
        if self._is_reader and (video.info.source.exists() or is_glob(video.info.source)):
            return open_random_access(video.info.source, frame_rate=self._frame_rate)
        if self.is_read_once:
            raise VideoError("prompts after the first frame need a video that can be read again: give a path or arrays")
        return open_random_access(video, frame_rate=self._frame_rate)
