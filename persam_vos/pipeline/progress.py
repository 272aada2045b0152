"""Whole jobs, as the command line offers them: one video into a folder, one DAVIS split into tables."""

from __future__ import annotations

from typing import Protocol

from persam_vos.results import FrameResult


class Progress(Protocol):
    """What a job tells whoever is waiting."""

    def start(self, name: str, frames: int | None) -> None:
        """A video begins; ``frames`` is a hint."""
        ...

    def advance(self, result: FrameResult) -> None:
        """A frame is done."""
        ...

    def interrupt(self) -> None:
        """The user wants to stop; the frame in work is still finished."""
        ...

    def stop(self) -> None:
        """The video has ended, one way or another."""
        ...


class PhotoProgress(Progress, Protocol):
    """What a job on photos tells whoever is waiting."""

    def fail(self, message: str) -> None:
        """A photo could not be read."""
        ...
