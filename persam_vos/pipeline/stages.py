"""What runs beside the tracker: stages in threads of their own, and the wish to stop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from persam_vos.exports.base import ResultWriter
from persam_vos.media.frame import Frame
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.malloc import give_back_freed
from persam_vos.pipeline.timings import Timings
from persam_vos.results import FrameResult

T = TypeVar("T")
# Frames waiting between two stages, beside those in work: enough to hide jitter, few enough to keep memory small at 4K.
# An embedding takes some 15 MB.
QUEUE_DEPTH = 4
EMBEDDED_DEPTH = 2
# Frames after which freed memory goes back to the system: in fewer, its holes add up to little.
_GIVE_BACK_AFTER = 25


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None = None


def prefetch(name: str, items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Run an iterator in a thread, at most ``depth`` items ahead; its error is raised here, in its place."""
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

    def work() -> None:
        try:
            for value in items:
                if not offer(_Item(value)):
                    return
        except BaseException as error:
            offer(_End(error))
        else:
            offer(_End())
        finally:
            # Whatever threads and files it has end in this one.
            if isinstance(items, Generator):
                items.close()

    worker = _Worker(name, work)
    try:
        while isinstance(item := ready.get(), _Item):
            yield item.value
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        worker.wait()


class _Worker:
    """A thread at work, for which may be waited again after an interrupt; before Python 3.13, ``join`` forgets then."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._work = work
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"persam-vos {name}", daemon=True)
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
        """Wait for the end of the work.

        An interrupt waits as well, or it would leave the thread to an exiting interpreter; one more does not: the
        thread may be waiting for a source that gives nothing.
        """
        try:
            self._ended.wait()
        except KeyboardInterrupt:
            self._ended.wait()
            raise
        self._thread.join()


class Allowance:
    """How much may be in use at once of something that is taken in one thread and given back in another.

    Whoever takes waits while there would be more than ``most``; but what exceeds it alone is taken as soon as no more
    than ``enough`` is in use. So one that holds less than ``enough``, and waits for more to be taken, gets it.
    """

    def __init__(self, most: int, enough: int) -> None:
        self._most, self._enough = most, enough
        self._used = 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, amount: int) -> bool:
        """Wait until so much may be used as well; return False if that is wanted no more."""

        def ready() -> bool:
            return self._closed or self._used + amount <= self._most or self._used <= self._enough

        with self._changed:
            self._changed.wait_for(ready)
            self._used += amount
            return not self._closed

    def give(self, amount: int) -> None:
        """Give back what is used no more."""
        with self._changed:
            self._used -= amount
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Sink:
    """The writers, in a thread of their own behind a bounded queue."""

    def __init__(self, writers: Sequence[ResultWriter], timings: Timings, depth: int) -> None:
        self._writers = writers
        self._timings = timings
        self._waiting: queue.Queue[tuple[Frame, FrameResult] | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._worker = _Worker("write", self._work)

    def put(self, frame: Frame, result: FrameResult) -> None:
        """Hand a result over; raises the error of an earlier one."""
        self._raise_error()
        self._waiting.put((frame, result))

    def close(self) -> tuple[Path, ...]:
        """Write what waits, finish every file, and return their paths."""
        self._finish()
        self._raise_error()
        with self._timings.stage("write"):
            return tuple(path for writer in self._writers for path in writer.close())

    def abort(self) -> None:
        """Remove what was begun and is not finished."""
        try:
            self._finish()
        finally:
            for writer in self._writers:
                writer.abort()

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            # After an error the queue is still drained, so that put never blocks for good.
            if self._error is not None:
                continue
            try:
                with self._timings.stage("write"):
                    for writer in self._writers:
                        writer.write(*item)
            except BaseException as error:
                self._error = error

    def _finish(self) -> None:
        if not self._worker.ended:
            self._waiting.put(None)
            self._worker.wait()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def write_all(
    results: Iterable[tuple[FrameResult, Frame]],
    sink: Sink,
    on_frame: Callable[[FrameResult], None],
    interrupt: GracefulInterrupt,
) -> int:
    """Hand results to the writers until they end or the user wants to stop; return their number."""
    frames = 0
    for result, frame in results:
        sink.put(frame, result)
        frames += 1
        if frames % _GIVE_BACK_AFTER == 0:
            give_back_freed()
        on_frame(result)
        if interrupt.asked:
            break
    return frames
