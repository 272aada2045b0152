"""Opens a path as a video: a video file, a folder or glob of images, or a single image."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from persam_vos.errors import SettingsError
from persam_vos.files import PathLike
from persam_vos.masks import Rgb
from persam_vos.media.decoding.animations import AnimationAccess, AnimationReader, is_animated_webp
from persam_vos.media.decoding.decord_reader import DecordReader
from persam_vos.media.decoding.file_access import VideoFileAccess
from persam_vos.media.decoding.live_reader import LiveReader
from persam_vos.media.decoding.live_sources import live_source
from persam_vos.media.decoding.pyav_reader import VideoReader
from persam_vos.media.image_reader import ImageReader, Images
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.ranges import ClipReader, SkippingReader, frame_range
from persam_vos.media.sources import exact_rate, find_source
from persam_vos.media.still_access import ArrayAccess, ImageAccess
from persam_vos.media.stream import FrameReader

Backend = Literal["pyav", "decord"]


def open_video(
    source: PathLike,
    *,
    backend: Backend = "pyav",
    frame_rate: Fraction | float = Fraction(24),
    start: str | int | None = None,
    end: str | int | None = None,
    stride: int = 1,
    deinterlace: bool = False,
    masks: Collection[Path] = (),
    max_latency: float | None = None,
    playlists: bool = False,
) -> FrameReader:
    """Open a video, or images as a video, or a range of its frames.

    A path that exists is taken literally, even if it contains ``*``, ``?`` or ``[``. Otherwise these make it a glob.
    The frames of a range keep their index and time; what lies before it is skipped without decoding all of it.

    Args:
        source: A video file, a folder of JPEG or PNG images, a glob of them, or one such image; an address such as
            ``rtsp://...``, a camera such as ``0``, or ``-`` for standard input.
        backend: The decoder of video files, ``"pyav"`` or ``"decord"``; images are not affected.
        frame_rate: Frames per second of images; a video file has its own.
        start: The first frame: its index, or as text seconds after the video's first frame, such as ``"12.5s"``.
        end: The first frame that is left out, given in the same way; None for the end of the video.
        stride: Every so many-th frame, counted from ``start``.
        deinterlace: Make every second row of interlaced frames anew; PyAV only.
        masks: Files that are masks: images of a sequence that are no frames.
        max_latency: Of an address, a camera or standard input: drop frames that come more than so many seconds late;
            None to drop none.
        playlists: Whether files such as HLS playlists may lead FFmpeg to other files and addresses.

    Returns:
        A reader, to be closed (it is a context manager).

    Raises:
        SettingsError: If ``backend``, ``frame_rate`` or the range is not allowed.
        FrameIndexError: If the video has no frame in the range.
        VideoError: If ``source`` is missing, is neither a video nor an image, or holds no frame.
        MissingDependencyError: If ``backend`` is not installed.

    >>> from persam_vos import demo_clip
    >>> with open_video(demo_clip().video) as reader:
    ...     print(reader.info.width, reader.info.height, reader.info.frame_rate, reader.peek().time)
    640 360 25 0
    """
    if backend not in ("pyav", "decord"):
        raise SettingsError(f"reader is {backend!r}; allowed: pyav, decord")
    if deinterlace and backend == "decord":
        raise SettingsError("deinterlace goes with the reader pyav, and decord is given; leave out one of the two")
    frames, rate = frame_range(start, end, stride), exact_rate(frame_rate)
    if (live := live_source(source, playlists=playlists)) is not None:
        reader = LiveReader(live, deinterlace=deinterlace, max_latency=max_latency)
        return reader if frames.is_whole else SkippingReader(reader, frames.clip_by_rate(reader.info))
    if not frames.is_whole:
        video = open_random_access(source, frame_rate=rate, deinterlace=deinterlace, masks=masks)
        try:
            if backend == "pyav" or not isinstance(video, VideoFileAccess):
                return ClipReader(video, frames)
            with video:
                return SkippingReader(DecordReader(video.files[0]), frames.clip_of(video))
        except BaseException:
            video.close()
            raise
    path, images = find_source(source)
    if images:
        return ImageReader(Images(path, images, frame_rate=rate, masks=masks))
    if is_animated_webp(path):
        return AnimationReader(path)
    return VideoReader(path, deinterlace=deinterlace) if backend == "pyav" else DecordReader(path)


def open_random_access(
    source: PathLike | Rgb | Sequence[Rgb],
    *,
    frame_rate: Fraction | float = Fraction(24),
    deinterlace: bool = False,
    masks: Collection[Path] = (),
) -> RandomAccessVideo:
    """Open a video whose frames are read in any order.

    Args:
        source: What ``open_video`` takes; or an array N x H x W x 3, or N arrays H x W x 3, uint8, RGB.
        frame_rate: Frames per second of images and arrays; a video file has its own.
        deinterlace: Make every second row of interlaced frames anew.
        masks: Files that are masks: images of a sequence that are no frames.

    Returns:
        The video, to be closed (it is a context manager).

    Raises:
        SettingsError: If ``frame_rate`` is not allowed.
        VideoError: If ``source`` is missing, is neither a video nor an image, or holds no frame.

    >>> from persam_vos import demo_clip
    >>> with open_random_access(demo_clip().video) as video:
    ...     print(len(video), video.frame(30).time, [frame.index for frame in video.frames(12, 0, -5)])
    50 6/5 [12, 7, 2]
    """
    rate = exact_rate(frame_rate)
    if isinstance(source, np.ndarray) or not isinstance(source, (str, os.PathLike)):
        return ArrayAccess(source, frame_rate=rate)
    path, images = find_source(source)
    if images:
        return ImageAccess(Images(path, images, frame_rate=rate, masks=masks))
    return AnimationAccess(path) if is_animated_webp(path) else VideoFileAccess(path, deinterlace=deinterlace)
