"""The program itself: help, version, models, statuses; and processes where those matter."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from command_line import call

from persam_vos import __version__, demo_clip
from persam_vos.cli import app as cli
from persam_vos.errors import PersamVosError
from persam_vos.pipeline.interrupt import PROCESS_INTERRUPTS, GracefulInterrupt
from persam_vos.video.prompting.prompting import Prompting

COMMAND = [sys.executable, "-m", "persam_vos"]
# Most users have it so: what is printed waits until there is much of it, or until the end.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def test_no_arguments_is_help() -> None:
    assert call() == call("--help")
    assert call().status == 0
    assert call().out.startswith("Usage: persam-vos")


def test_help_and_version() -> None:
    assert "Mask an object in the first frame" in call("-h").out
    assert call("--version") == (0, f"persam-vos {__version__}\n", "")


def test_help_shows_choices_defaults_and_sections() -> None:
    text = " ".join(call("run", "--help").out.split())

    for part in (
        "Usage: persam-vos run [OPTIONS]",
        "--method [memory|persam|persam-f]",
        "[default: memory]",
        "--batch-size auto|1..256",
        "--export [masks,overlay,cutout,report",
        "[default: masks,overlay,report]",
        "--max-objects 1..254",
        "Network and machine: --model",
        "paint object 1 with value 1, object 2 with value 2",
        "-o, --output FOLDER",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("command", "usage", "shown"),
    [
        ("run", "[OPTIONS] VIDEO\n", ["  VIDEO  Video file"]),
        (
            "image",
            "[OPTIONS] REFERENCE REFERENCE_MASK PHOTOS...\n",
            ["  PHOTOS...  ", "--max-megapixels above 0, at most 10000\n"],
        ),
        ("models", "[OPTIONS] [list|verify|path] [NAME]\n", ["  [NAME] "]),
    ],
)
def test_help_shows_arguments_as_they_are_written(command: str, usage: str, shown: list[str]) -> None:
    text = call(command, "--help").out

    assert text.startswith(f"Usage: persam-vos {command} {usage}")
    for part in shown:
        assert part in text, part
    assert not re.search("<[a-z]|{[A-Z]", text)


def test_help_loads_no_library_that_computes() -> None:
    code = (
        "import sys; from persam_vos.cli.app import main; main(['--help']);"
        "print(*{'torch', 'numpy', 'pydantic', 'yaml', 'scipy', 'cv2'} & set(sys.modules), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stderr == "\n"


def test_the_demo_tracks_the_clip_that_ships(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run_video(source: str, prompting: Prompting, *_: object, **__: object) -> None:
        raise PersamVosError(f"{source} {prompting.files[0]}")

    monkeypatch.setattr("persam_vos.video.run.run_video", run_video)

    assert call("demo", "-o", tmp_path / "o") == (2, "", "persam-vos: {} {}\n".format(*demo_clip()))


def test_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed, verified, path = (call("models", *more) for more in ([], ["verify", "mobile_sam"], ["path", "vit_b"]))

    assert [line.split()[0] for line in listed.out.splitlines()] == ["mobile_sam", "vit_b", "vit_l", "vit_h"]
    assert "intact" in verified.out
    assert verified.status == 0
    assert path.out.strip().endswith("sam_vit_b_01ec64.pth")

    (tmp_path / "sam_vit_b_01ec64.pth").write_bytes(b"junk")
    monkeypatch.setenv("PERSAM_VOS_CACHE", str(tmp_path))
    damaged = call("models", "verify", "vit_b")
    assert damaged.status == 1
    assert "DAMAGED" in damaged.out


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1), (130, 130)])
def test_the_status_is_what_the_command_leaves(
    monkeypatch: pytest.MonkeyPatch, returned: int | None, status: int
) -> None:
    monkeypatch.setattr(cli, "app", lambda **_: returned)

    assert call("models").status == status


def test_an_interrupt_before_anything_was_done_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr("persam_vos.settings.video.load_settings", interrupted)

    answer = call("run", "clip.mp4", "--first-mask", "mask.png")

    assert answer == (130, "", "persam-vos: interrupted before the first frame was done; nothing is kept\n")
    assert handlers == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]


def test_an_interrupt_that_repeats_after_the_run_does_not_drop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PROCESS_INTERRUPTS, "_clock", iter([0.0, 0.9]).__next__)

    def run(**_: object) -> int:
        with GracefulInterrupt(lambda: None) as interrupt:
            signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
        signal.raise_signal(signal.SIGINT)
        return 1

    monkeypatch.setattr(cli, "app", run)

    assert call("models") == (1, "", "")


def test_a_process_prints_what_waits() -> None:
    result = subprocess.run([*COMMAND, "models"], capture_output=True, text=True, check=False, env=BUFFERED)

    assert (result.returncode, result.stderr) == (0, "")
    assert "mobile_sam" in result.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
@pytest.mark.parametrize(
    ("output", "before", "expected"),
    [
        (subprocess.DEVNULL, lambda: os.close(1), (0, "")),  # closed
        ("/dev/full", None, (2, "persam-vos: cannot print: No space left on device\n")),
        ("pipe", None, (0, "")),  # which nobody reads any more
    ],
    ids=["closed", "full", "broken pipe"],
)
def test_output_that_cannot_be_printed(
    output: int | str, before: Callable[[], None] | None, expected: tuple[int, str]
) -> None:
    if output == "pipe":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open(output, os.O_WRONLY) if isinstance(output, str) else os.open(os.devnull, os.O_WRONLY)
    result = subprocess.run(
        [*COMMAND, "models"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=BUFFERED,
        preexec_fn=before,
    )
    os.close(writing)

    assert (result.returncode, result.stderr) == expected


def test_an_interrupt_leaves_a_playable_overlay_of_the_frames_done(tmp_path: Path) -> None:
    command = [*COMMAND, "demo", "-o", str(tmp_path / "o")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        partial = tmp_path / "o" / ".tracks.jsonl.partial"
        deadline = time.monotonic() + 120
        while not partial.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        for _ in range(2):  # as GNU timeout does, or a key that bounces
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        _, errors = process.communicate(timeout=120)

    assert process.returncode == 130
    assert "a second interrupt stops at once; the latest frames are then dropped" in errors
    assert "interrupted after" in errors
    record = json.loads((tmp_path / "o" / "run.json").read_text())
    assert record["complete"] is False
    assert 0 < record["frames"] < 50
    with av.open(str(tmp_path / "o" / "overlay.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == record["frames"]
    assert len(list((tmp_path / "o" / "masks").iterdir())) == record["frames"]
    # What --resume goes on with.
    hidden = sorted(path.name for path in (tmp_path / "o").iterdir() if path.name.startswith("."))
    assert hidden == [".report.pictures.partial", ".run.partial"]
