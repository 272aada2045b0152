"""The command line as people meet it: a process of its own, its exit status, its one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import moving_square, write_clip
from PIL import Image

import persam_vos
from persam_vos.cli import app as cli

DATA = Path(persam_vos.__file__).parent / "data"
HEIGHT, WIDTH = 48, 64


def persam_vos(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "persam_vos", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_clip(path, moving_square(5), rate=Fraction(30000, 1001))
    return path


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_mask(tmp_path_factory.mktemp("mask") / "mask.png", square())


def square() -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[16:32, 0:16] = 1
    return labels


def save_mask(path: Path, labels: np.ndarray) -> Path:
    Image.fromarray(labels).save(path)
    return path


def one_line(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("persam-vos: ")
    for part in parts:
        assert part.lower() in lines[0].lower(), lines[0]


@pytest.fixture(scope="module")
def finished(clip: Path, mask: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run") / "new" / "out"
    result = persam_vos(
        "run", clip, "--first-mask", mask, "-o", output, "--export", "masks,overlay,cutout", "--background", "#00ff00"
    )
    assert result.returncode == 0, result.stderr
    listed = [Path(line) for line in result.stdout.splitlines()]
    assert sorted(path.name for path in listed) == ["cutout.mp4", "masks", "overlay.mp4", "run.json", "tracks.jsonl"]
    assert all(path.exists() for path in listed)
    assert "5/5" in result.stderr
    return output


def test_masks(finished: Path) -> None:
    paths = sorted((finished / "masks").iterdir())

    assert [path.name for path in paths] == [f"{i:05d}.png" for i in range(5)]  # frame 0 included
    with Image.open(paths[0]) as first:
        assert first.mode == "P"
        assert np.array_equal(np.asarray(first), square())
    for index, path in enumerate(paths):
        with Image.open(path) as picture:
            found = np.asarray(picture) == 1
        truth = np.zeros((HEIGHT, WIDTH), bool)
        truth[16:32, 4 * index : 4 * index + 16] = True
        assert (found & truth).sum() / (found | truth).sum() > 0.8, index


@pytest.mark.parametrize("name", ["overlay.mp4", "cutout.mp4"])
def test_videos_keep_the_rate(finished: Path, name: str) -> None:
    with av.open(str(finished / name)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(30000, 1001)
        assert (stream.width, stream.height, stream.codec_context.name) == (WIDTH, HEIGHT, "h264")
        assert sum(1 for _ in container.decode(stream)) == 5


def test_tracks(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "tracks.jsonl").read_text().splitlines()]

    assert [(line["frame"], line["object"], line["present"]) for line in lines] == [(i, 1, True) for i in range(5)]
    keys = ["frame", "pts", "object", "present", "score", "similarity", "area", "box_xyxy"]
    assert all(list(line) == keys for line in lines)
    assert lines[0]["box_xyxy"] == [0, 16, 15, 31]


def test_run_json_says_all(finished: Path) -> None:
    record = json.loads((finished / "run.json").read_text())

    assert record["complete"] is True
    assert record["frames"] == 5
    assert record["frame_rate"] == "30000/1001"
    assert record["settings"]["background"] == "#00ff00"
    assert set(record["seconds_per_stage"]) == {"decode", "encode", "track", "write"}
    assert {"python", "torch", "persam-vos"} <= set(record["versions"])


def test_nothing_else_is_left(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {"masks", "overlay.mp4", "cutout.mp4", "tracks.jsonl", "run.json"}


def test_results_are_not_replaced_without_being_asked(finished: Path, clip: Path, mask: Path) -> None:
    one_line(persam_vos("run", clip, "--first-mask", mask, "-o", finished), "is not empty", "--overwrite")


def test_no_file(mask: Path, tmp_path: Path) -> None:
    one_line(persam_vos("run", "nothing.mp4", "--first-mask", mask, "-o", tmp_path / "o"), "nothing.mp4")
    assert not (tmp_path / "o").exists()


def test_not_a_video(mask: Path, tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("this is no video")
    one_line(persam_vos("run", tmp_path / "v.mp4", "--first-mask", mask, "-o", tmp_path / "o"), "v.mp4")


def test_mask_of_another_size(clip: Path, tmp_path: Path) -> None:
    mask = save_mask(tmp_path / "m.png", np.ones((10, 20), np.uint8))
    result = persam_vos("run", clip, "--first-mask", mask, "-o", tmp_path / "o")
    one_line(result, "mask is 10 x 20, video is 48 x 64", "--resize-mask")


def test_empty_mask(clip: Path, tmp_path: Path) -> None:
    mask = save_mask(tmp_path / "m.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    one_line(persam_vos("run", clip, "--first-mask", mask, "-o", tmp_path / "o"), "m.png: the mask is empty")


def test_anti_aliased_mask(clip: Path, tmp_path: Path) -> None:
    soft = np.clip(255 - 12 * np.abs(np.arange(WIDTH) - 30), 0, 255).astype(np.uint8)
    mask = save_mask(tmp_path / "m.png", np.tile(soft, (HEIGHT, 1)))
    one_line(persam_vos("run", clip, "--first-mask", mask, "-o", tmp_path / "o"), "anti-aliased", "--mask-threshold")


def test_300_objects(clip: Path, tmp_path: Path) -> None:
    ids = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 301).astype(np.uint16)
    mask = save_mask(tmp_path / "m.png", ids)
    one_line(persam_vos("run", clip, "--first-mask", mask, "-o", tmp_path / "o"), "300 object ids", "254")


def test_unwritable_output(clip: Path, mask: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one_line(persam_vos("run", clip, "--first-mask", mask, "-o", tmp_path / "file"), "is a file")
    one_line(persam_vos("run", clip, "--first-mask", mask, "-o", tmp_path / "file" / "o"), str(tmp_path / "file"))
    one_line(persam_vos("run", clip, "--first-mask", mask, "-o", "/proc/nowhere"), "/proc/nowhere")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["run"], ["video", "run --help"]),
        (["run", "v.mp4"], ["--first-mask"]),
        (["fly"], ["fly"]),
        (["run", "v.mp4", "--first-mask", "m.png", "--speed", "9"], ["--speed"]),
        (["davis", "nowhere"], ["nowhere"]),
        (["score", "here", "nowhere"], ["nowhere"]),
        (["models", "burn"], ["burn", "list, verify and path"]),
        (["models", "path", "vit_x"], ["vit_x", "mobile_sam"]),
    ],
)
def test_misuse(arguments: list[str], parts: list[str], tmp_path: Path) -> None:
    one_line(persam_vos(*arguments, cwd=tmp_path), *parts)


def test_a_first_frame_known_in_one_way(clip: Path, mask: Path, tmp_path: Path) -> None:
    run, reference = ["run", clip, "-o", tmp_path / "o"], ["--first-ref", f"{mask}:{mask}"]
    one_line(persam_vos(*run), "--first-mask MASK or --first-ref PHOTO:MASK")
    one_line(persam_vos(*run, *reference, "--first-mask", mask), "one of both")
    one_line(persam_vos(*run, "--first-mask", mask, "--all-instances"), "--all-instances goes with --first-ref")
    one_line(persam_vos(*run, "--first-mask", mask, "--max-objects", 2), "--max-objects goes with --first-ref")
    one_line(persam_vos(*run, "--first-ref", f"none.jpg:{mask}"), "must be PHOTO:MASK")
    one_line(persam_vos(*run, *reference, "--max-objects", 0), "--max-objects is 0")


def test_a_photo_of_what_is_not_there(clip: Path, tmp_path: Path) -> None:
    photo = save_mask(tmp_path / "p.png", np.full((HEIGHT, WIDTH), 90, np.uint8))
    full = save_mask(tmp_path / "full.png", np.ones((HEIGHT, WIDTH), np.uint8))
    run = ["run", clip, "-o", tmp_path / "o", "--first-ref"]
    one_line(persam_vos(*run, f"{photo}:{full}"), "full.png: covers all of", "p.png")
    assert not (tmp_path / "o").exists()


def test_a_bad_setting(clip: Path, mask: Path, tmp_path: Path) -> None:
    run = ["run", clip, "--first-mask", mask, "-o", tmp_path / "o"]
    (tmp_path / "c.yaml").write_text("colour: red\n")
    (tmp_path / "weights.pth").write_bytes(b"junk")
    one_line(persam_vos(*run, "--method", "magic"), "--method is 'magic'", "'memory', 'persam' or 'persam-f'")
    one_line(persam_vos(*run, "--config", tmp_path / "c.yaml"), "unknown setting 'colour'")
    one_line(persam_vos(*run, "--checkpoint", tmp_path / "weights.pth"), "weights.pth")
    assert not (tmp_path / "o" / "masks").exists()


def test_odd_paths(clip: Path, mask: Path, tmp_path: Path) -> None:
    endless = "x" * 300
    one_line(persam_vos("run", "", "--first-mask", mask, "-o", tmp_path / "o"), "is no path")
    one_line(persam_vos("run", "http://127.0.0.1:9/x.mp4", "--first-mask", mask, "-o", tmp_path / "o"), "addresses")
    one_line(persam_vos("run", endless, "--first-mask", mask, "-o", tmp_path / "o"), endless)
    one_line(persam_vos("run", clip, "--first-mask", mask, "-o", tmp_path / endless), endless)
    (tmp_path / "o" / "run.json").mkdir(parents=True)
    one_line(persam_vos("run", clip, "--first-mask", mask, "-o", tmp_path / "o", "--overwrite"), "run.json")


def test_no_arguments_is_help() -> None:
    result = persam_vos()

    assert result.returncode == 0
    assert "Usage" in result.stdout


def test_models() -> None:
    listed, verified, path = (persam_vos("models", *more) for more in ([], ["verify", "mobile_sam"], ["path", "vit_b"]))

    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["mobile_sam", "vit_b", "vit_l", "vit_h"]
    assert "intact" in verified.stdout
    assert verified.returncode == 0
    assert path.stdout.strip().endswith("sam_vit_b_01ec64.pth")


def test_a_damaged_checkpoint_is_not_intact(tmp_path: Path) -> None:
    (tmp_path / "sam_vit_b_01ec64.pth").write_bytes(b"junk")
    result = persam_vos("models", "verify", "vit_b", env={**os.environ, "PERSAM_VOS_CACHE": str(tmp_path)})

    assert result.returncode == 1
    assert "DAMAGED" in result.stdout


def test_help_and_version() -> None:
    assert "Mask an object in one frame" in persam_vos("--help").stdout
    assert persam_vos("--version").stdout.strip() == f"persam-vos {cli.__version__}"


# As most have it: what is printed waits until there is much of it, or until the end.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def test_what_waits_to_be_printed_is_not_lost() -> None:
    assert "mobile_sam" in persam_vos("models", env=BUFFERED).stdout


def test_who_wants_to_read_nothing_gets_the_same_status() -> None:
    command = f"{sys.executable} -m persam_vos models >&-"
    result = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, check=False)

    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_what_cannot_be_printed_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "persam_vos", "models"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=BUFFERED)

    assert result.returncode == 2
    assert result.stderr == "persam-vos: cannot print: No space left on device\n"


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_a_bar_that_cannot_be_drawn_costs_no_results(clip: Path, mask: Path, tmp_path: Path, stderr: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs a file that is always full")
    command = [sys.executable, "-m", "persam_vos", "run", str(clip), "--first-mask", str(mask), "-o", str(tmp_path)]
    result = subprocess.run(["sh", "-c", f"exec {' '.join(command)} {stderr}"], stdout=subprocess.PIPE, check=False)

    assert result.returncode == 0
    assert len(list((tmp_path / "masks").iterdir())) == 5


def test_who_reads_no_further_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "persam_vos", "models"]
    result = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, env=BUFFERED)
    os.close(writing)

    assert (result.returncode, result.stderr) == (0, b"")


def test_an_interrupt_before_anything_was_done_is_said(monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("persam_vos.settings.video.load_settings", interrupted)
    monkeypatch.setattr(sys, "argv", ["persam-vos", "run", "clip.mp4", "--first-mask", "mask.png"])

    with pytest.raises(SystemExit) as caught:
        cli.main()

    assert caught.value.code == 130
    assert capsys.readouterr().err == "persam-vos: interrupted; what was not complete is not kept\n"


def test_an_interrupt_leaves_a_playable_overlay_of_the_frames_done(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "persam_vos", "demo", "-o", str(tmp_path / "o")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        partial = tmp_path / "o" / ".tracks.jsonl.partial"
        deadline = time.monotonic() + 120
        while not partial.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)

    assert process.returncode == 130
    assert "press Ctrl-C again to stop at once" in errors
    assert "interrupted after" in errors
    record = json.loads((tmp_path / "o" / "run.json").read_text())
    assert record["complete"] is False
    assert 0 < record["frames"] < 50
    with av.open(str(tmp_path / "o" / "overlay.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == record["frames"]
    assert len(list((tmp_path / "o" / "masks").iterdir())) == record["frames"]
    assert not [path for path in (tmp_path / "o").iterdir() if path.name.startswith(".")]
