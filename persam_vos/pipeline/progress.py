"""The interface through which a run reports its progress, and one that reports nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from persam_vos.media.stream import Clip
from persam_vos.results import FrameResult

OnProgress = Callable[[int, int | None], None]
"""Called after each frame with the number of frames done, and with the number to expect or None."""


class Progress(Protocol):
    """Hears how a run goes on.

    Any thread may call any method: frames are counted by the main thread, failures by the thread that reads.
    """

    def warn(self, message: str) -> None:
        """Something is doubtful before any frame is done, such as the mask of the first frame."""
        ...

    def start(self, name: str, frames: int | None, done: int = 0) -> None:
        """A video or a set of photos begins.

        Args:
            name: What to call it.
            frames: How many frames or photos to expect; None where that is unknown.
            done: How many of them earlier runs have done.
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

    def warn(self, message: str) -> None:
        """Do nothing."""

    def start(self, name: str, frames: int | None, done: int = 0) -> None:
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


class ProgressFunction(NoProgress):
    """Calls a function after each frame with the numbers of frames done and expected; see ``Progress``.

    Args:
        on_progress: The function.
        clip: The part of a video that is counted; None for all of it.
    """

    def __init__(self, on_progress: OnProgress, clip: Clip | None = None) -> None:
        self._on_progress = on_progress
        self._clip = clip or Clip(0, None)
        self._done = 0
        self._frame_count: int | None = None

    def start(self, name: str, frames: int | None, done: int = 0) -> None:  # noqa: ARG002 - a video has one name
        """Remember how many frames to expect."""
        self._frame_count = frames

    def advance(self, result: FrameResult) -> None:
        """Call the function."""
        self._done += 1
        # A reader that was advanced begins with a later frame.
        skipped = (result.index - self._clip.start) // self._clip.stride + 1 - self._done
        self._on_progress(self._done, None if self._frame_count is None else self._frame_count - skipped)
