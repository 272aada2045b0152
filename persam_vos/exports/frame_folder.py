"""Writes folders with one file, or some files, for each frame."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from persam_vos.errors import OutputError
from persam_vos.exports.frame_names import FrameNames
from persam_vos.files import PartialFolder, content_of_folder, is_clutter, output_errors, save_to_disk
from persam_vos.masks import check_size
from persam_vos.media import Frame, FramesDone
from persam_vos.results import FrameResult

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".txt", ".exr"})
# So many files are remembered until the next checkpoint; beyond, all are brought to the disk.
_MAX_UNSAVED = 4096


class FrameFolderWriter(ABC):
    """Base of writers of a folder with files of single frames, maybe in folders of its own; see ``ResumableWriter``.

    An earlier folder of the same name is replaced as a whole. It must hold such files only.

    Args:
        path: The folder; its parent exists.
        names: Of the files.

    Raises:
        OutputError: If there is something else of that name, or a folder that cannot be read.
    """

    extra_files: tuple[str, ...] = ()
    """Files in the folder that ``finish`` writes, which belong to no frame."""

    def __init__(self, path: Path, names: FrameNames) -> None:
        self.warnings: list[str] = []
        self.names = names
        self._folder = PartialFolder(path)
        self._begun = False
        self._count = 0
        self._unsaved: list[Path] | None = []
        self._check_replaceable()

    @abstractmethod
    def save(self, folder: Path, name: str, frame: Frame, result: FrameResult) -> Iterable[Path]:
        """Write the files of a frame, and return them.

        Args:
            folder: Where they go, maybe into folders in it.
            name: Of the files, without a suffix.
            frame: The frame.
            result: Of the size of the frame.
        """

    def finish(self, folder: Path) -> None:  # noqa: B027 - most folders have no such files
        """Write ``extra_files`` after the last frame."""

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write the files of a frame; see ``ResultWriter``."""
        check_size(result.label_map, frame.rgb, f"frame {frame.index}")
        with output_errors(self._folder.path):
            if not self._begun:
                self._folder.begin()
                self._begun = True
            made = self.save(self._folder.partial, self.names.name(frame.index, self._count), frame, result)
        self._count += 1
        if self._unsaved is not None:
            self._unsaved += made
            if len(self._unsaved) > _MAX_UNSAVED:
                self._unsaved = None

    def close(self) -> tuple[Path, ...]:
        """Give the folder its final name; see ``ResultWriter``."""
        if not self._begun:
            return ()
        self._check_replaceable()
        with output_errors(self._folder.path):
            self.finish(self._folder.partial)
            path = self._folder.finish()
        self._begun = False
        return (path,)

    def abort(self) -> None:
        """Remove the unfinished folder; see ``ResultWriter``."""
        self._folder.discard()
        self._begun = False

    def checkpoint(self) -> None:
        """Bring the files so far to the disk; see ``ResumableWriter``."""
        if self._begun:
            with output_errors(self._folder.path):
                for path in _files(self._folder.partial) if self._unsaved is None else self._unsaved:
                    save_to_disk(path)
        self._unsaved = []

    def resume(self, done: FramesDone) -> None:
        """Go on after the files of the frames done; see ``ResumableWriter``."""
        with output_errors(self._folder.path):
            self._folder.take_back()
            left: Counter[Path] = Counter()
            for path in _files(self._folder.partial):
                if path.name in self.extra_files or not self.names.is_done(path.stem, done):
                    path.unlink()
                else:
                    left[path.parent] += 1
        for count in sorted(left.values()) or [0]:
            if count != done.count:
                raise OutputError(
                    f"{self._folder.path}: {count} of the {done.count} frames done are left; the run cannot be resumed;"
                    " pass --overwrite to start anew"
                )
        self._begun, self._count = True, done.count

    def suspend(self) -> None:
        """Leave the unfinished folder; see ``ResumableWriter``."""
        self._begun = False

    def _check_replaceable(self) -> None:
        """Raise ``OutputError`` unless the folder may take its place."""
        path = self._folder.path
        with output_errors(path):
            if not path.exists():
                return
            if not path.is_dir() or path.is_symlink():
                raise OutputError(f"{path}: is not a folder, where {path.name} are to be written; move it away")
            if other := _other_content(path, self.names, self.extra_files):
                raise OutputError(
                    f"{path}: holds {other}, which no run has written; move it away or give another --output"
                )


def remove_frame_folder(path: Path, names: FrameNames, extra_files: Iterable[str]) -> None:
    """Remove a folder of such files; keep it if it holds anything else, or is a link.

    Raises:
        OSError: If it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink() and _other_content(path, names, extra_files) is None:
        shutil.rmtree(path)


def _other_content(folder: Path, names: FrameNames, extra_files: Iterable[str]) -> str | None:
    """Return what a folder holds besides files of frames, relative to it; None for nothing."""
    for name in content_of_folder(folder):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            if (found := _other_content(path, names, extra_files)) is not None:
                return f"{name}/{found}"
        elif name not in extra_files and not (path.suffix in _SUFFIXES and names.is_known(path.stem)):
            return name
    return None


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of all folders in it."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not is_clutter(path.name))
