"""Commands of persam-vos as processes that are forked from this one, which has loaded everything already."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from injection.points import Aim

PATIENCE_SECONDS = 120.0
"""A process that lasts longer hangs."""
_LOOK_SECONDS = 0.005
_OURS = "persam-vos: "


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        status: Its exit status; below 0, the signal that killed it.
        out: What it printed.
        err: What it printed on standard error.
        hung: Whether it was killed since it lasted too long.
    """

    status: int
    out: str
    err: str
    hung: bool = False

    def faults(self, *allowed: int) -> list[str]:
        """Return what is wrong with how it ended: a traceback, a hang, or another status than these."""
        found = ["hangs"] if self.hung else []
        if "Traceback (most recent" in self.err:
            found.append(f"traceback: {self.err.strip().splitlines()[-1][:200]}")
        if not self.hung and self.status not in allowed:
            found.append(f"status {self.status}: {(self.err.strip().splitlines() or [''])[-1][:200]}")
        # Batch names all bad lines of its manifest at once, and each clip that has failed.
        said = self._said()
        if self.status == 2 and (not said or (len(said) > 1 and not all(line.startswith(_OURS) for line in said))):
            found.append(f"{len(said)} lines for an error: {self.err[:400]!r}")
        return found

    def _said(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.strip() and "warning:" not in line]


class Process:
    """A command that runs.

    Attributes:
        number: Of the process.
    """

    def __init__(self, number: int, out: Path, err: Path) -> None:
        self.number, self._out, self._err = number, out, err
        self._status: int | None = None
        self._stopped = False

    def is_stopped(self) -> bool:
        """Wait until it stops or ends; tell whether it has stopped."""
        self._wait(until_stopped=True)
        return self._stopped

    def go_on(self) -> None:
        """Let it go on after a stop."""
        self._stopped = False
        os.kill(self.number, signal.SIGCONT)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal, if it still runs."""
        if self._status is None:
            os.kill(self.number, number)

    def ended(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        """Wait for its end."""
        hung = not self._wait(seconds=seconds)
        if hung:
            os.kill(self.number, signal.SIGKILL)
            self._wait()
        assert self._status is not None
        out, err = (path.read_text(encoding="utf-8", errors="replace") for path in (self._out, self._err))
        return Ended(os.waitstatus_to_exitcode(self._status), out, err, hung)

    def runs(self) -> bool:
        """Tell whether it has not ended."""
        return not self._wait(seconds=0.0)

    def printed(self, line_count: int = 1) -> list[str]:
        """Wait until it has printed so many lines, or ended; return its lines."""
        while True:
            runs = self.runs()
            lines = self._out.read_text(encoding="utf-8").splitlines(keepends=True)
            if not runs or sum(line.endswith("\n") for line in lines) >= line_count:
                return [line.rstrip("\n") for line in lines]
            time.sleep(_LOOK_SECONDS)

    def _wait(self, *, seconds: float = PATIENCE_SECONDS, until_stopped: bool = False) -> bool:
        """Wait for its end, or its stop; tell whether that came."""
        deadline = time.monotonic() + seconds
        while self._status is None:
            number, status = os.waitpid(self.number, os.WNOHANG | os.WUNTRACED)
            if number and os.WIFSTOPPED(status):
                self._stopped = True
            elif number:
                self._status = status
                break
            if until_stopped and self._stopped:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True


def start(
    words: Sequence[object],
    folder: Path,
    aim: Aim | None = None,
    *,
    before: Callable[[], None] = lambda: None,
    out: int | None = None,
) -> Process:
    """Start ``persam-vos`` with these words.

    Args:
        words: Of the command line.
        folder: Where what it prints is written; no run's own.
        aim: A point of it.
        before: Called in the process before the command.
        out: Descriptor of its standard output; None for a file that ``Process`` reads.
    """
    if threading.active_count() > 1:
        raise RuntimeError(f"threads would not be forked: {threading.enumerate()}")
    printed = folder / "out.txt", folder / "err.txt"
    for path in printed:
        path.write_bytes(b"")
    sys.stdout.flush()
    sys.stderr.flush()
    number = os.fork()
    if number == 0:
        _become([str(word) for word in words], printed, aim, before, out)
    return Process(number, *printed)


def call(words: Sequence[object], folder: Path, aim: Aim | None = None, **options: Callable[[], None]) -> Ended:
    """Run ``persam-vos`` to its end; see ``start``."""
    return start(words, folder, aim, **options).ended()


def _become(
    words: list[str], printed: tuple[Path, Path], aim: Aim | None, before: Callable[[], None], out: int | None
) -> None:
    """Be the command, in a process that was forked, and end as its entry point does."""
    status = 1
    try:
        files = [os.open(path, os.O_WRONLY | os.O_APPEND) for path in printed]
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(files[0] if out is None else out, 1)
        os.dup2(files[1], 2)
        # Those of the process that was forked believe to be at some place of its own files.
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
        from persam_vos.cli.app import main

        if aim is not None:
            aim.take()
        before()
        status = main(words)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
