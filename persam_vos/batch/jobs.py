"""Work on clips in several processes of this machine, each with a network of its own."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from persam_vos.batch.child import block_interrupts, one_network, serve
from persam_vos.batch.run import BatchProgress, Results
from persam_vos.batch.shares import Share, shares
from persam_vos.batch.work import ClipJob, ClipResult
from persam_vos.errors import reason
from persam_vos.pipeline.interrupt import GracefulInterrupt

if TYPE_CHECKING:
    from persam_vos.batch.child import MakeLoad

_ATTEMPTS = 2
_SECONDS_TO_END = 10.0


class _Process:
    """One process, started when it is made."""

    def __init__(self, share: Share, make_load: MakeLoad) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(theirs, share, make_load), daemon=True)
        self._process.start()
        theirs.close()

    def do(self, job: ClipJob) -> ClipResult | None:
        """Return how the work on a clip ended; None if the process has died."""
        try:
            self._connection.send(job)
            result: ClipResult = self._connection.recv()
        except (EOFError, OSError):
            return None
        return result

    def interrupt(self) -> None:
        """Let it stop after the frame in work."""
        if self._process.pid is not None and self._process.exitcode is None:
            with suppress(OSError):
                os.kill(self._process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def end(self) -> str:
        """Let it end, and return how it did, for messages."""
        with suppress(OSError):
            self._connection.send(None)
        self._process.join(_SECONDS_TO_END)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._connection.close()
        status = self._process.exitcode or 0
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


class Processes:
    """Several processes; see ``Workers``.

    Args:
        count: How many.
        threads: Of each; None for the cores shared out.
        make_load: Returns, in each process, what loads the network.
    """

    def __init__(self, count: int, threads: int | None = None, make_load: MakeLoad = one_network) -> None:
        self._shares, self._make_load = shares(count, threads), make_load
        self._stopped = False
        self._running: dict[int, _Process] = {}

    @property
    def described(self) -> dict[str, Any]:
        """What batch.json says of it."""
        return {"workers": "processes", "jobs": len(self._shares), "threads": [each.threads for each in self._shares]}

    def stop(self) -> None:
        """Begin no other clip, and stop those in work."""
        self._stopped = True
        for each in list(self._running.values()):
            each.interrupt()

    def results(self, jobs: Sequence[ClipJob], progress: BatchProgress) -> Results:
        """Yield how each clip ended, as they end; see ``Workers``."""
        left, ended = _Left(jobs), queue.SimpleQueue[ClipResult | Exception | None]()
        threads = [
            threading.Thread(target=self._feed, args=(number, left, ended), name=f"persam-vos job {number}")
            for number in range(min(len(self._shares), len(jobs)))
        ]

        def asked() -> None:
            progress.interrupt()
            self.stop()

        with GracefulInterrupt(asked):
            for each in threads:
                each.start()
            try:
                going = len(threads)
                while going:
                    if (result := ended.get()) is None:
                        going -= 1
                    elif isinstance(result, Exception):
                        raise result
                    else:
                        yield result
            except BaseException:
                self._stopped = True
                for process in list(self._running.values()):
                    process.kill()
                raise
            finally:
                for each in threads:
                    each.join()

    def _feed(self, number: int, left: _Left, ended: queue.SimpleQueue[ClipResult | Exception | None]) -> None:
        """Hand clips to one process after the other, which takes the place of one that has died."""
        block_interrupts()
        try:
            for job in left:
                if self._stopped:
                    break
                ended.put(self._done(number, job))
        except Exception as error:  # the main thread raises it
            ended.put(error)
        finally:
            if (process := self._running.pop(number, None)) is not None:
                process.end()
            ended.put(None)

    def _done(self, number: int, job: ClipJob) -> ClipResult:
        """Let a process work on a clip; if it dies, let another one go on with the clip once."""
        fate = ""
        for _ in range(_ATTEMPTS):
            try:
                process = self._running.get(number)
                if process is None:
                    process = self._running[number] = _Process(self._shares[number], self._make_load)
            except OSError as error:
                why = f"no process could be started for it ({reason(error)})"
                return ClipResult(job.clip.id, "failed", 0.0, error=why)
            if self._stopped:
                # Perhaps it was started after the others were told to stop.
                process.interrupt()
            if (result := process.do(job)) is not None:
                return result
            del self._running[number]
            fate = process.end()
            if self._stopped:
                return ClipResult(job.clip.id, "interrupted", 0.0)
            job = replace(job, resume=True)
        return ClipResult(
            job.clip.id, "failed", 0.0, error=f"the process that worked on it {fate}, {_ATTEMPTS} times in a row"
        )


class _Left:
    """Clips that are not begun, for several threads."""

    def __init__(self, jobs: Sequence[ClipJob]) -> None:
        self._jobs = iter(jobs)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[ClipJob]:
        while True:
            with self._lock:
                job = next(self._jobs, None)
            if job is None:
                return
            yield job
