"""Opens a path as a video: a video file, a folder or glob of images, or a single image."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Literal

from persam_vos.errors import SettingsError, VideoError
from persam_vos.files import PathLike
from persam_vos.media.decord_reader import DecordReader
from persam_vos.media.image_reader import ImageReader, as_video_errors
from persam_vos.media.photo_files import is_glob, list_images
from persam_vos.media.pyav_reader import VideoReader
from persam_vos.media.stream import FrameReader

Backend = Literal["pyav", "decord"]
_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
# A rate given as a decimal number, such as 29.97002997, is taken for a fraction such as 30000/1001.
_MAX_RATE_DENOMINATOR = 1001


def exact_rate(frame_rate: Fraction | float) -> Fraction:
    """Return frames per second as a fraction.

    Raises:
        SettingsError: If it is no number above 0.

    >>> exact_rate(29.97002997), exact_rate(25)
    (Fraction(30000, 1001), Fraction(25, 1))
    """
    try:
        rate = Fraction(frame_rate)
    except (TypeError, ValueError, OverflowError):
        rate = Fraction(0)
    if rate <= 0:
        raise SettingsError(f"frame rate is {frame_rate}; it must be frames per second, above 0")
    return rate.limit_denominator(_MAX_RATE_DENOMINATOR) if isinstance(frame_rate, float) else rate


def open_video(
    source: PathLike, *, backend: Backend = "pyav", frame_rate: Fraction | float = Fraction(24)
) -> FrameReader:
    """Open a video, or images as a video.

    A path that exists is taken literally, even if it contains ``*``, ``?`` or ``[``. Otherwise these make it a glob.

    Args:
        source: A video file, a folder of JPEG or PNG images, a glob of them, or one such image.
        backend: The decoder of video files, ``"pyav"`` or ``"decord"``; images are not affected.
        frame_rate: Frames per second of images; a video file has its own.

    Returns:
        A reader, to be closed (it is a context manager).

    Raises:
        SettingsError: If ``backend`` or ``frame_rate`` is not allowed.
        VideoError: If ``source`` is missing, is neither a video nor an image, or holds no frame.
        MissingDependencyError: If ``backend`` is not installed.

    >>> from persam_vos import demo_clip
    >>> with open_video(demo_clip().video) as reader:
    ...     print(reader.info.width, reader.info.height, reader.info.frame_rate, reader.peek().time)
    640 360 25 0
    """
    if backend not in ("pyav", "decord"):
        raise SettingsError(f"reader is {backend!r}; allowed: pyav, decord")
    rate, source = exact_rate(frame_rate), os.fspath(source)
    if not source:
        raise VideoError("the path of the video is empty; give a video, a folder of images or a glob")
    if "://" in source:
        raise VideoError(f"{source}: is an address; download it, and give the file")
    path = Path(source)
    if path.is_char_device() or path.is_block_device() or path.is_socket():
        raise VideoError(f"{source}: is a device and no file; give a video, a folder of images or a glob")
    if path.is_dir() or is_glob(source):
        with as_video_errors():
            images = list_images(source, suffixes=_IMAGE_SUFFIXES, noun="JPEG or PNG image")
        return ImageReader(path, images, frame_rate=rate)
    if path.exists():
        if path.suffix.lower() in _IMAGE_SUFFIXES:
            return ImageReader(path, [path], frame_rate=rate)
        return VideoReader(path) if backend == "pyav" else DecordReader(path)
    raise VideoError(
        f"{source}: no such file or folder; give a video, a folder of JPEG or PNG images, a glob of them, or an image"
    )
