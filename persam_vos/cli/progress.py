"""What a person sees while a job runs."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from persam_vos.cli.status import printable, say

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

    def warn(self, message: str) -> None:
        """Say what is doubtful, before a video begins."""
        say(f"warning: {message}")

    def start(self, name: str, frames: int | None, done: int = 0) -> None:
        """Begin a video or a set of photos; ``frames`` is a hint, of which earlier runs have ``done`` some."""
        options = {
            "total": frames,
            "initial": done,
            "desc": printable(name),
            "unit": self._unit,
            "disable": self._quiet,
        }
        self._show(lambda: self._open(**options, postfix=_PREPARING))

    def prepare(self, done: int, expected: int) -> None:
        """Say how far the propagation is from keyframes to the frames before and after them."""
        with self._lock:
            self._show(lambda: self._bar.set_postfix_str(f"propagating, {done} of {expected} frames"))

    def advance(self, result: FrameResult) -> None:
        """Count a frame or a photo."""
        present, scores = [entry for entry in result.objects if entry.present], _known_scores(result)
        lowest = f"{min(scores):.2f}" if scores else "none"
        with self._lock:
            self._bar.set_postfix(present=f"{len(present)}/{len(result.objects)}", score=lowest, refresh=False)
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


class JsonLines:
    """Writes a line of JSON to standard error for each event, for programs that watch a run.

    Each line has ``event`` and ``seconds`` since the start. ``start`` has name, frames (null if unknown) and done;
    ``prepare`` has done and expected; ``frame`` has frame (its index), done, frames, frames_per_second, seconds_left,
    the ids that are present, and the lowest of their scores, null if none is known; ``warning``, before ``start``,
    ``failed`` and ``interrupt`` have a message; ``end`` has done.

    Args:
        unit: What is counted: "frame" or "photo".

    Attributes:
        has_advanced: Whether a frame or a photo is done.
    """

    def __init__(self, unit: str = "frame") -> None:
        self._unit = unit
        self._began = time.perf_counter()
        self._frames: int | None = None
        self._done = self._before = 0
        self.has_advanced = False
        self._lock = threading.RLock()

    def warn(self, message: str) -> None:
        """Say what is doubtful, before a video begins."""
        self._write("warning", message=message)

    def start(self, name: str, frames: int | None, done: int = 0) -> None:
        """Begin a video or a set of photos."""
        self._began, self._frames, self._done, self._before = time.perf_counter(), frames, done, done
        self._write("start", name=name, frames=frames, done=done)

    def prepare(self, done: int, expected: int) -> None:
        """Say how far the propagation is."""
        self._write("prepare", done=done, expected=expected)

    def advance(self, result: FrameResult) -> None:
        """Count a frame or a photo."""
        self._done, self.has_advanced = self._done + 1, True
        rate = (self._done - self._before) / max(time.perf_counter() - self._began, 1e-9)
        left = None if self._frames is None else round(max(self._frames - self._done, 0) / rate, 1)
        scores = _known_scores(result)
        self._write(
            self._unit,
            **{self._unit: result.index},
            done=self._done,
            frames=self._frames,
            frames_per_second=round(rate, 3),
            seconds_left=left,
            present=[entry.id for entry in result.objects if entry.present],
            lowest_score=round(min(scores), 3) if scores else None,
        )

    def fail(self, message: str) -> None:
        """Say what could not be read, and count it."""
        self._done += 1
        self._write("failed", message=message)

    def interrupt(self) -> None:
        """Say that the interrupt was heard."""
        self._write("interrupt", message=f"finishing the {self._unit} in work; a second interrupt stops at once")

    def stop(self) -> None:
        """End the video or the set of photos."""
        self._write("end", done=self._done)

    def _write(self, event: str, **values: object) -> None:
        told = {"event": event, "seconds": round(time.perf_counter() - self._began, 3), **values}
        line = json.dumps(told, allow_nan=False)
        if sys.stderr is not None:
            with self._lock, suppress(OSError):
                print(line, file=sys.stderr, flush=True)


def _known_scores(result: FrameResult) -> list[float]:
    """Return the scores of the objects that are present; of masks from elsewhere, some are unknown."""
    return [entry.score for entry in result.objects if entry.present and not math.isnan(entry.score)]


def shown_progress(quiet: bool, log_json: bool, unit: str = "frame", *, drops: str = "") -> ProgressBar | JsonLines:
    """Return what shows the progress of a command.

    Args:
        quiet: Nothing is shown, except as JSON.
        log_json: Lines of JSON are written instead of a bar.
        unit: What is counted: "frame" or "photo".
        drops: See ``ProgressBar``.
    """
    return JsonLines(unit) if log_json else ProgressBar(quiet, unit, drops=drops)
