"""How long each stage of a run takes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Timings:
    """Seconds spent in each stage. Stages run side by side, so their sum may exceed the time of the run.

    A GPU stage only queues its work, so time of ``encode`` may show under ``track``.

    Attributes:
        seconds: Per stage. Several threads may be in one stage.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        """Count time that was taken elsewhere."""
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def timed(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Count the time that an iterable takes to give its items."""
        iterator = iter(items)
        done = object()
        while True:
            with self.stage(name):
                item: Any = next(iterator, done)
            if item is done:
                return
            yield item

    def rounded(self) -> dict[str, float]:
        """Return the seconds per stage to the millisecond."""
        return {name: round(seconds, 3) for name, seconds in self.seconds.items()}
