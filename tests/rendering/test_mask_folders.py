"""Folders of masks that do not fit: some objects are chosen or missing, and files are of other videos, or damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import moving_square, save, write_clip

from persam_vos.errors import MaskError
from persam_vos.media import open_video
from persam_vos.media.masks.reading import MaskReading
from persam_vos.rendering.earlier_run import EarlierTracks, read_earlier_run
from persam_vos.rendering.mask_folder import MaskSource, Reading, find_masks

FRAMES, HEIGHT, WIDTH = 4, 48, 64


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_square(FRAMES))


def label_map_of(index: int, *, scale: int = 1) -> np.ndarray:
    """Object 1 in all frames, object 2 in the first two."""
    label_map = np.zeros((HEIGHT // scale, WIDTH // scale), np.uint8)
    label_map[: 8 // scale, : 16 // scale] = 1
    label_map[24 // scale :, : 16 // scale] = 2 * (index < 2)
    return label_map


def write_label_maps(folder: Path, *, scale: int = 1) -> Path:
    for index in range(FRAMES):
        save(folder / f"{index:05d}.png", label_map_of(index, scale=scale))
    return folder


def write_run(folder: Path, **record: Any) -> Path:
    write_label_maps(folder / "masks")
    (folder / "run.json").write_text(json.dumps({"settings": {}, "objects": [1, 2], **record}))
    return folder


def found_in(folder: Path, clip: Path, how: MaskReading = MaskReading()) -> MaskSource:  # noqa: B008 - it is frozen
    run = read_earlier_run(folder)
    with open_video(clip) as reader:
        return find_masks(run.masks if run else folder, reader.info, run, Reading(HEIGHT, WIDTH, how))


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("write", [write_label_maps, write_run])
def test_objects_that_are_chosen_may_be_absent(tmp_path: Path, clip: Path, write: Callable, scale: int) -> None:
    folder = write(tmp_path / "in")
    write_label_maps(folder / "masks" if write is write_run else folder, scale=scale)

    found = found_in(folder, clip, MaskReading(resize=scale > 1, ids=(2,)))

    assert found.ids == (2,)
    for index in range(FRAMES):
        assert np.array_equal(found.label_map(index), np.where(label_map_of(index) == 2, 2, 0))


def test_the_chosen_object_may_be_inverted(tmp_path: Path, clip: Path) -> None:
    found = found_in(write_label_maps(tmp_path / "in"), clip, MaskReading(ids=(2,), invert=True))

    assert found.ids == (1,)
    for index in range(FRAMES):
        assert np.array_equal(found.label_map(index), label_map_of(index) != 2)


def test_of_folders_of_objects_some_are_chosen(tmp_path: Path, clip: Path) -> None:
    for folder, object_id in (("1_dog", 1), ("2_cat", 2)):
        for index in range(FRAMES):
            white = np.where(label_map_of(index) == object_id, np.uint8(255), np.uint8(0))
            save(tmp_path / "in" / folder / f"{index:05d}.png", white)

    found = found_in(tmp_path / "in", clip, MaskReading(ids=(2,)))

    assert (found.ids, [each.name for each in found.objects]) == ((2,), ["cat"])
    assert np.array_equal(found.label_map(0), np.where(label_map_of(0) == 2, 2, 0))


@pytest.mark.parametrize("write", [write_label_maps, write_run])
def test_objects_that_no_mask_has_cannot_be_chosen(tmp_path: Path, clip: Path, write: Callable) -> None:
    with pytest.raises(MaskError, match="has no object 7; its ids are 1, 2; give --mask-ids some of these"):
        found_in(write(tmp_path / "in"), clip, MaskReading(ids=(1, 7)))


def test_names_of_objects_that_are_left_out_are_left_out(tmp_path: Path, clip: Path) -> None:
    run = write_run(tmp_path / "in", names={"1": "dog", "2": "cat"})

    assert [each.name for each in found_in(run, clip, MaskReading(ids=(2,))).objects] == ["cat"]


def test_a_folder_of_label_maps_is_no_object(tmp_path: Path, clip: Path) -> None:
    write_label_maps(tmp_path / "davis" / "clip")

    with pytest.raises(MaskError, match=r"00000\.png: holds 2 values besides black and white.*; give .*davis/clip if"):
        found_in(tmp_path / "davis", clip).label_map(0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep_names": True}, "none of 4 masks, such as 00000, has a frame; give the video that the masks are of"),
        ({"start_number": 1001}, "00000 would be frame -1001, before the first one; give the video"),
        ({"start_number": -9}, "none of 4 masks, such as 00000, has a frame"),
    ],
)
def test_masks_of_a_run_on_another_video(tmp_path: Path, clip: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(MaskError, match=message):
        found_in(write_run(tmp_path / "in", settings=settings), clip)


def test_files_that_belong_to_no_frame_are_told(tmp_path: Path, clip: Path) -> None:
    run = write_run(tmp_path / "in")
    save(run / "masks" / "notes.png", label_map_of(0))

    found = found_in(run, clip)

    assert found.indices == tuple(range(FRAMES))
    assert found.warnings == ["1 masks, such as notes, belong to no frame, and are left out"]


@pytest.mark.parametrize(
    "record",
    [
        {"names": {"a": "b"}},
        {"names": ["b"]},
        {"colors": {"1": "blue-ish"}},
        {"colors": {"900": "#123456"}},
        {"frames_from": "x"},
        {"frames_from": -1},
        {"stride": 0},
        {"stride": 1e999},
        {"objects": [0]},
        {"objects": 1},
        {"settings": 1},
    ],
)
def test_a_run_json_of_something_else_is_told(tmp_path: Path, record: dict[str, Any]) -> None:
    with pytest.raises(MaskError, match=r"run\.json: is not of a run on video \(.+\); give a folder of masks without"):
        read_earlier_run(write_run(tmp_path / "in", **record))


@pytest.mark.parametrize(
    "values", ['"score": "abc"', '"similarity": []', '"score": {}', '"score": 1' + 400 * "0", '"object": 1e999']
)
def test_tracks_of_something_else_are_told(tmp_path: Path, values: str) -> None:
    path = tmp_path / "tracks.jsonl"
    path.write_text(f'{{"frame": 0, "object": 1, {values}}}\n')

    with pytest.raises(MaskError, match=r"tracks\.jsonl: cannot be read as the tracks of a run"):
        EarlierTracks(path).of_frame(0)


def test_what_was_rendered_over_a_run_does_not_take_its_prompts(tmp_path: Path) -> None:
    rendered = write_run(tmp_path / "in", masks="elsewhere", names={"1": "dog"}, frames_from=2, stride=3)
    objects, prompts = [{"id": 1, "name": "cat"}], [{"frame": 9, "object": 1, "box": [1, 2, 30, 40]}]
    asked = {"version": 1, "range": [9, None], "objects": objects, "prompts": prompts}
    (rendered / "prompts.json").write_text(json.dumps(asked))

    run = read_earlier_run(rendered)

    assert (run.start, run.stride, [each.name for each in run.objects]) == (2, 3, ["dog"])
