"""``persam-vos run`` on films and masks as people have them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from clips import moving_square, write_clip
from command_line import Command, call, one_line, save
from video_commands import square


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_square(5))


def test_a_first_mask_that_lies_among_the_frames(command: Command, tmp_path: Path) -> None:
    frames, output = tmp_path / "frames", tmp_path / "out"
    for index, rgb in enumerate(moving_square(3)):
        save(frames / f"{index:05d}.jpg", rgb, quality=95)
    mask = save(frames / "00000.png", square() * np.uint8(255))

    answer = command("run", frames, "--first-mask", mask, "-o", output, "--export", "masks")

    told = "00000.png is given as a mask, and not read as a frame; 3 images are"
    assert (answer.status, told in answer.err) == (0, True)
    assert sorted(path.name for path in (output / "masks").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    assert told in json.loads((output / "run.json").read_text())["warnings"]
    lines = (output / "tracks.jsonl").read_text().splitlines()
    assert [json.loads(line)["source"] for line in lines] == ["00000.jpg", "00001.jpg", "00002.jpg"]


def test_an_inverted_mask_is_turned_round(command: Command, clip: Path, tmp_path: Path) -> None:
    mask, output = save(tmp_path / "m.png", (1 - square()) * np.uint8(255)), tmp_path / "out"

    answer = command("run", clip, "--first-mask", mask, "--invert-mask", "-o", output, "--export", "masks", "--end", 1)

    assert (answer.status, "inverted" in answer.err) == (0, False)
    (line,) = (output / "tracks.jsonl").read_text().splitlines()
    assert json.loads(line)["area"] == square().sum()


def test_what_cannot_be_meant_is_refused_before_the_model_is_loaded(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persam_vos.video.run.Engine", None)
    resized = np.zeros((48, 64), np.uint8)
    for depth, value in enumerate((1, 3, 4, 5)):
        resized[10 + depth : 32 - depth, 9 + depth : 31 - depth] = value
    rims = save(tmp_path / "rims.png", resized)
    wide = np.zeros((64, 20_000, 3), np.uint8)
    for index in range(2):
        save(tmp_path / "wide" / f"{index}.png", wide)
    mask = save(tmp_path / "wide.png", np.pad(square(), ((0, 16), (0, 19_936))))
    (tmp_path / "a.m3u8").write_text(f"#EXTM3U\n#EXTINF:2,\n{clip}\n")
    output = tmp_path / "out"

    one_line(call("run", clip, "--first-mask", rims, "-o", output), "ids 1, 3, 4", "--mask-ids 5")
    one_line(call("run", tmp_path / "wide", "--first-mask", mask, "-o", output), "16384", "--export masks")
    one_line(call("run", tmp_path / "a.m3u8", "--first-mask", rims, "-o", output), "HLS", "--allow-playlists")
    one_line(call("run", clip, "--first-mask", rims, "--mask-ids", "x", "-o", output), "--mask-ids is 'x'")
    one_line(call("run", "file:///a.mp4", "--first-mask", rims, "-o", output), "is no address that is read")
    assert not output.exists()
