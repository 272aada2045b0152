"""Iterators that run ahead of their consumer, in threads of their own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None = None


def prefetch(name: str, items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Run an iterator in a thread; its error is raised here, in its place.

    Args:
        name: Of the thread.
        items: What to run; a generator is closed in that thread.
        depth: How many items wait at most; 0 for any number.
    """
    return side_by_side(name, [items], depth)


def side_by_side(name: str, iterables: Sequence[Iterable[T]], depth: int) -> Generator[T, None, None]:
    """Run iterators in threads of their own, and yield their items as they come; see ``prefetch``.

    Args:
        name: Of the threads.
        iterables: What to run. The first error of one ends all.
        depth: How many items of all wait at most; 0 for any number.
    """
    ready: queue.Queue[_Item[T] | _End] = queue.Queue(depth)
    stopped = threading.Event()

    def offer(item: _Item[T] | _End) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work(items: Iterable[T]) -> None:
        try:
            for value in items:
                if not offer(_Item(value)):
                    return
        except BaseException as error:
            offer(_End(error))
        else:
            offer(_End())
        finally:
            # Its own threads and files end in this thread.
            if isinstance(items, Generator):
                items.close()

    workers = [Worker(name, partial(work, items)) for items in iterables]
    try:
        for worker in workers:
            worker.start()
        running = len(workers)
        while running:
            if isinstance(item := ready.get(), _Item):
                yield item.value
            elif item.error is not None:
                raise item.error
            else:
                running -= 1
    finally:
        stopped.set()
        for worker in workers:
            worker.wait()


class Worker:
    """A thread that can be waited for again after an interrupt; before Python 3.13, ``Thread.join`` cannot.

    It is started apart from being made, so that a ``try`` that waits for it can begin before it runs.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._work = work
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"persam-vos {name}", daemon=True)

    def start(self) -> None:
        """Begin the work."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._ended.set()

    @property
    def ended(self) -> bool:
        """Whether the work is done."""
        return self._ended.is_set()

    def wait(self) -> None:
        """Wait for the end of the work, if it has begun.

        On the first interrupt, still wait, so that no thread outlives the run. On the second, stop waiting: the source
        may be stuck.
        """
        if self._thread.ident is None:
            return
        try:
            self._ended.wait()
        except KeyboardInterrupt:
            self._ended.wait()
            raise
        self._thread.join()
