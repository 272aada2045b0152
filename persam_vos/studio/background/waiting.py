"""Threads are waited for, so that a signal still gets through."""

from __future__ import annotations

import threading
from collections.abc import Callable

_SILENT_SECONDS = 1.0
# Windows handles signals between two waits alone.
_BETWEEN_SECONDS = 0.2


def wait_for(thread: threading.Thread, on_wait: Callable[[], None]) -> None:
    """Wait until a thread has ended, however long that takes.

    Args:
        thread: It has been told to end.
        on_wait: Called once, if that lasts longer than 1 s.
    """
    thread.join(_SILENT_SECONDS)
    if thread.is_alive():
        on_wait()
    while thread.is_alive():
        thread.join(_BETWEEN_SECONDS)
