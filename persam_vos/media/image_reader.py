"""Reads still images as the frames of a video."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from persam_vos.errors import PhotoError, VideoError
from persam_vos.media.frame import Frame
from persam_vos.media.image_lists import gap_warnings, refuse_twins, without_masks
from persam_vos.media.photo_files import MAX_PIXELS, photo_size, read_photo
from persam_vos.media.stream import GeneratorReader, StreamInfo


class Images:
    """Still images as frames, in any order. The timestamp of a frame is its index.

    Images are decoded by ``read_photo``. The headers of all images are checked at once.

    Args:
        source: The path that the user gave, for ``info``.
        paths: The images, in order, at least one.
        frame_rate: Frames per second.
        masks: Files that are masks, and no frames wherever they lie.

    Attributes:
        warnings: What is doubtful about the list of images, one line each.

    Raises:
        VideoError: If two images differ in their suffix only, or an image cannot be read, has more than 100 million
            pixels, or another size than the first.
    """

    def __init__(
        self, source: Path, paths: Sequence[Path], *, frame_rate: Fraction, masks: Collection[Path] = ()
    ) -> None:
        paths, told = without_masks(paths, masks)
        if not paths:
            raise VideoError(f"{source}: holds no image besides what is given as a mask; give the frames")
        refuse_twins(source, paths)
        self.warnings = (*told, *gap_warnings(paths))
        self.paths = tuple(paths)
        width, height = _size_of_all(paths)
        self.info = StreamInfo(
            source=source,
            width=width,
            height=height,
            frame_rate=frame_rate,
            time_base=1 / frame_rate,
            frame_count=len(paths),
            has_audio=False,
            images=self.paths,
        )

    def frame(self, index: int) -> Frame:
        """Decode one image.

        Raises:
            VideoError: If it cannot be read, or has changed its size.
        """
        path = self.paths[index]
        with as_video_errors():
            rgb = read_photo(path)
        _check_size(path, rgb.shape[1::-1], (self.info.width, self.info.height))
        return Frame(index=index, pts=index, time_base=self.info.time_base, rgb=rgb)


class ImageReader(GeneratorReader):
    """Reads still images as the frames of a video, one at a time, in order; see ``Images``."""

    def __init__(self, images: Images) -> None:
        self.warnings = list(images.warnings)
        self.info = images.info
        self._frames = (images.frame(index) for index in range(len(images.paths)))


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
