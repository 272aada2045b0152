"""A bound on the pixels that are in memory at once, whatever size pictures have."""

from __future__ import annotations

import threading


class PixelBudget:
    """Pixels that one thread takes and another one gives back.

    ``take`` blocks while the total would exceed ``most``. A larger picture is admitted once at most ``batch`` pixels
    are in use, so that a stage which waits for the rest of a batch gets it.

    Args:
        most: Pixels in use at once.
        batch: Pixels of the pictures encoded at once; at most ``most``.
    """

    def __init__(self, most: int, batch: int) -> None:
        self.batch = batch
        self._most = most
        self._used = 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, pixels: int) -> bool:
        """Wait until so many pixels may be used as well; return False once the budget is closed."""

        def ready() -> bool:
            return self._closed or self._used + pixels <= self._most or self._used <= self.batch

        with self._changed:
            self._changed.wait_for(ready)
            self._used += pixels
            return not self._closed

    def give(self, pixels: int) -> None:
        """Give pixels back."""
        with self._changed:
            self._used -= pixels
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
