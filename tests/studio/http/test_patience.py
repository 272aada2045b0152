"""Connections that do nothing take up no place for long."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack

import httpx
import pytest
from studios import PATIENCE_SECONDS, Served

from persam_vos.studio.http import patience


@pytest.mark.parametrize("sent", ["", "GET / HTTP/1.1\r\nHost: 127", "POST {path} HTTP/1.1\r\n{headers}\r\n{{"])
def test_a_connection_without_a_whole_request_is_closed(
    studio: Served, monkeypatch: pytest.MonkeyPatch, sent: str
) -> None:
    monkeypatch.setattr(patience, "_REQUEST_SECONDS", 0.2)
    headers = (
        f"Host: 127.0.0.1\r\nAuthorization: Bearer {studio.door.token}\r\nContent-Type: application/json\r\n"
        "Content-Length: 30\r\n"
    )

    with socket.create_connection(("127.0.0.1", studio.door.port), timeout=PATIENCE_SECONDS) as raw:
        raw.sendall(sent.format(path="/api/objects", headers=headers).encode())
        # It ends, with nothing but perhaps a refusal.
        while raw.recv(1000):
            pass

    assert studio.get("/api/state")["objects"] == []


def test_what_lasts_is_not_cut_off(studio: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_REQUEST_SECONDS", 0.2)
    with studio.listening() as wait:
        for _ in range(3):
            threading.Event().wait(0.2)
            # Of a connection of its own: one that waits for its next request may be let go meanwhile.
            httpx.post(f"{studio.origin}/api/objects", headers=studio.script.headers).raise_for_status()
            assert wait("state")["objects"]


def test_more_connections_than_allowed_are_refused(studio: Served) -> None:
    with ExitStack() as held:
        for _ in range(patience.MOST_CONNECTIONS):
            held.enter_context(socket.create_connection(("127.0.0.1", studio.door.port), timeout=PATIENCE_SECONDS))
        assert studio.script.get("/api/video").status_code == 503
