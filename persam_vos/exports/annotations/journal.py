"""Base of files that are put together after the last frame, from what is noted of each frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from persam_vos.exports.annotations.classes import ObjectClasses
from persam_vos.exports.base import ExportSettings
from persam_vos.exports.frame_lines import FrameLines
from persam_vos.files import PartialFile, check_file, output_errors
from persam_vos.masks import check_size
from persam_vos.media import Frame, FramesDone
from persam_vos.results import FrameResult

_JOURNAL = ".{}.frames.partial"


class JournalWriter(ABC):
    """Notes each frame in a hidden file on the disk, and composes the file from it at the end; see ``ResumableWriter``.

    The notes stay, so that a run that was ended early can go on; ``forget_journals`` removes them.

    Args:
        settings: What the writer is told.
    """

    name: str
    """Of the file."""

    def __init__(self, settings: ExportSettings) -> None:
        self.warnings: list[str] = []
        self.settings = settings
        self._file = PartialFile(settings.folder / self.name)
        check_file(self._file.path)
        self.notes = journal_of(self._file.path)

    @abstractmethod
    def note(self, frame: Frame, result: FrameResult) -> dict[str, Any]:
        """Return what is noted of a frame, besides its index and its objects' ids, as JSON has it."""

    @abstractmethod
    def compose(self, file: TextIO) -> None:
        """Write the file from ``notes``, which has a record for each frame with ``frame``, ``ids`` and the rest."""

    def classes(self) -> ObjectClasses:
        """Return the classes of all objects that are noted."""
        return ObjectClasses(self.settings.styles, {each for note in self.notes for each in note["ids"]})

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Note a frame; see ``ResultWriter``."""
        check_size(result.label_map, frame.rgb, f"frame {frame.index}")
        self.notes.append({"frame": frame.index, "ids": result.ids, **self.note(frame, result)})

    def close(self) -> tuple[Path, ...]:
        """Compose the file; see ``ResultWriter``."""
        if not self.notes.begun:
            return ()
        self.notes.close()
        with output_errors(self._file.path):
            with self._file.partial.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
                self.compose(file)
            return (self._file.finish(),)

    def abort(self) -> None:
        """Remove what is unfinished; see ``ResultWriter``."""
        self.notes.discard()
        self._file.discard()

    def checkpoint(self) -> None:
        """Bring the notes so far to the disk; see ``ResumableWriter``."""
        self.notes.save()

    def resume(self, done: FramesDone) -> None:
        """Go on after the notes of the frames done; see ``ResumableWriter``."""
        self.notes.resume(done)

    def suspend(self) -> None:
        """Leave the notes; see ``ResumableWriter``."""
        self.notes.suspend()


def journal_of(path: Path) -> FrameLines:
    """Return the notes of what a file or folder is made of, hidden beside it."""
    return FrameLines(path.with_name(_JOURNAL.format(path.name)), path)


def forget_journals(folder: Path) -> None:
    """Remove the notes of a run that is complete.

    Raises:
        OutputError: If that fails.
    """
    with output_errors(folder):
        for path in folder.glob(_JOURNAL.format("*")):
            path.unlink()


def joined(file: TextIO, lines: Iterator[str]) -> None:
    """Write the elements of a list, one a line, with commas."""
    separator = "\n"
    for line in lines:
        file.write(f"{separator}{line}")
        separator = ",\n"
