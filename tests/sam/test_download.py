"""Downloads from a server in this file, as good or as bad as a real one."""

from __future__ import annotations

import hashlib
import http.server
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
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
        start = self._start()
        if start is None:
            self.send_error(416)
            return
        body = server.content[start:]
        if start:
            self.send_response(206)
            shown = start + server.lie_about_start
            self.send_header("Content-Range", f"bytes {shown}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        if server.tell_length:
            self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        half = body[: len(body) // 2] if cut is None else body[:cut]
        self.wfile.write(half)
        self.wfile.flush()
        server.asked.set()
        assert server.gate.wait(60)
        if cut is None:
            self.wfile.write(body[len(half) :])

    def _start(self) -> int | None:
        wanted = self.headers.get("Range")
        validator = self.headers.get("If-Range")
        if not wanted or not self.server.ranges or (validator and validator != self.server.etag):
            return 0
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        return start if start < len(self.server.content) else None

    def log_message(self, *_args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Serves ``content`` at every path, as well or as badly as its attributes say."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = CONTENT
        self.etag = '"one"'
        self.ranges = True
        self.tell_length = True
        self.lie_about_start = 0
        self.status = 200
        self.redirect = ""
        self.cuts: list[int | None] = []  # per request, the bytes after which the connection drops
        self.requests: list[dict[str, str]] = []
        self.guard = threading.Lock()
        self.asked = threading.Event()
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


def leave_partial(target: Path, content: bytes, etag: str = "") -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    partial.write_bytes(content)
    if etag:
        target.with_name(target.name + ".partial.etag").write_text(etag)
    return partial


def leftovers(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()} - {target.name + ".lock"}


def test_a_download_arrives_whole_with_progress(server, target):
    seen = []
    assert fetch(server.url, target, progress=lambda done, total: seen.append((done, total))) == target
    assert target.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert leftovers(target) == {"weights.pth"}
    assert "Range" not in server.requests[0]


def test_the_progress_bar_goes_to_standard_error(server, target, capsys):
    leave_partial(target, CONTENT[:1000])
    fetch(server.url, target, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "weights.pth: 100%" in captured.err
    assert "2.00M/2.00M" in captured.err


def test_a_server_that_does_not_tell_the_length_is_served_by_the_digest(server, target):
    server.tell_length = False
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT


def test_a_cut_connection_is_resumed(server, target):
    server.cuts = [700_000, 500_000]
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT
    assert [r.get("Range") for r in server.requests] == [None, "bytes=700000-", "bytes=1200000-"]
    assert [r.get("If-Range") for r in server.requests] == [None, '"one"', '"one"']


def test_a_cut_that_looks_like_the_end_is_told_by_the_digest(server, target):
    server.tell_length = False
    server.cuts = [700_000]
    with pytest.raises(CheckpointError, match="expected SHA-256"):
        fetch(server.url, target)
    assert not target.exists()


def test_a_connection_that_keeps_breaking_leaves_its_bytes_for_the_next_call(server, target):
    server.cuts = [100_000] * download.ATTEMPTS
    with pytest.raises(CheckpointError, match="ended after 500000 of 2097152 bytes; 500000 bytes are kept") as caught:
        fetch(server.url, target)
    assert server.url in str(caught.value)
    assert "--checkpoint FILE" in str(caught.value)
    assert not target.exists()
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT
    assert server.requests[-1]["Range"] == "bytes=500000-"


def test_a_server_that_sends_nothing_is_not_asked_again_and_again(server, target):
    server.cuts = [0, 0, 0]
    with pytest.raises(CheckpointError, match="ended after 0 of 2097152 bytes"):
        fetch(server.url, target)
    assert len(server.requests) == 1


def test_an_interrupt_leaves_the_bytes_for_a_resume(server, target):
    def interrupt(done: int, _total: int | None) -> None:
        if done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.url, target, progress=interrupt)
    assert leftovers(target) == {"weights.pth.partial", "weights.pth.partial.etag"}
    kept = (target.parent / "weights.pth.partial").stat().st_size
    assert kept > 1_000_000
    fetch(server.url, target)
    assert server.requests[-1]["Range"] == f"bytes={kept}-"
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == {"weights.pth"}


def test_a_server_without_ranges_restarts_cleanly(server, target):
    server.ranges = False
    leave_partial(target, CONTENT[:1000])
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_file_that_changed_on_the_server_restarts_cleanly(server, target):
    leave_partial(target, b"an older version", etag='"zero"')
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT
    assert server.requests[0]["If-Range"] == '"zero"'
    assert len(server.requests) == 1


@pytest.mark.parametrize("etag", ['"z\u00e9ro"', "two\x00lines\x7f", ""])
def test_a_validator_that_cannot_be_sent_is_left_out(server, target, etag):
    leave_partial(target, CONTENT[:1000])
    (target.parent / "weights.pth.partial.etag").write_text(etag, encoding="utf-8")
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT
    assert "If-Range" not in server.requests[0]


def test_a_weak_etag_is_not_used_for_resuming(server, target):
    server.etag = 'W/"one"'
    server.cuts = [1000]
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT
    assert server.requests[1]["Range"] == "bytes=1000-"
    assert "If-Range" not in server.requests[1]


def test_old_bytes_that_do_not_fit_are_replaced_by_one_clean_download(server, target):
    leave_partial(target, bytes(1000))
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT
    assert [r.get("Range") for r in server.requests] == ["bytes=1000-", None]


def test_a_partial_longer_than_the_file_restarts_cleanly(server, target):
    leave_partial(target, CONTENT + b"more")
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT
    assert [r.get("Range") for r in server.requests] == ["bytes=2097156-", None]
    target.unlink()
    leave_partial(target, CONTENT + b"more")
    fetch(server.url, target, size_bytes=len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert "Range" not in server.requests[-1]


def test_a_complete_partial_needs_no_server(server, target):
    leave_partial(target, CONTENT)
    fetch(server.url, target, size_bytes=len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert not server.requests


def test_a_part_that_was_not_asked_for_is_not_glued_on(server, target):
    server.lie_about_start = 7
    leave_partial(target, CONTENT[:1000])
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT
    assert [r.get("Range") for r in server.requests] == ["bytes=1000-", None]


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


@pytest.mark.parametrize("status", [403, 404, 500, 204])
def test_an_http_error_names_address_reason_and_way_out(server, target, status):
    server.status = status
    with pytest.raises(CheckpointError, match=rf"cannot download {server.url}: HTTP {status}.*pass --checkpoint FILE"):
        fetch(server.url, target)
    assert leftovers(target) == set()


def test_a_refused_connection_names_address_reason_and_way_out(target):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.pth"
        with pytest.raises(CheckpointError, match=f"cannot download {url}: .*; or download it by hand and pass"):
            fetch(url, target)


def test_a_silent_server_is_given_up(monkeypatch, target):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/weights.pth"
        with pytest.raises(CheckpointError, match="timed out"):
            fetch(url, target)


def test_a_server_that_stops_half_way_is_given_up_and_its_bytes_kept(monkeypatch, server, target):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 2.0)
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.gate.clear()
    with pytest.raises(CheckpointError, match="timed out; 1048576 bytes are kept"):
        fetch(server.url, target)


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
    with pytest.raises(CheckpointError, match=r"cannot store .*PERSAM_VOS_CACHE"):
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


def test_threads_share_one_download(server, target):
    server.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(fetch, server.url, target) for _ in range(4)]
        assert server.asked.wait(60)
        server.gate.set()
        assert {job.result() for job in jobs} == {target}
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1


def start_process(server: Server, target: Path) -> subprocess.Popen[str]:
    code = (
        "import sys, pathlib; from persam_vos.sam.checkpoints.download import download; "
        f"download({server.url!r}, pathlib.Path(sys.argv[1]), sha256={SHA256!r}, progress=False)"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(target)], stderr=subprocess.PIPE, text=True)


def test_processes_share_one_download(server, target):
    server.gate.clear()
    with start_process(server, target) as first:
        assert server.asked.wait(60)
        with start_process(server, target) as second:
            assert "waiting for another process" in second.stderr.readline()
            server.gate.set()
            assert second.wait(60) == 0
        assert first.wait(60) == 0
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert leftovers(target) == {"weights.pth"}


def test_a_killed_process_leaves_no_lock_and_its_bytes_are_used(server, target):
    partial = leave_partial(target, CONTENT[:1000], etag='"one"')
    server.gate.clear()
    with start_process(server, target) as first:
        assert server.asked.wait(60)
        first.kill()
    server.gate.set()
    assert partial.stat().st_size >= 1000
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT
    assert int(server.requests[-1]["Range"].removeprefix("bytes=").removesuffix("-")) >= 1000
