"""What runs beside the tracker: stages in threads of their own, and the wish to stop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


def _endings() -> list[signal.Signals]:
    """Return the signals that ask a run to end; a closed terminal's is one of them, unless ``nohup`` has it ignored."""
    found = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        found.append(signal.SIGHUP)
    return found


class PoliteInterrupt:
    """Turns the first Ctrl-C, SIGTERM or closed terminal into a wish, heard between two frames.

    The second one raises KeyboardInterrupt; what the stages are at is still finished, unless there is a third.

    An exception that may come at any point of the program could leave a file half-finished. Signals reach the main
    thread only; elsewhere this does nothing.
    """

    def __init__(self, on_ask: Callable[[], None]) -> None:
        self.asked = False
        self._on_ask = on_ask
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> PoliteInterrupt:
        if threading.current_thread() is threading.main_thread():
            self._former = {each: signal.signal(each, self._ask) for each in _endings()}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._former.items():
            signal.signal(each, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            signal.default_int_handler(number, frame)
        self.asked = True
        self._on_ask()
