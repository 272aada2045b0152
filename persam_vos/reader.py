"""A path becomes a stream of frames: video files, folders and globs of images, single images."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Literal

from persam_vos.decord_reader import DecordReader
from persam_vos.errors import PhotoError, SettingsError, VideoError
from persam_vos.frame import Frame
from persam_vos.photos import MAX_PIXELS, is_glob, list_images, photo_size, read_photo
from persam_vos.stream import FrameReader, GeneratorReader, StreamInfo
from persam_vos.video_reader import VideoReader

__all__ = ["FrameReader", "ImageReader", "StreamInfo", "open_reader"]

Backend = Literal["pyav", "decord"]

_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


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
    if path.is_dir() or is_glob(source):
        with _as_video_errors():
            images = list_images(source, suffixes=_IMAGE_SUFFIXES, noun="JPEG or PNG image")
        return ImageReader(path, images, frame_rate=frame_rate)
    if path.exists():
        if path.suffix.lower() in _IMAGE_SUFFIXES:
            return ImageReader(path, [path], frame_rate=frame_rate)
        return VideoReader(path) if backend == "pyav" else DecordReader(path)
    raise VideoError(
        f"{source}: no such file or folder; give a video, a folder of JPEG or PNG images, a glob of them, or an image"
    )


class ImageReader(GeneratorReader):
    """Reads still images as frames, one at a time, the index being the timestamp.

    They are decoded as ``read_photo`` does it: EXIF orientation is applied, 16 bits are scaled to 8, grey and palette
    images become RGB, what is transparent is seen over white. The headers of all images are checked before the first
    frame is delivered.

    Args:
        source: What the user gave, for ``info``.
        paths: The images, in order, at least one.
        frame_rate: Frames per second.

    Raises:
        VideoError: If an image cannot be read, has more than 100 million pixels, or another size than the first.
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
            with _as_video_errors():
                rgb = read_photo(path)
            _check_size(path, rgb.shape[1::-1], (self.info.width, self.info.height))
            yield Frame(index=index, pts=index, time_base=self.info.time_base, rgb=rgb)


def _size_of_all(paths: Sequence[Path]) -> tuple[int, int]:
    """Return (width, height), upright, of images that must all share it; reads headers only."""
    with _as_video_errors():
        first = photo_size(paths[0])
        for path in paths[1:]:
            _check_size(path, photo_size(path), first)
    if first[0] * first[1] > MAX_PIXELS:
        raise VideoError(f"{paths[0]}: {first[0]} x {first[1]} pixels; at most {MAX_PIXELS:,} are read; scale it down")
    return first


def _check_size(path: Path, size: tuple[int, ...], first: tuple[int, int]) -> None:
    if size != first:
        raise VideoError(
            f"{path}: {size[0]} x {size[1]} pixels, the first image has {first[0]} x {first[1]};"
            " all images must have one size"
        )


@contextmanager
def _as_video_errors() -> Iterator[None]:
    """Whoever reads a video need not know that images are read like photos."""
    try:
        yield
    except PhotoError as error:
        raise VideoError(str(error)) from error
