"""``persam-vos run``: the files of a short clip."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from command_line import call, one_line, save
from PIL import Image
from video_commands import HEIGHT, WIDTH, square, write_square_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_square_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(scope="module")
def mask(clip: Path) -> Path:
    return save(clip.with_name("mask.png"), square())


@pytest.fixture(scope="module")
def finished(clip: Path, mask: Path) -> Path:
    output = clip.with_name("new") / "out"
    answer = call(
        "run", clip, "--first-mask", mask, "-o", output, "--export", "masks,overlay,cutout", "--background", "lime"
    )
    assert answer.status == 0, answer.err
    listed = [Path(line) for line in answer.out.splitlines()]
    assert sorted(path.name for path in listed) == [
        "cutout.mp4", "masks", "overlay.mp4", "prompts.json", "run.json", "tracks.jsonl",
    ]  # fmt: skip
    assert all(path.exists() for path in listed)
    assert "5/5" in answer.err
    return output


def test_a_box_in_place_of_a_mask(clip: Path, mask: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    answer = call("run", clip, "--box", "0,16,15,31", "-o", output, "--export", "masks")

    assert answer.status == 0, answer.err
    assert str(output / "prompts") in answer.out.splitlines()
    with Image.open(output / "prompts" / "00000_1.png") as made:
        given = np.asarray(made)
    assert set(np.unique(given)) == {0, 255}
    with Image.open(output / "masks" / "00000.png") as first:
        assert np.array_equal(np.asarray(first) == 1, given == 255)
    assert ((given == 255) & (square() == 1)).sum() > 0.8 * ((given == 255) | (square() == 1)).sum()
    (prompt,) = json.loads((output / "run.json").read_text())["prompts"]
    assert (prompt["frame"], prompt["object"], prompt["box"]) == (0, 1, [0, 16, 15, 31])


def test_what_was_asked_can_be_asked_again(clip: Path, mask: Path, tmp_path: Path) -> None:
    def run(*options: object, output: str) -> tuple[list[bytes], dict]:
        rest = ["-o", tmp_path / output, "--export", "masks", "--overwrite"]
        answer = call("run", clip, *options, *rest)
        assert answer.status == 0, answer.err
        masks = [path.read_bytes() for path in sorted((tmp_path / output / "masks").iterdir())]
        return masks, json.loads((tmp_path / output / "prompts.json").read_text())

    again = ["--prompts", tmp_path / "a" / "prompts.json"]
    one = ["--object", f"200={mask}", "--name", "200=square", "--color", "200=red"]
    first, asked = run(*one, "--start", "1", "--end", "4", output="a")
    second, repeated = run(*again, output="b")
    # Its own prompts may be read by a run that replaces its results.
    third, _ = run(*again, output="a")

    assert first == second == third
    assert len(first) == 3
    assert asked["range"] == [1, 4]
    assert asked["objects"] == [{"id": 200, "name": "square", "color": "#ff0000"}]
    assert asked["prompts"] == [{"frame": 1, "object": 200, "mask": "prompts/00001_200.png"}]
    assert (tmp_path / "a" / asked["video"]).resolve() == clip.resolve()
    assert {**repeated, "video": 0} == {**asked, "video": 0}
    with Image.open(tmp_path / "a" / "masks" / "00001.png") as picture:
        assert set(np.unique(np.asarray(picture))) == {0, 200}
        assert picture.getpalette()[600:603] == [255, 0, 0]
    lines = [json.loads(line) for line in (tmp_path / "b" / "tracks.jsonl").read_text().splitlines()]
    assert [(line["frame"], line["name"], line["keyframe"]) for line in lines] == [
        (1, "square", True),
        (2, "square", False),
        (3, "square", False),
    ]


def test_the_mask_of_a_box_alone(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "mask.png"
    answer = call("mask", clip, "--box", "0,16,15,31", "--point", "8,24", "--point", "40,10,-", "-o", output)

    assert (answer.status, answer.out) == (0, f"{output}\n"), answer.err
    with Image.open(output) as picture:
        assert picture.mode == "P"
        found = np.asarray(picture)
    assert ((found == 1) & (square() == 1)).sum() > 0.8 * ((found == 1) | (square() == 1)).sum()
    one_line(call("mask", clip, "--box", "0,16,15,31", "-o", output), "mask.png: exists already", "--overwrite")
    one_line(call("mask", clip, "--box", "0,16,15,31", "-o", output.parent), "is a folder")

    later = tmp_path / "3.png"
    assert call("mask", clip, "--frame", "3", "--box", "12,16,27,31", "-o", later).status == 0
    with Image.open(later) as picture:
        found = np.asarray(picture)
    truth = np.roll(square(), 12, axis=1)
    assert ((found == 1) & (truth == 1)).sum() > 0.8 * ((found == 1) | (truth == 1)).sum()


@pytest.mark.cuda
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
    keys = ["frame", "time", "pts", "source", "object", "name", "present", "score", "similarity", "area", "box_xyxy"]
    assert all(list(line) == [*keys, "keyframe"] for line in lines)
    assert [line["keyframe"] for line in lines] == [True, False, False, False, False]
    assert lines[0]["box_xyxy"] == [0, 16, 15, 31]


@pytest.mark.cuda
def test_run_json_says_all(finished: Path) -> None:
    record = json.loads((finished / "run.json").read_text())

    assert record["complete"] is True
    assert record["frames"] == record["frames_encoded"] == 5
    assert record["frame_rate"] == "30000/1001"
    lines = [json.loads(line) for line in (finished / "tracks.jsonl").read_text().splitlines()]
    assert lines[1]["pts"] * Fraction(record["time_base"]) == Fraction(1001, 30000)
    assert record["settings"]["background"] == "#00ff00"
    assert set(record["seconds_per_stage"]) == {"decode", "encode", "track", "write"}
    assert {"python", "torch", "persam-vos"} <= set(record["versions"])


def test_nothing_else_is_left(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {"masks", "prompts", "overlay.mp4", "cutout.mp4", "tracks.jsonl", "run.json", "prompts.json"}


def test_results_are_not_replaced_without_being_asked(finished: Path, clip: Path, mask: Path) -> None:
    one_line(call("run", clip, "--first-mask", mask, "-o", finished), "is not empty", "--overwrite")


def test_a_finished_run_has_nothing_left_to_do(finished: Path, clip: Path, mask: Path) -> None:
    run = ["run", clip, "--first-mask", mask, "-o", finished, "--export", "masks,overlay,cutout", "--resume"]

    answer = call(*run, "--background", "lime")

    assert (answer.status, answer.out) == (0, "")
    assert f"{finished} is complete: nothing is left to do" in answer.err
    one_line(call(*run, "--background", "red"), "was made with background #00ff00, this run has #ff0000", "--overwrite")
    one_line(call(*run, "--overwrite"), "both --overwrite and --resume are given")
