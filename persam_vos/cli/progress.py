"""What a person sees while a job runs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persam_vos.results import FrameResult

# Shown until the first frame is done.
_PREPARING = "preparing the network for this size of picture"


class ProgressBar:
    """A bar on standard error: how many objects the last frame or photo shows, and the lowest of their scores.

    It may be told of a failure in one thread while it advances in another. Where standard error is closed or full,
    nothing is shown: the results are worth more.

    Args:
        quiet: Show nothing.
        unit: What is counted: "frame" or "photo".
        drops: What a second interrupt drops; "" for nothing that the first one keeps.

    Attributes:
        has_advanced: Whether a frame or a photo is done.
    """

    def __init__(self, quiet: bool, unit: str = "frame", *, drops: str = "") -> None:
        self._quiet = quiet
        self._unit = unit
        self._drops = f"; {drops} are then dropped" if drops else ""
        self._bar: Any = None
        self.has_advanced = False
        # Reentrant: the signal handler that calls ``interrupt`` may run while the main thread draws.
        self._lock = threading.RLock()

    def start(self, name: str, frames: int | None, done: int = 0) -> None:
        """Begin a video or a set of photos; ``frames`` is a hint, of which earlier runs have ``done`` some."""
        options = {"total": frames, "initial": done, "desc": name, "unit": self._unit, "disable": self._quiet}
        self._show(lambda: self._open(**options, postfix=_PREPARING))

    def prepare(self, done: int, expected: int) -> None:
        """Say how far the propagation is from keyframes to the frames before and after them."""
        with self._lock:
            self._show(lambda: self._bar.set_postfix_str(f"propagating, {done} of {expected} frames"))

    def advance(self, result: FrameResult) -> None:
        """Count a frame or a photo."""
        scores = [entry.score for entry in result.objects if entry.present]
        lowest = f"{min(scores):.2f}" if scores else "none"
        with self._lock:
            self._bar.set_postfix(present=f"{len(scores)}/{len(result.objects)}", score=lowest, refresh=False)
            self._show(lambda: self._bar.update())
            self.has_advanced = True

    def fail(self, message: str) -> None:
        """Say what could not be read, and count it."""
        with self._lock:
            self._say(message)
            self._show(lambda: self._bar.update())

    def interrupt(self) -> None:
        """Say that the interrupt was heard, and what another one does."""
        self._say(f"finishing the {self._unit} in work; a second interrupt stops at once{self._drops}")

    def stop(self) -> None:
        """End the video or the set of photos."""
        if self._bar is not None:
            self._show(lambda: self._bar.close())

    def _open(self, **options: Any) -> None:
        from tqdm import tqdm

        self._bar = tqdm(**options)

    def _say(self, message: str) -> None:
        self._show(lambda: self._bar.write(f"persam-vos: {message}", file=sys.stderr))

    def _show(self, draw: Callable[[], object]) -> None:
        """Draw; once drawing has failed, show nothing any more."""
        with self._lock:
            if sys.stderr is None:
                self._open(disable=True)
                return
            try:
                draw()
            except OSError:
                self._open(disable=True)
