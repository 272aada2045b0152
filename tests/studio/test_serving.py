"""The studio as a process: its address, its end, what it needs, and what is left of it when it is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from clips import moving_square, write_clip
from command_line import call, one_line
from studios import PATIENCE_SECONDS, png, served

import persam_vos
from persam_vos.cli import studio as command
from persam_vos.studio import serving
from persam_vos.studio.http.security import Door
from persam_vos.studio.serving import Listening

HEIGHT, WIDTH, COUNT = 48, 64, 12


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", moving_square(COUNT))


@contextmanager
def started(clip: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Start ``persam-vos studio``; give the process, its address and its token."""
    words = [sys.executable, "-m", "persam_vos", "studio", str(clip), "--no-browser", "--port", "0", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address, _, token = process.stdout.readline().strip().partition("/?token=")
            yield process, address, token
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_whatever_is_open(clip: Path, number: signal.Signals) -> None:
    with started(clip) as (process, address, token):
        headers = {"authorization": f"Bearer {token}"}
        with (
            httpx.Client(base_url=address, headers=headers, timeout=PATIENCE_SECONDS) as script,
            script.stream("GET", "/api/events") as stream,
        ):
            assert script.get("/api/video").json()["stop"] == COUNT
            assert script.get("/api/frames/11.jpg").status_code == 200
            assert script.get("/nothing", params={"token": token}).status_code == 404
            process.send_signal(number)
            assert list(stream.iter_lines())  # it ends
        out, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 130
    assert out == ""
    assert err == "persam-vos: ended; all is saved\n"
    assert (clip.with_suffix(".persam") / "studio.json").is_file()


def test_killed_at_any_moment_it_loses_nothing_that_was_answered(clip: Path) -> None:
    answered: list[int] = []
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[10:30, 10:40] = True

    def draw(script: httpx.Client) -> None:
        for turn in range(10_000):
            mask[20:22, 20:22] = bool(turn // COUNT % 2)
            path = f"/api/objects/1/prompts/{turn % COUNT}"
            try:
                script.put(path, content=png(mask), headers={"content-type": "image/png"}).raise_for_status()
            except httpx.TransportError:
                return
            answered.append(turn)
            if turn == COUNT + 5:
                drawn.set()

    drawn = threading.Event()
    with (
        started(clip) as (process, address, token),
        httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=60) as script,
    ):
        assert script.post("/api/objects", json={"name": "Ärger"}).status_code == 201
        thread = threading.Thread(target=draw, args=(script,))
        thread.start()
        assert drawn.wait(PATIENCE_SECONDS)
        process.kill()
        thread.join()

    with served(clip, clip.with_suffix(".persam")) as studio:
        (found,) = studio.get("/api/state")["objects"]
        masks = studio.studio.workspace.session.objects[0].keyframes
    assert found["name"] == "Ärger"
    last = {turn % COUNT: turn for turn in answered}
    for frame, turn in last.items():
        now, next_ = turn // COUNT % 2, (turn + COUNT) // COUNT % 2
        # The one that was on its way may have been saved as well.
        allowed = {bool(now)} | ({bool(next_)} if turn + COUNT == answered[-1] + 1 else set())
        assert bool(masks[frame][20, 20]) in allowed, frame


def test_it_answers_before_pytorch_is_imported() -> None:
    imports = "import sys, persam_vos.studio.serving, persam_vos.studio.opening; print('torch' in sys.modules)"

    found = subprocess.run([sys.executable, "-c", imports], capture_output=True, text=True, check=True)

    assert found.stdout == "False\n"


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_its_extra_it_says_what_to_install(clip: Path, missing: str) -> None:
    runs = "from persam_vos.cli.app import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", f"import sys; sys.modules[{missing!r}] = None; {runs}", "studio", str(clip)]

    found = subprocess.run(words, capture_output=True, text=True, check=False)

    assert found.returncode == 2
    assert found.stderr == (
        f"persam-vos: the studio needs {missing}, which is not installed: pip install 'persam-vos[studio]'\n"
    )


def test_a_port_in_use_is_told_and_nothing_is_made(clip: Path) -> None:
    with Listening(port=0).bind() as taken:
        port = taken.getsockname()[1]
        one_line(call("studio", clip, "--port", port), f"--port is {port}, which is in use", "leave it out")

    assert not clip.with_suffix(".persam").exists()


def test_a_folder_that_another_studio_holds_is_told(clip: Path, tmp_path: Path) -> None:
    with served(clip, tmp_path / "session"):
        answer = call("studio", clip, "-o", tmp_path / "session", "--no-browser", "--port", 0)

    one_line(answer, f"is open in another studio (process {os.getpid()})", "another folder with -o")


def test_a_session_of_another_clip_is_told(clip: Path, tmp_path: Path) -> None:
    with served(clip, tmp_path / "session"):
        pass
    other = write_clip(tmp_path / "other.mp4", moving_square(3))

    answer = call("studio", other, "-o", tmp_path / "session", "--no-browser", "--port", 0)

    one_line(answer, "is the session of another clip, clip.mp4, and not of other.mp4", "another folder with -o")


def test_without_a_port_any_free_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with Listening(port=0).bind() as taken:
        monkeypatch.setattr(serving, "FIRST_PORT", taken.getsockname()[1])
        with Listening().bind() as other:
            assert other.getsockname()[1] not in (0, taken.getsockname()[1])


def test_it_listens_on_this_machine_alone_unless_it_is_told_to() -> None:
    with Listening(port=0).bind() as bound:
        assert bound.getsockname()[0] == "127.0.0.1"
    with Listening("0.0.0.0", 0).bind() as bound:
        assert bound.getsockname()[0] == "0.0.0.0"
    if socket.has_ipv6:
        with Listening("::1", 0).bind() as bound:
            assert bound.family == socket.AF_INET6


MISUSE = {
    "port": (["--port", "70000"], "--port is 70000", "from 0 to 65535"),
    "host": (["--host", "192.0.2.1"], "--host is '192.0.2.1'", "nothing can listen"),
    "host's name": (["--host", "no.such.host.invalid"], "--host is 'no.such.host.invalid'", "nothing can listen"),
    "range": (["--start", "99"], "has 12 frame(s)", "starts at"),
    "stride": (["--stride", "0"], "--stride is '0'", "at least 1"),
    "method": (["--method", "sam2"], "--method is 'sam2'", "memory"),
    "folder": (["-o", "{clip}"], "is a file"),
    "config": (["--config", "{clip}"], "YAML"),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse_is_told_in_a_line(clip: Path, name: str) -> None:
    words, *parts = MISUSE[name]

    answer = call("studio", clip, "--no-browser", *(each.format(clip=clip) for each in words))

    one_line(answer, *parts)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100, None])
def test_a_clip_that_cannot_be_decoded_is_told_in_a_line(tmp_path: Path, content: bytes | None) -> None:
    clip = tmp_path / "clip.mp4"
    if content is not None:
        clip.write_bytes(content)

    one_line(call("studio", clip, "--no-browser", "--port", 0), "clip.mp4: ")

    assert [path.name for path in tmp_path.iterdir()] == (["clip.mp4"] if content is not None else [])


def test_a_session_that_cannot_be_opened_ends_it_in_a_line(clip: Path) -> None:
    folder = clip.with_suffix(".persam")
    with served(clip, folder) as studio:
        studio.post("/api/objects")
        studio.draw(1, 0, np.ones((HEIGHT, WIDTH), np.bool_))
    (mask,) = (folder / "prompts.masks").glob("*.png")
    mask.write_bytes(b"damaged")

    with started(clip) as (process, address, _):
        assert address
        out, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert (process.returncode, out) == (2, "")
    (line,) = err.splitlines()
    assert f"{mask.name}: not a readable picture" in line


def test_another_host_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    command._announce("http://127.0.0.1:1/?token=secret", "http://192.0.2.7:1/?token=secret", "0.0.0.0")

    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["http://127.0.0.1:1/?token=secret", "http://192.0.2.7:1/?token=secret"]
    (line,) = shown.err.splitlines()
    assert "warning: --host 0.0.0.0 lets other machines in" in line
    assert "secret" not in line


@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("display", ["", ":0"])
def test_where_no_browser_opens_it_is_said(monkeypatch: pytest.MonkeyPatch, opens: bool, display: str) -> None:
    told: list[str] = []
    monkeypatch.setattr(serving.sys, "platform", "linux")
    for name in ("WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setattr(serving.webbrowser, "open", lambda address: told.append(address) or opens)

    door = Door.new(8765, "127.0.0.1")
    serving._open_browser(door, lambda: told.append("none"))

    opened = told.pop(0) if display else ""
    assert opened.startswith("http://127.0.0.1:8765/?ticket=" if display else "")
    # Other users of the machine see with what a browser is started.
    assert door.token not in opened
    assert told == ([] if display and opens else ["none"])


@pytest.mark.usefixtures("networks_are_shared")
def test_a_click_is_propagated_and_exported_with_the_real_network_as_a_run_does(tmp_path: Path) -> None:
    from itertools import islice

    from persam_vos.media.readers import open_video
    from persam_vos.studio.session.project import Project
    from persam_vos.video.session.session import Session

    def opened(project: Project) -> Session:
        return Session(clip, masks=project.masks, cache=tmp_path / "cache")

    with open_video(Path(persam_vos.__file__).parent / "data" / "bunny.mp4") as video:
        clip = write_clip(tmp_path / "clip.mp4", [frame.rgb for frame in islice(video, 3)])
    folder = tmp_path / "session"
    with served(clip, folder, opened=opened) as studio, studio.listening() as wait:
        studio.post("/api/objects", {"name": "bunny"})
        studio.post("/api/objects/1/clicks/0", {"x": 330, "y": 150})
        assert 5_000 < (studio.mask(0) == 1).sum() < 100_000
        studio.post("/api/propagate")
        assert wait("done")["changed"] == [[0, 2]]
        studio.post("/api/export", {"exports": ["masks"]})
        exported = Path(wait("done")["folder"]) / "masks"

    ran = call("run", clip, "--prompts", folder / "prompts.json", "--export", "masks", "-o", tmp_path / "run")
    assert ran.status == 0, ran.err

    names = sorted(path.name for path in exported.iterdir())
    assert names == ["00000.png", "00001.png", "00002.png"]
    for name in names:
        assert (exported / name).read_bytes() == (tmp_path / "run" / "masks" / name).read_bytes()
    assert json.loads((folder / "prompts.json").read_text())["objects"] == [{"id": 1, "name": "bunny"}]
