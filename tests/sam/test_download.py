"""Downloads from a server in this file, as good or as bad as a real one."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
from pathlib import Path

import pytest

from persam_vos.errors import CheckpointError
from persam_vos.sam.checkpoints import download
from persam_vos.sam.checkpoints import registry as checkpoints
from persam_vos.sam.checkpoints.registry import CHECKPOINTS, Checkpoint, resolve_checkpoint

CONTENT = bytes(range(256)) * 8192  # 2 MiB: several blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        with server.guard:
            server.requests.append(dict(self.headers))
            cut = server.cuts.pop(0) if server.cuts else None
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        if server.status != 200:
            self.send_error(server.status)
            return
        body = server.content
        self.send_response(200)
        if server.tell_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        half = body[: len(body) // 2] if cut is None else body[:cut]
        self.wfile.write(half)
        self.wfile.flush()
        assert server.gate.wait(60)
        if cut is None:
            self.wfile.write(body[len(half) :])

    def log_message(self, *_args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Serves ``content`` at every path, as well or as badly as its attributes say."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = CONTENT
        self.tell_length = True
        self.status = 200
        self.redirect = ""
        self.cuts: list[int | None] = []  # per request, the bytes after which the connection drops
        self.requests: list[dict[str, str]] = []
        self.guard = threading.Lock()
        self.gate = threading.Event()  # a body stops half-way while this is clear
        self.gate.set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/weights.pth"

    def handle_error(self, *_args: object) -> None:
        """Say nothing: clients that give up are part of the tests."""


@pytest.fixture
def server():
    with Server() as instance:
        thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield instance
        instance.gate.set()
        instance.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSAM_VOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "cache" / "weights.pth"


def fetch(url: str, target: Path, **options: object) -> Path:
    return download.download(url, target, **{"sha256": SHA256, "progress": False, **options})


def leftovers(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()}


def test_a_download_arrives_whole_with_progress(server, target):
    seen = []
    assert fetch(server.url, target, progress=lambda done, total: seen.append((done, total))) == target
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert leftovers(target) == {"weights.pth"}


def test_the_progress_bar_goes_to_standard_error(server, target, capsys):
    fetch(server.url, target, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "weights.pth: 100%" in captured.err
    assert "2.00M/2.00M" in captured.err


def test_a_cut_connection_is_an_error_and_the_next_call_begins_anew(server, target):
    server.cuts = [700_000]
    with pytest.raises(CheckpointError, match=rf"cannot download {server.url}: .*pass --checkpoint FILE"):
        fetch(server.url, target)
    assert leftovers(target) == set()
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT


def test_an_interrupt_leaves_nothing(server, target):
    def interrupt(done: int, _total: int | None) -> None:
        if done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.url, target, progress=interrupt)
    assert leftovers(target) == set()


def test_a_server_that_stops_half_way_is_given_up(monkeypatch, server, target):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.5)
    server.gate.clear()
    with pytest.raises(CheckpointError, match="timed out"):
        fetch(server.url, target)
    assert leftovers(target) == set()


def test_a_server_that_does_not_tell_the_length_is_served_by_the_digest(server, target):
    server.tell_length = False
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT


def test_a_cut_that_looks_like_the_end_is_told_by_the_digest(server, target):
    server.tell_length = False
    server.cuts = [700_000]
    with pytest.raises(CheckpointError, match="expected SHA-256"):
        fetch(server.url, target)
    assert not target.exists()


def test_a_wrong_digest_names_both_and_leaves_nothing(server, target):
    server.content = CONTENT[::-1]
    found = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(CheckpointError) as caught:
        fetch(server.url, target)
    message = str(caught.value)
    assert "weights.pth" in message
    assert f"expected SHA-256 {SHA256}, found {found}" in message
    assert "\n" not in message
    assert leftovers(target) == set()
    assert len(server.requests) == 1


def test_a_failed_download_leaves_an_older_file_alone(server, target):
    target.parent.mkdir()
    target.write_bytes(b"older")
    server.status = 503
    with pytest.raises(CheckpointError, match="HTTP 503"):
        fetch(server.url, target)
    assert target.read_bytes() == b"older"


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_http_error_names_address_reason_and_way_out(server, target, status):
    server.status = status
    with pytest.raises(CheckpointError, match=rf"cannot download {server.url}: HTTP {status}.*pass --checkpoint FILE"):
        fetch(server.url, target)
    assert leftovers(target) == set()


def test_a_refused_connection_names_address_reason_and_way_out(target):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.pth"
        with pytest.raises(
            CheckpointError,
            match=f"cannot download {url}: no connection to the server; or download it by hand and pass",
        ):
            fetch(url, target)


def test_a_silent_server_is_given_up(monkeypatch, target):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/weights.pth"
        with pytest.raises(CheckpointError, match="timed out"):
            fetch(url, target)


def test_a_server_that_speaks_no_http_is_an_error_of_ours(target):
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def answer() -> None:
            connection = odd.accept()[0]
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-hello\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(CheckpointError, match="cannot download"):
            fetch(f"http://127.0.0.1:{odd.getsockname()[1]}/weights.pth", target)
        thread.join()


@pytest.mark.parametrize("url", ["http://example.invalid/w.pth", "ftp://127.0.0.1/w.pth", "file:///etc/hostname"])
def test_an_insecure_address_is_not_asked(target, url):
    with pytest.raises(CheckpointError, match="over https only"):
        fetch(url, target)
    assert not target.parent.exists()


@pytest.mark.parametrize("redirect", ["http://example.invalid/w.pth", "ftp://127.0.0.1/w.pth"])
def test_a_redirect_to_an_insecure_address_is_not_followed(server, target, redirect):
    server.redirect = redirect
    with pytest.raises(CheckpointError, match="over https only"):
        fetch(server.url.replace("weights.pth", "elsewhere"), target)


def test_a_redirect_to_a_secure_address_is_followed(server, target):
    server.redirect = server.url
    fetch(server.url.replace("weights.pth", "elsewhere"), target)
    assert target.read_bytes() == CONTENT


def test_a_cache_that_cannot_be_made_says_so(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CheckpointError, match=r"cannot be written .*PERSAM_VOS_CACHE"):
        fetch(server.url, tmp_path / "file" / "weights.pth")


@pytest.fixture
def _registered(monkeypatch, server):
    """Stand the local server in for the official address of ``vit_b``."""
    entry = Checkpoint("vit_b", "weights.pth", server.url, SHA256, len(CONTENT))
    monkeypatch.setattr(checkpoints, "CHECKPOINTS", {**CHECKPOINTS, "vit_b": entry})


@pytest.mark.usefixtures("_registered")
def test_a_download_is_made_once_and_again_only_if_the_file_was_cut_short(server, target):
    assert resolve_checkpoint("vit_b", progress=False) == target
    assert resolve_checkpoint("vit_b", progress=False) == target
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1
    target.write_bytes(CONTENT[:-1])
    resolve_checkpoint("vit_b", progress=False)
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 2
