"""Reads still images as the frames of a video."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from persam_vos.errors import PhotoError, VideoError
from persam_vos.media.frame import Frame
from persam_vos.media.photo_files import MAX_PIXELS, photo_size, read_photo
from persam_vos.media.stream import GeneratorReader, StreamInfo


class ImageReader(GeneratorReader):
    """Reads still images as frames, one at a time. The timestamp of a frame is its index.

    Images are decoded by ``read_photo``. The headers of all images are checked before the first frame is delivered.

    Args:
        source: The path that the user gave, for ``info``.
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
            with as_video_errors():
                rgb = read_photo(path)
            _check_size(path, rgb.shape[1::-1], (self.info.width, self.info.height))
            yield Frame(index=index, pts=index, time_base=self.info.time_base, rgb=rgb)


def _size_of_all(paths: Sequence[Path]) -> tuple[int, int]:
    """Return the size (width, height), upright, that all images share; reads headers only."""
    with as_video_errors():
        first = photo_size(paths[0])
        for path in paths[1:]:
            _check_size(path, photo_size(path), first)
    if first[0] * first[1] > MAX_PIXELS:
        raise VideoError(
            f"{paths[0]}: {first[0]} x {first[1]} pixels; at most {MAX_PIXELS:,} are allowed; scale it down"
        )
    return first


def _check_size(path: Path, size: tuple[int, ...], first: tuple[int, int]) -> None:
    if size != first:
        raise VideoError(
            f"{path}: {size[0]} x {size[1]} pixels, the first image has {first[0]} x {first[1]};"
            " all images must have one size"
        )


@contextmanager
def as_video_errors() -> Iterator[None]:
    """Turn a ``PhotoError`` into a ``VideoError``, which users of a video expect."""
    try:
        yield
    except PhotoError as error:
        raise VideoError(str(error)) from error
