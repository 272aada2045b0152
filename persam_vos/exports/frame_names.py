"""Names of files that belong to one frame each."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property
from pathlib import Path

from persam_vos.errors import SettingsError
from persam_vos.media import FramesDone

_NUMBER = re.compile(r"[0-9]{5,}")


class FrameNames:
    """Names of the files of frames, without a suffix: numbers of five digits or more, or names of images.

    Args:
        images: Of an image sequence: the file of each frame of the source, by index.
        start_number: Number of the first frame that is written; the others follow without gaps. None for the index of
            each frame in the source.
        keep: Whether files are called like the images of the source.

    Raises:
        SettingsError: If ``keep`` is given with ``start_number``, for a source without images, or where two images have
            one name.
    """

    def __init__(self, images: tuple[Path, ...] = (), *, start_number: int | None = None, keep: bool = False) -> None:
        self._images, self._start, self._keeps = images, start_number, keep
        if not keep:
            return
        if start_number is not None:
            raise SettingsError(f"keep_names and start_number {start_number} are given; leave out one of the two")
        if not images:
            raise SettingsError("keep_names is given, and the video is no image sequence; leave it out")
        stem, count = Counter(path.stem for path in images).most_common(1)[0]
        if count > 1:
            raise SettingsError(f"keep_names is given, and {count} images are called {stem}; leave it out")

    def name(self, index: int, position: int) -> str:
        """Return the name of a frame's file.

        Args:
            index: Of the frame, in the source.
            position: Number of frames that were written before.
        """
        if self._keeps:
            return self._images[index].stem
        return f"{index if self._start is None else self._start + position:05d}"

    def is_known(self, stem: str) -> bool:
        """Tell whether a file of this name may be of a run: a number, or the name of an image of the source."""
        return bool(_NUMBER.fullmatch(stem)) or stem in self._indices

    def is_done(self, stem: str, done: FramesDone) -> bool:
        """Tell whether the file of this name, written by such a run, is of a frame done."""
        if self._keeps:
            return self._indices.get(stem, done.last_index + 1) <= done.last_index
        if not stem.isdecimal():
            return False
        return int(stem) <= done.last_index if self._start is None else int(stem) - self._start < done.count

    @cached_property
    def _indices(self) -> dict[str, int]:
        """The index of each image, by its name."""
        return {path.stem: index for index, path in enumerate(self._images)}


BY_INDEX = FrameNames()
