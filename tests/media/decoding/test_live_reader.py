"""Addresses, cameras and standard input: a server on this computer serves the streams."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import moving_square, read_all, write_clip

from persam_vos.errors import SettingsError, VideoError
from persam_vos.media.decoding import live_reader
from persam_vos.media.decoding.live_sources import live_source
from persam_vos.media.readers import open_random_access, open_video

Answer = Callable[[BaseHTTPRequestHandler, int], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Serves what a function writes to each request, which it is told the number of; returns the address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        requests: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                with_reset = (ConnectionResetError, BrokenPipeError)
                try:
                    answer(self, len(requests))
                except with_reset:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/live.ts"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, data: bytes, *, promised: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "video/mp2t")
    handler.send_header("Content-Length", str(len(data) if promised is None else promised))
    handler.end_headers()
    handler.wfile.write(data)


def clip(path: Path, count: int = 30, **options: object) -> Path:
    return write_clip(path, moving_square(count), options={"g": "5", "crf": "10", "bf": "0"}, **options)  # type: ignore[arg-type]


def test_an_address_has_the_frames_of_the_file(tmp_path: Path, serve: Callable[[Answer], str]) -> None:
    path = clip(tmp_path / "a.ts")
    address = serve(lambda handler, _: send(handler, path.read_bytes()))
    expected = read_all(path)[1]

    info, frames, warnings = read_all(address)

    assert (info.address, info.width, warnings) == (address, 64, [])
    assert [frame.pts for frame in frames] == [frame.pts for frame in expected]
    assert np.array_equal(frames[-1].rgb, expected[-1].rgb)
    part = read_all(address, start=10, end=20, stride=3)[1]
    assert [frame.index for frame in part] == [10, 13, 16, 19]
    with pytest.raises(VideoError, match="frames can be read once"):
        open_random_access(address)


def test_a_lost_connection_to_a_recording_goes_on_behind_the_last_frame(
    tmp_path: Path, serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_reader, "RETRY_DELAYS", (0.01, 0.01))
    data = clip(tmp_path / "a.mkv", 120).read_bytes()

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        send(handler, data if number > 1 else data[: len(data) // 2], promised=len(data))

    _, frames, (warning,) = read_all(serve(answer))

    assert [round(frame.time * 25) for frame in frames] == list(range(120))
    assert [frame.index for frame in frames] == list(range(120))
    assert warning.startswith("the connection was lost after ")
    assert "is back" in warning


def test_a_lost_live_stream_goes_on_with_what_is_shown_by_then(
    tmp_path: Path, serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_reader, "RETRY_DELAYS", (0.01, 0.01))
    before = clip(tmp_path / "a.ts", 40).read_bytes()
    after = write_clip(tmp_path / "b.ts", moving_square(70)[30:], options={"crf": "10", "bf": "0"}).read_bytes()

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        if number == 1:
            send(handler, before, promised=10 * len(before))
        else:
            send(handler, after)

    _, frames, warnings = read_all(serve(answer))

    assert len(frames) >= 75
    assert all(later.time > earlier.time for earlier, later in pairwise(frames))
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert "is back" in warnings[0]


def test_a_connection_that_stays_away_ends_the_video_and_is_told(
    tmp_path: Path, serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_reader, "RETRY_DELAYS", (0.01, 0.02, 0.03))
    data = clip(tmp_path / "a.ts").read_bytes()

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        if number > 1:
            handler.send_error(404)
        else:
            send(handler, data, promised=len(data) + 10_000)

    _, frames, warnings = read_all(serve(answer))

    assert len(frames) >= 25
    assert any("3 tries to connect again failed; the video ends there" in warning for warning in warnings)


def test_of_many_losses_the_first_and_the_last_are_told() -> None:
    warnings = ["before"]
    losses = live_reader._Losses(warnings)

    for count in range(1, 1001):
        losses.add(f"loss {count}")

    told = live_reader.TOLD_LOSSES
    assert warnings[: told + 1] == ["before", *(f"loss {count}" for count in range(1, told + 1))]
    assert warnings[told + 1] == f"{1000 - 2 * told} more losses of the connection"
    assert warnings[told + 2 :] == [f"loss {count}" for count in range(1001 - told, 1001)]


def test_times_go_on_after_a_connection_with_other_units(
    tmp_path: Path, serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_reader, "RETRY_DELAYS", (0.01, 0.01))
    before = clip(tmp_path / "a.ts", 20).read_bytes()  # 1/90000 s, and the next one 1/1000 s
    after = write_clip(
        tmp_path / "b.mkv", moving_square(90)[30:], pts=range(250, 310), options={"bf": "0"}
    ).read_bytes()

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        if number == 1:
            send(handler, before, promised=10 * len(before))
        else:
            send(handler, after)

    _, frames, _ = read_all(serve(answer))

    assert [round(frame.time * 25) for frame in frames[-60:]] == list(range(250, 310))


def test_damaged_frames_of_all_connections_are_counted(
    tmp_path: Path, serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_reader, "RETRY_DELAYS", (0.01, 0.01))
    data = clip(tmp_path / "a.ts", 40).read_bytes()
    decode = live_reader.decode

    def damaging(*given: Any) -> Iterator[Any]:
        given[2].damaged += 3
        yield from decode(*given)

    monkeypatch.setattr(live_reader, "decode", damaging)

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        send(handler, data, promised=len(data) + (10_000 if number == 1 else 0))

    _, _, warnings = read_all(serve(answer))

    assert "6 damaged frame(s), concealed or skipped" in warnings


def test_who_stops_does_not_wait_for_a_lost_connection(
    tmp_path: Path, serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_reader, "RETRY_DELAYS", (60.0,))
    data = clip(tmp_path / "a.ts").read_bytes()

    with open_video(serve(lambda handler, _: send(handler, data, promised=len(data) + 10_000)), stride=2) as reader:
        threading.Timer(0.5, reader.stop).start()
        began = time.monotonic()
        count = len(list(reader))

    assert time.monotonic() - began < 30
    assert 12 <= count <= 15
    assert any("reading was stopped after" in each for each in reader.warnings)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes cannot be waited for")
def test_who_stops_does_not_wait_for_a_silent_pipe(tmp_path: Path) -> None:
    data = clip(tmp_path / "a.ts", 60).read_bytes()
    code = (
        "import threading\n"
        "from persam_vos.media.readers import open_video\n"
        "with open_video('-') as reader:\n"
        "    threading.Timer(0.3, reader.stop).start()\n"
        "    print(len(list(reader)), reader.warnings)"
    )

    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        try:
            running.stdin.write(data)
            running.stdin.flush()
            told = running.stdout.read().decode()  # the pipe stays open
        finally:
            running.kill()

    assert "reading was stopped after" in told


def test_who_is_slow_gets_fewer_frames_and_is_told(tmp_path: Path, serve: Callable[[Answer], str]) -> None:
    data = clip(tmp_path / "a.ts", 50).read_bytes()

    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.end_headers()
        for start in range(0, len(data), len(data) // 40 + 1):
            handler.wfile.write(data[start : start + len(data) // 40 + 1])
            time.sleep(0.05)

    with open_video(serve(answer), max_latency=0.2) as reader:
        count = 0
        for _frame in reader:
            count += 1
            time.sleep(0.2)

    ended, dropped = reader.warnings
    assert dropped == f"{50 - count} frame(s) were dropped, since they came more than 0.2 s late; {count} are delivered"
    # The server does not say how long the film is, so that its end may as well be a lost connection.
    assert "a second connection had no more" in ended
    assert 5 <= count <= 25


def test_standard_input_is_read(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.ts", 12)
    code = (
        "from persam_vos.media.readers import open_video\n"
        "with open_video('-') as reader: print(reader.info.address, len(list(reader)), reader.warnings)"
    )

    with path.open("rb") as file:
        done = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "standard input 12 []"


def test_a_playlist_is_read_if_it_is_trusted(tmp_path: Path) -> None:
    clip(tmp_path / "b.ts", 12)
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nb.ts\n#EXT-X-ENDLIST\n")

    assert len(read_all(tmp_path / "a.m3u8", playlists=True)[1]) == 12


def test_an_address_leads_to_no_local_file(tmp_path: Path, serve: Callable[[Answer], str]) -> None:
    local = clip(tmp_path / "b.ts", 12)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{local}\n#EXT-X-ENDLIST\n".encode()
    address = serve(lambda handler, _: send(handler, playlist)).replace("live.ts", "a.m3u8")

    with pytest.raises(VideoError):
        read_all(address)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("file:///etc/passwd", "is no address that is read; allowed: http"),
        ("concat://a|b", "is no address that is read"),
        ("http://127.0.0.1:1/a.ts", "cannot be opened as a video"),
        ("987", "987"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(source: str, part: str) -> None:
    with pytest.raises(VideoError, match=part) as refused:
        open_video(source)
    assert "\n" not in str(refused.value)


def test_a_password_is_not_told() -> None:
    found = live_source("rtsp://me:secret@127.0.0.1/a")

    assert found is not None
    assert (found.name, found.url) == ("rtsp://me:***@127.0.0.1/a", "rtsp://me:secret@127.0.0.1/a")


def test_a_file_named_like_a_camera_is_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clip(tmp_path / "a.mp4", 3).rename(tmp_path / "0")

    assert live_source("0") is None
    assert len(read_all("0")[1]) == 3


def test_latency_is_above_zero(tmp_path: Path, serve: Callable[[Answer], str]) -> None:
    with pytest.raises(SettingsError, match="max_latency is 0"):
        open_video(serve(lambda handler, _: None), max_latency=0)
