"""What a person sees while a job runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persam_vos.results import FrameResult


class ProgressBar:
    """A bar per video on standard error: objects in the frame just done, and the lowest of their scores.

    Where standard error is closed or full, nothing is shown; the results are worth more.

    Args:
        quiet: Show nothing.
        unit: What is counted.
    """

    def __init__(self, quiet: bool, unit: str = "frame") -> None:
        self._quiet = quiet
        self._unit = unit
        self._bar: Any = None

    def start(self, name: str, frames: int | None) -> None:
        """Begin a video; ``frames`` is a hint."""
        self._show(lambda: self._open(total=frames, desc=name, unit=self._unit, disable=self._quiet))

    def advance(self, result: FrameResult) -> None:
        """Count a frame."""
        scores = [entry.score for entry in result.objects if entry.present]
        lowest = f"{min(scores):.2f}" if scores else "none"
        self._bar.set_postfix(present=f"{len(scores)}/{len(result.objects)}", score=lowest, refresh=False)
        self._show(lambda: self._bar.update())

    def fail(self, message: str) -> None:
        """Say what could not be read, and count it."""
        self._say(message)
        self._show(lambda: self._bar.update())

    def interrupt(self) -> None:
        """Say that the interrupt was heard."""
        self._say("finishing the frame in work; press Ctrl-C again to stop at once, which drops the frames done so far")

    def stop(self) -> None:
        """End the video."""
        if self._bar is not None:
            self._show(lambda: self._bar.close())

    def _open(self, **options: Any) -> None:
        from tqdm import tqdm

        self._bar = tqdm(**options)

    def _say(self, message: str) -> None:
        self._show(lambda: self._bar.write(f"persam-vos: {message}", file=sys.stderr))

    def _show(self, draw: Callable[[], object]) -> None:
        """Draw; from the first time on that this is not possible, nothing any more."""
        if sys.stderr is None:
            self._open(disable=True)
            return
        try:
            draw()
        except OSError:
            self._open(disable=True)
