"""What happens is told to every open page, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from persam_vos.studio.refusals import Refusal

_KEEP_OPEN_SECONDS = 15.0
# Of these, only the latest matters to a page that is slow to listen; it names all frames that were walked over since.
_LATEST_ONLY = frozenset({"state", "progress"})
_MOST_WAITING = 100
MOST_LISTENERS = 32


class Events:
    """Hands events from any thread to all who listen; nobody waits for a slow listener."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._has_ended = False

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell everybody; any thread may call this."""
        with self._lock:
            for each in self._listeners:
                each.tell(kind, data)

    def end(self) -> None:
        """Let everybody go."""
        with self._lock:
            self._has_ended = True
            for each in self._listeners:
                each.end()

    def add(self) -> Listener:
        """Return a new listener, which hears all that is told from now on, until it leaves.

        It is served by the event loop that runs.

        Raises:
            Refusal: If nobody else can listen.
        """
        listener = Listener(asyncio.get_running_loop(), self._forget)
        with self._lock:
            if len(self._listeners) >= MOST_LISTENERS:
                raise Refusal(503, "too many pages listen already; close some")
            if self._has_ended:
                listener.end()
            else:
                self._listeners.add(listener)
        return listener

    def _forget(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)


class Listener:
    """What one page has not heard yet; see ``Events.add``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_leave: Callable[[Listener], None]) -> None:
        self._loop, self._wake, self._on_leave = loop, asyncio.Event(), on_leave
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, Mapping[str, Any]]] = []
        self._has_ended = False

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell this one alone; any thread may call this."""
        with self._lock:
            if kind in _LATEST_ONLY:
                older, self._waiting = self._waiting, []
                for name, each in older:
                    if name == kind and ("frames" in each) == ("frames" in data):
                        data = _joined(each, data)
                    else:
                        self._waiting.append((name, each))
            self._waiting = [*self._waiting[1 - _MOST_WAITING :], (kind, data)]
        self._call()

    def end(self) -> None:
        """Let it hear what waits, and nothing more."""
        self._has_ended = True
        self._call()

    def leave(self) -> None:
        """Hear nothing any more."""
        self._on_leave(self)

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield events as they happen, as bytes of an event stream."""
        yield b": listening\n\n"
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), _KEEP_OPEN_SECONDS)
            except asyncio.TimeoutError:
                yield b": still here\n\n"
                continue
            self._wake.clear()
            with self._lock:
                found, self._waiting = self._waiting, []
            for kind, data in found:
                yield f"event: {kind}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()
            if self._has_ended:
                return

    def _call(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)


def _joined(older: Mapping[str, Any], data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what stands for both."""
    if "frames" not in data:
        return data
    frames = [*older["frames"], *data["frames"]]
    return {**data, "frames": [min(frames), max(frames)]}
