"""What a path means: a video file, or the images of a folder, of a glob, or a single one."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

from persam_vos.errors import SettingsError, VideoError
from persam_vos.files import PathLike
from persam_vos.media.decoding.animations import is_animation
from persam_vos.media.image_reader import as_video_errors
from persam_vos.media.photo_files import is_glob, list_images

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


def find_source(source: PathLike) -> tuple[Path, list[Path]]:
    """Find out what a path means.

    A path that exists is taken literally, even if it contains ``*``, ``?`` or ``[``. Otherwise these make it a glob.

    Returns:
        The path, and the images in natural order; none for a video file.

    Raises:
        VideoError: If it is missing, is a device or an address, or is a folder or a glob without images.
    """
    text = os.fspath(source)
    if not text:
        raise VideoError("the path of the video is empty; give a video, a folder of images or a glob")
    if "://" in text:
        raise VideoError(
            f"{text}: is an address, whose frames can be read once, from first to last; download it, and give the file"
        )
    path = Path(text)
    if path.is_char_device() or path.is_block_device() or path.is_socket() or path.is_fifo():
        what = "pipe and no file; give - to read standard input," if path.is_fifo() else "device and no file; give"
        raise VideoError(f"{text}: is a {what} a video, a folder of images or a glob")
    if path.is_dir() or is_glob(text):
        with as_video_errors():
            return path, list_images(text, suffixes=_IMAGE_SUFFIXES, noun="JPEG or PNG image")
    if not path.exists():
        raise VideoError(
            f"{text}: no such file or folder; give a video, a folder of JPEG or PNG images, a glob of them, or an image"
        )
    return path, [path] if path.suffix.lower() in _IMAGE_SUFFIXES and not is_animation(path) else []
