"""The interface through which a run reports its progress, and one that reports nothing."""

from __future__ import annotations

from typing import Protocol

from persam_vos.results import FrameResult


class Progress(Protocol):
    """Hears how a run goes on.

    Any thread may call any method: frames are counted by the main thread, failures by the thread that reads.
    """

    def start(self, name: str, frames: int | None) -> None:
        """A video or a set of photos begins.

        Args:
            name: What to call it.
            frames: How many frames or photos to expect; None where that is unknown.
        """
        ...

    def prepare(self, done: int, expected: int) -> None:
        """A frame was walked through, before any is done.

        Args:
            done: Frames walked through so far; a frame may count twice, forwards and backwards.
            expected: How many there will be.
        """
        ...

    def advance(self, result: FrameResult) -> None:
        """A frame or photo is done; called in order."""
        ...

    def fail(self, message: str) -> None:
        """A photo cannot be read, and is left out."""
        ...

    def interrupt(self) -> None:
        """The user wants to stop; the frame in work is still finished."""
        ...

    def stop(self) -> None:
        """The video or the set of photos has ended, one way or another."""
        ...


class NoProgress:
    """Progress that nobody watches; see ``Progress``."""

    def start(self, name: str, frames: int | None) -> None:
        """Do nothing."""

    def prepare(self, done: int, expected: int) -> None:
        """Do nothing."""

    def advance(self, result: FrameResult) -> None:
        """Do nothing."""

    def fail(self, message: str) -> None:
        """Do nothing."""

    def interrupt(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""
