"""What writers share that hand results on to others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from persam_vos.exports.base import ResumableWriter


class SeveralWriters:
    """Completes, saves and lets go of several writers together; see ``ResumableWriter``.

    Attributes:
        warnings: Those of all writers, once they are closed.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def each(self) -> Iterable[ResumableWriter]:
        """Return the writers."""
        raise NotImplementedError

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
