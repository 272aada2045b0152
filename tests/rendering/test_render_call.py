"""``persam_vos.render``: masks from folders and arrays become files, with words for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import moving_square, save, write_clip

from persam_vos import MaskError, MaskSizeError, NamedObject, OutputError, SettingsError, VideoError, open_video, render

FRAMES, HEIGHT, WIDTH = 4, 48, 64


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", moving_square(FRAMES))


def label_maps(count: int = FRAMES) -> np.ndarray:
    """Object 3 moves right."""
    found = np.zeros((count, HEIGHT, WIDTH), np.uint8)
    for index in range(count):
        found[index, 8:20, 2 * index : 2 * index + 10] = 3
    return found


def tracks_of(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "tracks.jsonl").read_text(encoding="utf-8").splitlines()]


def boxes_of(output: Path) -> list[list[int]]:
    return [each["box_xyxy"] for each in tracks_of(output)]


BOXES = [[2 * index, 8, 2 * index + 9, 19] for index in range(FRAMES)]


def test_a_folder_and_arrays_give_the_same_files(tmp_path: Path, clip: Path) -> None:
    for index, each in enumerate(label_maps()):
        save(tmp_path / "in" / f"{index:05d}.png", each)
    named = [NamedObject(3, "dog", "#ff0000")]

    outcome = render(clip, tmp_path / "in", tmp_path / "a", ["masks", "coco"], objects=named)
    render(str(clip), label_maps(), str(tmp_path / "b"), "masks,coco", objects=named)
    render(clip, list(label_maps()), tmp_path / "c", ("masks", "coco"), objects=named)

    assert outcome.frames == FRAMES
    assert {path.name for path in outcome.written} == {"masks", "coco.json", "tracks.jsonl", "run.json"}
    assert boxes_of(tmp_path / "a") == BOXES
    for other in ("b", "c"):
        for name in ("coco.json", "tracks.jsonl", "masks/00002.png"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / other / name).read_bytes()
    assert json.loads((tmp_path / "b" / "run.json").read_text(encoding="utf-8"))["masks"] == "arrays"


def test_frames_may_be_arrays_as_well(tmp_path: Path) -> None:
    frames, masks = np.stack(moving_square(FRAMES)), label_maps() == 3
    seen: list[tuple[int, int | None]] = []

    outcome = render(
        frames, masks, tmp_path / "out", frame_rate=10, on_progress=lambda done, expected: seen.append((done, expected))
    )

    assert {path.name for path in outcome.written} == {"overlay.mp4", "tracks.jsonl", "run.json"}
    assert seen == [(index + 1, FRAMES) for index in range(FRAMES)]
    with open_video(tmp_path / "out" / "overlay.mp4") as reader:
        assert [float(frame.time) for frame in reader] == pytest.approx([0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize("as_arrays", [False, True], ids=["file", "arrays"])
def test_a_part_of_the_frames(tmp_path: Path, clip: Path, as_arrays: bool) -> None:
    frames: Any = moving_square(FRAMES) if as_arrays else clip

    render(frames, label_maps(3), tmp_path / "with", "masks")
    render(frames, label_maps(), tmp_path / "part", "masks", start=1, stride=2)
    outcome = render(frames, label_maps(3), tmp_path / "all", "masks", start=0)

    assert [each["frame"] for each in tracks_of(tmp_path / "with")] == [0, 1, 2]
    assert boxes_of(tmp_path / "part") == BOXES[1::2]
    assert tracks_of(tmp_path / "all")[-1]["present"] is False
    assert outcome.warnings == ("1 frames have no mask, and count as empty",)


def test_options_are_those_of_exports_and_of_mask_files(tmp_path: Path, clip: Path) -> None:
    save(tmp_path / "in" / "00000.png", np.where(label_maps()[0] == 3, 0, 200).astype(np.uint8))

    render(
        clip, tmp_path / "in", tmp_path / "out", "masks", mask_threshold=100, invert_mask=True, grow=1, keep_names=False
    )

    assert tracks_of(tmp_path / "out")[0]["area"] > 120
    assert json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["settings"]["grow"] == 1


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"export": "films"}, SettingsError, "films"),
        ({"shrink": 2}, SettingsError, "shrink is no option; allowed: .*grow"),
        ({"method": "memory"}, SettingsError, "method is no option"),
        ({"grow": 900}, SettingsError, "grow"),
        ({"invert_mask": True}, SettingsError, "are of mask files, not of arrays"),
        ({"mask_ids": [0]}, SettingsError, r"mask_ids is \[0\]: it must be ids from 1 to 255"),
        ({"masks": label_maps(FRAMES + 1)}, MaskError, f"there are {FRAMES + 1} masks, and .*clip.mp4 has {FRAMES}"),
        ({"masks": np.zeros((1, HEIGHT, WIDTH), bool)}, MaskError, "hold no object"),
        ({"masks": []}, MaskError, "hold no object"),
        ({"masks": np.zeros((1, HEIGHT, WIDTH), np.float32)}, MaskError, "mask 0 is float32"),
        ({"masks": np.ones((2, HEIGHT, WIDTH + 1), bool)}, MaskSizeError, "mask 0 is 48 x 65, frame is 48 x 64"),
        ({"masks": 7}, MaskError, "masks are of type int"),
        ({"masks": "nowhere"}, MaskError, "is no folder"),
        ({"video": "nowhere.mp4"}, VideoError, "nowhere.mp4"),
        ({"video": np.zeros((HEIGHT, WIDTH, 3), np.uint8)}, VideoError, "video is an array 48 x 64 x 3"),
        ({"video": 7}, VideoError, "video is of type int; allowed: a path"),
        ({"video": iter(())}, VideoError, "allowed: a path"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(
    tmp_path: Path, clip: Path, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    call: dict[str, Any] = {"video": clip, "masks": label_maps(), "folder": tmp_path / "out", **given}

    with pytest.raises(error, match=message):
        render(**call)
    assert not (tmp_path / "out").exists()


def test_what_is_there_stays_unless_it_may_be_replaced(tmp_path: Path, clip: Path) -> None:
    render(clip, label_maps(), tmp_path / "out", "masks")

    with pytest.raises(OutputError, match="overwrite"):
        render(clip, label_maps(), tmp_path / "out", "masks")
    assert render(clip, label_maps(), tmp_path / "out", "masks", overwrite=True).frames == FRAMES
