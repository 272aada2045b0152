"""Long work in a thread of its own: one piece at a time, with its progress, until it ends or is cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from persam_vos.pipeline.priority import yield_to_others
from persam_vos.studio.background.events import Events
from persam_vos.studio.background.waiting import wait_for
from persam_vos.studio.refusals import Refusal, in_words

Kind = Literal["propagate", "export"]
_DOING = {"propagate": "masks are being propagated", "export": "an export is being written"}


class Job:
    """One piece of work.

    Attributes:
        kind: What is done.
        done: Frames done so far.
        expected: Frames in all, as far as is known.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.done = self.expected = 0
        self._began = time.perf_counter()
        self._cancelled = threading.Event()

    def advance(self, done: int, expected: int) -> None:
        """Note how far it is; where that is less than before, it has begun anew, and so has its time."""
        if done < self.done:
            self._began = time.perf_counter()
        self.done, self.expected = done, expected

    def cancel(self) -> None:
        """Ask it to end at the next frame."""
        self._cancelled.set()

    def is_cancelled(self) -> bool:
        """Tell whether it was asked to end."""
        return self._cancelled.is_set()

    def record(self) -> dict[str, Any]:
        """Return how far it is, as JSON."""
        rate = self.done / max(time.perf_counter() - self._began, 1e-9)
        left = round(max(self.expected - self.done, 0) / rate, 1) if self.done else None
        return {
            "kind": self.kind,
            "done": self.done,
            "expected": self.expected,
            "frames_per_second": round(rate, 3) if self.done else None,
            "seconds_left": left,
        }


Work = Callable[[Job], Mapping[str, Any]]


class Jobs:
    """Does one job at a time.

    Args:
        events: Hears ``done`` with what the work returns, or ``failed``.
        on_change: Called when a job begins or ends.
    """

    def __init__(self, events: Events, on_change: Callable[[], None]) -> None:
        self._events, self._on_change = events, on_change
        self._lock = threading.Lock()
        self._now: Job | None = None
        self._thread: threading.Thread | None = None

    def start(self, kind: Kind, work: Work) -> None:
        """Begin a job.

        Raises:
            Refusal: If another one is running.
        """
        with self._lock:
            if self._now is not None:
                raise Refusal(409, f"{_DOING[self._now.kind]}; wait for the end, or cancel")
            self._now = Job(kind)
            self._thread = threading.Thread(target=self._run, args=(self._now, work), name=kind, daemon=True)
            self._thread.start()
        self._on_change()

    def cancel(self, kind: Kind) -> None:
        """Ask the job to end, if it is of this kind; else do nothing."""
        with self._lock:
            if self._now is not None and self._now.kind == kind:
                self._now.cancel()

    def record(self) -> dict[str, Any] | None:
        """Return how far the job is, as JSON; None if there is none."""
        now = self._now
        return None if now is None else now.record()

    def end(self, on_wait: Callable[[str], None]) -> None:
        """Cancel the job, and wait until it has ended.

        Args:
            on_wait: Told what is waited for, if that lasts.
        """
        with self._lock:
            now, thread = self._now, self._thread
        if now is not None and thread is not None:
            now.cancel()
            wait_for(thread, lambda: on_wait(f"{_DOING[now.kind]}, which ends after the frame in work"))

    def _run(self, job: Job, work: Work) -> None:
        # Clicks are answered meanwhile.
        yield_to_others()
        try:
            kind, told = "done", {"kind": job.kind, "cancelled": False, **work(job)}
        except Exception as error:  # whatever it is, the page must hear of it
            kind, told = "failed", {"kind": job.kind, "error": " ".join(in_words(error).split())}
        with self._lock:
            self._now = None
        self._on_change()
        self._events.tell(kind, told)
