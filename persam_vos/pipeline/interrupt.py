"""Ctrl-C, SIGTERM and a closed terminal end a run between two frames, so that no file is left half-written."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

REPEAT_SECONDS = 1.0
"""An interrupt within this time of the last one is the same: GNU ``timeout`` sends two, and a key may bounce."""
_RETRY_SECONDS = 0.05
_IMPORT_SYSTEM = "<frozen importlib._bootstrap"


def ending_signals() -> list[signal.Signals]:
    """Return the signals that ask a run to end.

    SIGHUP is included, unless ``nohup`` has set it to be ignored.
    """
    found = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        found.append(signal.SIGHUP)
    return found


def _is_importing(frame: FrameType | None) -> bool:
    """Tell whether a module is being imported at a point of the program."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORT_SYSTEM):
            return True
        frame = frame.f_back
    return False


class InterruptFilter:
    """Tells a new interrupt from the repetition of the last one.

    Args:
        clock: Returns seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None

    def is_new(self) -> bool:
        """Count an interrupt that arrives now; return False if it repeats the last one that counted."""
        now = self._clock()
        if self._last is not None and now - self._last < REPEAT_SECONDS:
            return False
        self._last = now
        return True

    def raise_if_new(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: raise KeyboardInterrupt, but not for a repetition.

        During an import, it is raised after it: PyTorch's libraries do not survive an import that ends half-way.
        """
        if _is_importing(frame):
            again = threading.Timer(_RETRY_SECONDS, _thread.interrupt_main, [number])
            again.daemon = True
            again.start()
        elif self.is_new():
            signal.default_int_handler(number, frame)


PROCESS_INTERRUPTS = InterruptFilter()
"""Sees every interrupt of the process, so that one which repeats across the end of a run still counts once."""


class GracefulInterrupt:
    """Turns the first interrupt into a request to stop, which is read between two frames.

    The second interrupt raises KeyboardInterrupt. The stages still finish their current frame, unless a third one
    comes. Interrupts within ``REPEAT_SECONDS`` count as one.

    An exception that may come at any point of the program could leave a file half-finished. Python delivers signals to
    the main thread only; in other threads this does nothing.

    Args:
        on_ask: Called at the first interrupt.
        interrupts: Tells repetitions; shared with the handler that is in place before and after.
        stop_source: Lets the source end, and tells whether frames may be missing because of it; see ``FrameReader``.

    Attributes:
        asked: Whether the run should stop.
        cut_short: Whether frames may be missing because the source was stopped.
    """

    def __init__(
        self,
        on_ask: Callable[[], None],
        interrupts: InterruptFilter = PROCESS_INTERRUPTS,
        *,
        stop_source: Callable[[], bool] = lambda: False,
    ) -> None:
        self.asked = self.cut_short = False
        self._on_ask, self._stop_source = on_ask, stop_source
        self._filter = interrupts
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> GracefulInterrupt:
        if threading.current_thread() is threading.main_thread():
            self._former = {each: signal.signal(each, self._ask) for each in ending_signals()}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._former.items():
            signal.signal(each, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self._filter.is_new():
            return
        if self.asked:
            signal.default_int_handler(number, frame)
        self.asked = True
        self._on_ask()
        self.cut_short = self._stop_source()
