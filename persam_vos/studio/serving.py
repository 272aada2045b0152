"""The studio as a process: its port, its address, the browser, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from persam_vos.errors import SettingsError, reason
from persam_vos.pipeline.interrupt import PROCESS_INTERRUPTS, ending_signals
from persam_vos.studio.http.app import make_app
from persam_vos.studio.http.patience import MOST_CONNECTIONS, PatientProtocol
from persam_vos.studio.http.security import Door
from persam_vos.studio.parts import Studio

if TYPE_CHECKING:
    from starlette.applications import Starlette

FIRST_PORT = 8765
_CLOSING_SECONDS = 3


@dataclass(frozen=True)
class Listening:
    """Where a studio is served.

    Attributes:
        host: The address to which it is bound.
        port: The port; None for the usual one, or any that is free if that is in use.
    """

    host: str = "127.0.0.1"
    port: int | None = None

    def bind(self) -> socket.socket:
        """Return a socket that listens.

        Raises:
            SettingsError: If the port is in use, or the host is not one of this machine's.
        """
        try:
            if self.port is not None:
                return _bound(self.host, self.port)
            try:
                return _bound(self.host, FIRST_PORT)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return _bound(self.host, 0)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SettingsError(
                    f"--port is {self.port}, which is in use; give another one, or leave it out for one that is free"
                ) from error
            where = f"--host is {self.host!r} and --port is {FIRST_PORT if self.port is None else self.port}"
            raise SettingsError(f"{where}, where nothing can listen ({reason(error)})") from error


def serve(
    opened: Callable[[], Studio],
    listening: Listening,
    *,
    announce: Callable[[str, str | None], None],
    on_wait: Callable[[str], None],
    on_no_browser: Callable[[], None] | None,
) -> str:
    """Serve a studio until a signal ends it, or its session cannot be opened.

    Args:
        opened: Opens the studio; called once the port is known to be free.
        listening: Where.
        announce: Told the address, and that for other machines if it is another one, before anything is answered.
        on_wait: Told at the end what is waited for, if that lasts.
        on_no_browser: Called if no browser can be opened; None opens none.

    Returns:
        What could not be saved, in one line; "" if all is.

    Raises:
        PersamVosError: If it cannot be served, or its session cannot be opened.
        KeyboardInterrupt: At a second signal, which ends it at once.
    """
    failed: list[BaseException] = []
    with ExitStack() as stack:
        bound = stack.enter_context(listening.bind())
        studio = opened()
        stack.enter_context(_closed(studio, on_wait))
        door = Door.new(bound.getsockname()[1], listening.host)
        server = Server(make_app(studio, door), studio)

        def on_open(error: BaseException | None) -> None:
            if error is not None:
                failed.append(error)
                studio.events.tell("failed", {"kind": "open", "error": str(error)})
                server.should_exit = True

        with server.ended_by_signals():
            announce(door.address, door.address_for_others)
            if on_no_browser is not None:
                threading.Thread(target=_open_browser, args=(door, on_no_browser), daemon=True).start()
            studio.workspace.when_open(on_open)
            asyncio.run(server.serve(sockets=[bound]))
        if server.force_exit:
            raise KeyboardInterrupt
    if failed:
        raise failed[0]
    return studio.workspace.unsaved


class Server(uvicorn.Server):
    """A server whose event streams end when it does, and which leaves signals to the program."""

    def __init__(self, app: Starlette, studio: Studio) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                limit_concurrency=MOST_CONNECTIONS,
                ws="none",
                loop="asyncio",
                lifespan="off",
                # The token is part of the first address: no request is ever written down.
                access_log=False,
                log_config=None,
                log_level="critical",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_CLOSING_SECONDS,
            )
        )
        self._studio = studio

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams first: nothing else lasts."""
        self._studio.events.end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals as they are; see ``ended_by_signals``."""
        yield

    @contextmanager
    def ended_by_signals(self) -> Iterator[None]:
        """End at the first signal when all is answered, at a second one at once."""

        def end(_number: int, _frame: FrameType | None) -> None:
            if PROCESS_INTERRUPTS.is_new():
                self.force_exit, self.should_exit = self.should_exit, True

        former: dict[signal.Signals, Any] = {each: signal.signal(each, end) for each in ending_signals()}
        try:
            yield
        finally:
            for each, handler in former.items():
                signal.signal(each, handler)


@contextmanager
def _closed(studio: Studio, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Close a studio at the end, unless that must be at once."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:
        studio.close(on_wait)
        raise
    studio.close(on_wait)


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":
            # A port that has just been left is free; on Windows, this would share one that is in use.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
        bound.set_inheritable(False)
    except BaseException:
        bound.close()
        raise
    return bound


def _open_browser(door: Door, on_no_browser: Callable[[], None]) -> None:
    # Without a desktop, Python would open a browser in the terminal.
    is_shown = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if not (is_shown and webbrowser.open(door.new_ticket())):
        on_no_browser()
