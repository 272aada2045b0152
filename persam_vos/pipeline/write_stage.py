"""The writers, in a thread of their own behind a bounded queue."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from persam_vos.exports.base import ResultWriter
from persam_vos.media.frame import Frame
from persam_vos.pipeline.pixel_budget import PixelBudget
from persam_vos.pipeline.prefetch import Worker
from persam_vos.pipeline.saving import Saving
from persam_vos.pipeline.timings import Timings
from persam_vos.results import FrameResult


class WriteStage:
    """Hands results to writers in a thread.

    Args:
        writers: Where the results go.
        timings: Told how long writing takes, as ``write``.
        depth: How many results wait at most.
        budget: Gets a frame's pixels back once the frame is written.
    """

    def __init__(
        self, writers: Sequence[ResultWriter], timings: Timings, depth: int, budget: PixelBudget | None = None
    ) -> None:
        self._writers, self._timings, self._budget = writers, timings, budget
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._worker = Worker("write", self._work)

    def start(self) -> None:
        """Start the thread; ``close`` or ``abort`` ends it."""
        self._worker.start()

    def put(self, frame: Frame, result: FrameResult, then: Callable[[], None] | None = None) -> None:
        """Hand a result over; raises the error of an earlier one.

        Args:
            frame: The frame.
            result: What was found in it.
            then: Called in the thread once the result and all before it are written.
        """
        self._raise_error()
        self._waiting.put(partial(self._write, frame, result, then))

    def then(self, work: Callable[[], None]) -> None:
        """Call a function in the thread once all before it is written."""
        self._waiting.put(partial(self._timed, work))

    def close(self) -> tuple[Path, ...]:
        """Write what waits, finish every file, and return their paths."""
        self._finish()
        self._raise_error()
        with self._timings.stage("write"):
            return tuple(path for writer in self._writers for path in writer.close())

    def abort(self, saving: Saving | None = None) -> None:
        """Remove every file that is not finished, unless there is a checkpoint that needs them."""
        try:
            self._finish()
        finally:
            if saving is not None and saving.saved:
                saving.suspend()
            else:
                for writer in self._writers:
                    writer.abort()

    def _work(self) -> None:
        while (work := self._waiting.get()) is not None:
            # After an error the queue is still drained, so that put never blocks for good.
            if self._error is not None:
                continue
            try:
                work()
            except BaseException as error:
                self._error = error
                if self._budget is not None:
                    # Nothing is given back any more.
                    self._budget.close()

    def _timed(self, work: Callable[[], None]) -> None:
        with self._timings.stage("write"):
            work()

    def _write(self, frame: Frame, result: FrameResult, then: Callable[[], None] | None) -> None:
        with self._timings.stage("write"):
            for writer in self._writers:
                writer.write(frame, result)
            if then is not None:
                then()
        if self._budget is not None:
            self._budget.give(frame.height * frame.width)

    def _finish(self) -> None:
        if not self._worker.ended:
            self._waiting.put(None)
            self._worker.wait()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
