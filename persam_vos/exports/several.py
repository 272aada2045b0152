"""What writers share that hand results on to others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from persam_vos.exports.base import ResumableWriter


class SeveralWriters(ABC):
    """Completes, saves and lets go of several writers together; see ``ResumableWriter``.

    Attributes:
        warnings: Those of all writers, once they are closed.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []

    @abstractmethod
    def each(self) -> Iterable[ResumableWriter]:
        """Return the writers."""

    def close(self) -> tuple[Path, ...]:
        """Complete all files; see ``ResultWriter``."""
        paths = tuple(path for writer in self.each() for path in writer.close())
        self.warnings += [text for writer in self.each() for text in writer.warnings]
        return paths

    def abort(self) -> None:
        """Remove what is unfinished; see ``ResultWriter``."""
        for writer in self.each():
            writer.abort()

    def checkpoint(self) -> None:
        """Save all that is written; see ``ResumableWriter``."""
        for writer in self.each():
            writer.checkpoint()

    def suspend(self) -> None:
        """Leave what is saved; see ``ResumableWriter``."""
        for writer in self.each():
            writer.suspend()
