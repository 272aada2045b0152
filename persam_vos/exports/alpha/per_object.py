"""Writes a file or folder for each object."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from persam_vos.exports.alpha.pixels import alpha_of
from persam_vos.exports.base import ExportSettings, ResumableWriter
from persam_vos.exports.several import SeveralWriters
from persam_vos.media import Frame, FramesDone
from persam_vos.results import FrameResult
from persam_vos.soft_edges import alpha_of_object, owners


class ObjectWriter(ResumableWriter, Protocol):
    """A writer whose file or folder may be that of one object.

    Attributes:
        path: Its final name.
    """

    path: Path


class PerObjectWriter(SeveralWriters):
    """Writes ``prores_1_dog.mov``, ``prores_2.mov``, ...: each object alone; see ``ResumableWriter``.

    Where objects touch, each has its own pixels, and of a soft edge what is nearest to it. An object that is absent has
    empty frames, so that all files are equally long.

    Args:
        writer: Makes the writer of one object.
        settings: Of the run.

    Raises:
        OutputError: If such a file cannot be written.
    """

    def __init__(self, writer: Callable[[ExportSettings], ObjectWriter], settings: ExportSettings) -> None:
        super().__init__()
        self._make, self._settings = writer, settings
        self._writers: dict[int, ObjectWriter] = {}
        # What is wrong with any of them is said at once.
        tried = {each: self._of(each) for each in sorted({1, *settings.styles.ids})}
        for each in tried.values():
            each.suspend()
        self._path_of_first = tried[1].path

    def each(self) -> Collection[ObjectWriter]:
        """Return the writers of the objects that were seen."""
        return self._writers.values()

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Write each object; see ``ResultWriter``."""
        alpha, owner = alpha_of(result), owners(result.label_map)
        for entry in result.objects:
            if entry.id not in self._writers:
                self._writers[entry.id] = self._of(entry.id)
            labels = np.where(result.label_map == entry.id, result.label_map, np.uint8(0))
            own = alpha_of_object(alpha, owner, entry.id)
            self._writers[entry.id].write(frame, replace(result, label_map=labels, alpha=own, objects=(entry,)))

    def resume(self, done: FramesDone) -> None:
        """Go on with the files of all objects that are there; see ``ResumableWriter``."""
        for number in range(1, 256):
            name = self._path_of_first.name.replace(self._ending(1), self._ending(number), 1)
            left = (name, f".{name}.partial", f".{name}.parts.partial")
            if any(self._path_of_first.with_name(each).exists() for each in left):
                self._writers[number] = self._of(number)
                self._writers[number].resume(done)

    def _of(self, object_id: int) -> ObjectWriter:
        return self._make(replace(self._settings, ending=self._ending(object_id)))

    def _ending(self, object_id: int) -> str:
        return f"_{self._settings.styles.file_name(object_id)}"


def is_of_one_object(name: str, whole: str) -> bool:
    """Tell whether a file or folder is that of one object, where that of all is called ``whole``.

    >>> is_of_one_object("prores_1_dog.mov", "prores.mov"), is_of_one_object("prores.mov", "prores.mov")
    (True, False)
    """
    stem, suffix = Path(whole).stem, Path(whole).suffix
    return re.fullmatch(rf"{re.escape(stem)}_[0-9]+(_.*)?{re.escape(suffix)}", name) is not None
