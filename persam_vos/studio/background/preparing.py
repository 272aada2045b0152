"""Frames are encoded in the background, so that clicks on them are answered at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from persam_vos.studio.background.events import Events
from persam_vos.studio.background.waiting import wait_for
from persam_vos.studio.refusals import in_words

if TYPE_CHECKING:
    from persam_vos.video.session.session import Session

# Frames that were asked for and passed since are not encoded any more.
_MOST_WAITING = 4


class Preparer:
    """Encodes frames, the one that was asked for last first.

    Args:
        session: Returns the session, once it is open.
        events: Hears ``prepared``, or ``failed``.
    """

    def __init__(self, session: Callable[[], Session], events: Events) -> None:
        self._session, self._events = session, events
        self._lock = threading.Condition()
        self._waiting: list[int] = []
        self._asked: list[int] = []
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="prepare", daemon=True)
        self._thread.start()

    def prepare(self, frame: int) -> None:
        """Encode a frame soon."""
        with self._lock:
            self._waiting = [*(each for each in self._waiting if each != frame), frame][-_MOST_WAITING:]
            self._lock.notify()

    def prepared(self) -> list[int]:
        """Return the frames that are encoded, rising."""
        session = self._session()
        with self._lock:
            self._asked = [each for each in self._asked if session.is_prepared(each)]
            return sorted(self._asked)

    def end(self, on_wait: Callable[[str], None]) -> None:
        """Encode nothing any more; wait for the frame in work.

        Args:
            on_wait: Told what is waited for, if that lasts.
        """
        with self._lock:
            self._has_ended = True
            self._lock.notify()
        wait_for(self._thread, lambda: on_wait("a frame is being encoded"))

    def _run(self) -> None:
        while (frame := self._next()) is not None:
            try:
                self._session().prepare(frame)
            except Exception as error:  # the page must hear of it, and other frames may go well
                self._events.tell("failed", {"kind": "prepare", "error": in_words(error)})
                continue
            with self._lock:
                self._asked = [*(each for each in self._asked if each != frame), frame]
            self._events.tell("prepared", {"frame": frame})

    def _next(self) -> int | None:
        with self._lock:
            self._lock.wait_for(lambda: self._waiting or self._has_ended)
            return None if self._has_ended else self._waiting.pop()
