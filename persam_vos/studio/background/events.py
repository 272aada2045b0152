"""What happens is told to every open page, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any

_KEEP_OPEN_SECONDS = 15.0
# Of these, only the latest matters to a page that is slow to listen.
_LATEST_ONLY = frozenset({"state", "progress"})
_MOST_WAITING = 100
MOST_LISTENERS = 32


class Events:
    """Hands events from any thread to all who listen; nobody waits for a slow listener.

    Listeners are served by one event loop, the one in which they begin to listen.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[_Listener] = set()
        self._has_ended = False

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell everybody; any thread may call this."""
        line = json.dumps(data, allow_nan=False)
        with self._lock:
            for each in self._listeners:
                each.tell(kind, line)

    def end(self) -> None:
        """Let everybody go."""
        with self._lock:
            self._has_ended = True
            for each in self._listeners:
                each.end()

    @property
    def is_full(self) -> bool:
        """Whether nobody else can listen."""
        with self._lock:
            return len(self._listeners) >= MOST_LISTENERS

    async def listen(self, first: Mapping[str, Any] | None = None) -> AsyncIterator[bytes]:
        """Yield events as they happen, as bytes of an event stream.

        Args:
            first: A state with which the stream begins; None for none.
        """
        listener = _Listener(asyncio.get_running_loop())
        with self._lock:
            if self._has_ended:
                return
            self._listeners.add(listener)
        try:
            if first is not None:
                listener.tell("state", json.dumps(first, allow_nan=False))
            yield b": listening\n\n"
            async for text in listener.stream():
                yield text
        finally:
            with self._lock:
                self._listeners.discard(listener)


class _Listener:
    """What one page has not heard yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._wake = loop, asyncio.Event()
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, str]] = []
        self._has_ended = False

    def tell(self, kind: str, line: str) -> None:
        with self._lock:
            if kind in _LATEST_ONLY:
                self._waiting = [each for each in self._waiting if each[0] != kind]
            self._waiting = [*self._waiting[1 - _MOST_WAITING :], (kind, line)]
        self._call()

    def end(self) -> None:
        self._has_ended = True
        self._call()

    async def stream(self) -> AsyncIterator[bytes]:
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), _KEEP_OPEN_SECONDS)
            except asyncio.TimeoutError:
                yield b": still here\n\n"
                continue
            self._wake.clear()
            with self._lock:
                found, self._waiting = self._waiting, []
            for kind, line in found:
                yield f"event: {kind}\ndata: {line}\n\n".encode()
            if self._has_ended:
                return

    def _call(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)
