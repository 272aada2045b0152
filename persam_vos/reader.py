"""A path becomes a stream of frames: video files, folders and globs of images, single images."""

from __future__ import annotations

import glob
import re
import struct
from collections.abc import Generator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from persam_vos.decord_reader import DecordReader
from persam_vos.errors import SettingsError, VideoError
from persam_vos.frame import Frame, Rgb
from persam_vos.stream import FrameReader, GeneratorReader, StreamInfo
from persam_vos.video_reader import VideoReader

__all__ = ["FrameReader", "ImageReader", "StreamInfo", "open_reader"]

Backend = Literal["pyav", "decord"]

_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
# What Pillow raises on bad files, those with bad EXIF among them.
_IMAGE_ERRORS = (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error, Image.DecompressionBombError)
_EXIF_ORIENTATION = 0x0112
_EXIF_SWAPS_AXES = range(5, 9)


def open_reader(source: str | Path, *, backend: Backend = "pyav", frame_rate: Fraction = Fraction(24)) -> FrameReader:
    """Open whatever ``source`` names.

    A path that exists is taken as it is, even where it holds ``*``, ``?`` or ``[``; else these make it a glob.

    Args:
        source: A video file, a folder of JPEG or PNG images, a glob of them, or one such image.
        backend: What decodes video files, ``"pyav"`` or ``"decord"``; images are not affected.
        frame_rate: Frames per second that images are given; a video file has its own.

    Returns:
        A reader, to be closed (it is a context manager).

    Raises:
        SettingsError: If ``backend`` or ``frame_rate`` is not allowed.
        VideoError: If ``source`` is missing, is no video and no image, or holds no frame.
        MissingDependencyError: If ``backend`` is not installed.
    """
    if backend not in ("pyav", "decord"):
        raise SettingsError(f"reader is {backend!r}; allowed: pyav, decord")
    if frame_rate <= 0:
        raise SettingsError(f"frame rate is {frame_rate}; it must be above 0")
    if not str(source) or "://" in str(source):
        raise VideoError(f"{str(source)!r} is no path; give a file, a folder or a glob; addresses are not read")
    path = Path(source)
    if path.is_dir():
        return ImageReader(path, _images_in_folder(path), frame_rate=frame_rate)
    if path.exists():
        if path.suffix.lower() in _IMAGE_SUFFIXES:
            return ImageReader(path, [path], frame_rate=frame_rate)
        return VideoReader(path) if backend == "pyav" else DecordReader(path)
    if any(character in str(source) for character in "*?["):
        return ImageReader(path, _images_of_glob(str(source)), frame_rate=frame_rate)
    raise VideoError(
        f"{source}: no such file or folder; give a video, a folder of JPEG or PNG images, a glob of them, or an image"
    )


class ImageReader(GeneratorReader):
    """Reads still images as frames, one at a time, the index being the timestamp.

    EXIF orientation is applied; 16-bit images are scaled to 8 bits; grey and palette images become RGB; alpha is
    dropped. The headers of all images are checked before the first frame is delivered.

    Args:
        source: What the user gave, for ``info``.
        paths: The images, in order, at least one.
        frame_rate: Frames per second.

    Raises:
        VideoError: If an image cannot be read, is absurdly large, or has another size than the first.
    """

    def __init__(self, source: Path, paths: Sequence[Path], *, frame_rate: Fraction) -> None:
        self.warnings: list[str] = []
        self._paths = paths
        width, height = _size_of_all(paths)
        self.info = StreamInfo(
            source=source,
            width=width,
            height=height,
            frame_rate=frame_rate,
            time_base=1 / frame_rate,
            frame_count=len(paths),
            has_audio=False,
        )
        self._frames = self._deliver()

    def _deliver(self) -> Generator[Frame, None, None]:
        for index, path in enumerate(self._paths):
            rgb = _read_image(path)
            _check_size(path, rgb.shape[1::-1], (self.info.width, self.info.height))
            yield Frame(index=index, pts=index, time_base=self.info.time_base, rgb=rgb)


def _images_in_folder(folder: Path) -> list[Path]:
    try:
        images = [path for path in folder.iterdir() if _is_image(path)]
    except OSError as error:
        raise VideoError(f"{folder}: cannot be listed ({error.strerror})") from error
    if not images:
        raise VideoError(f"{folder}: holds no JPEG or PNG image (*.jpg, *.jpeg, *.png)")
    return sorted(images, key=_natural_key)


def _images_of_glob(pattern: str) -> list[Path]:
    matches = [Path(match) for match in glob.glob(pattern, recursive=True)]  # noqa: PTH207 (Path.glob: no absolute ones)
    images = [path for path in matches if _is_image(path)]
    if not images:
        found = f"matches {len(matches)} path(s), none of them a JPEG or PNG image" if matches else "matches nothing"
        raise VideoError(f"{pattern}: {found}; a glob must match images (*.jpg, *.jpeg, *.png)")
    return sorted(images, key=_natural_key)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _natural_key(path: Path) -> tuple[list[str | int], str]:
    """Order by the numbers in the name: 2 before 10."""
    parts = re.split(r"([0-9]+)", str(path))
    return [int(part) if position % 2 else part.casefold() for position, part in enumerate(parts)], str(path)


def _size_of_all(paths: Sequence[Path]) -> tuple[int, int]:
    """Return (width, height), upright, of images that must all share it; reads headers only."""
    first = _upright_size(paths[0])
    for path in paths[1:]:
        _check_size(path, _upright_size(path), first)
    return first


def _check_size(path: Path, size: tuple[int, ...], first: tuple[int, int]) -> None:
    if size != first:
        raise VideoError(
            f"{path}: {size[0]} x {size[1]} pixels, the first image has {first[0]} x {first[1]};"
            " all images must have one size"
        )


def _upright_size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            if image.format == "PNG" and "exif" not in image.info:
                return image.size  # getexif would decode the whole image in search of a late chunk
            orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
            return image.size[::-1] if orientation in _EXIF_SWAPS_AXES else image.size
    except _IMAGE_ERRORS as error:
        raise _unreadable(path, error) from error


def _read_image(path: Path) -> Rgb:
    try:
        with Image.open(path) as image:
            image.load()
            turned = ImageOps.exif_transpose(image)
            if turned.mode.startswith("I"):  # 16 bits of grey; Pillow's own conversion clips it at 255
                values = np.asarray(turned).astype(np.uint32)
                grey = ((values + 128) // 257).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.array(turned.convert("RGB"))
    except _IMAGE_ERRORS as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> VideoError:
    if isinstance(error, UnidentifiedImageError):
        return VideoError(f"{path}: not an image that can be read")
    return VideoError(f"{path}: the image cannot be read ({error})")
