"""Label Studio's tasks, read back by a reader written from the description of its brushes and boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotated import FRAMES, HEIGHT, WIDTH, export, info_of, label_map_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from persam_vos.exports.annotations.label_studio import brush_rle


class Bits:
    """Reads a stream of bits, the highest of each byte first."""

    def __init__(self, data: list[int]) -> None:
        self.text, self.at = "".join(f"{byte:08b}" for byte in data), 0

    def read(self, size: int) -> int:
        self.at += size
        return int(self.text[self.at - size : self.at], 2)


def decoded(data: list[int], height: int, width: int) -> np.ndarray:
    """Return the pixels of a brush, H x W x 4; runs and single values, as rle-pack describes them."""
    bits = Bits(data)
    count, size_of_value = bits.read(32), bits.read(5) + 1
    sizes = [bits.read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < count:
        is_run = bits.read(1)
        length = bits.read(sizes[bits.read(2)]) + 1
        values += [bits.read(size_of_value)] * length if is_run else [bits.read(size_of_value) for _ in range(length)]
    return np.array(values, np.uint8).reshape(height, width, 4)


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_any_mask_comes_back_from_its_brush(mask: np.ndarray) -> None:
    rgba = decoded(brush_rle(mask), *mask.shape)

    assert np.array_equal(rgba, np.repeat(mask[..., None].astype(np.uint8) * 255, 4, axis=2))


@pytest.mark.parametrize("value", [False, True])
def test_long_runs_are_cut(value: bool) -> None:
    mask = np.full((150, 300), value)

    assert (decoded(brush_rle(mask), 150, 300) == 255 * value).all()


def test_images_have_brushes(tmp_path: Path) -> None:
    images = tuple(Path(f"shots/Bild {index}.jpg") for index in range(FRAMES))
    path, _ = export(tmp_path, "label-studio", info=info_of(source=Path("shots"), images=images))

    tasks = json.loads(path.read_text(encoding="utf-8"))
    assert [task["data"]["image"] for task in tasks] == [
        f"/data/local-files/?d=shots/Bild%20{index}.jpg" for index in range(FRAMES)
    ]
    for index, task in enumerate(tasks):
        (prediction,) = task["predictions"]
        label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
        for each in prediction["result"]:
            assert (each["original_width"], each["original_height"], each["type"]) == (WIDTH, HEIGHT, "brushlabels")
            assert each["value"]["format"] == "rle"
            track = int(each["meta"]["text"][0])
            assert each["value"]["brushlabels"] == [{1: "dog", 3: "Käfer & <Co>", 7: "dog"}[track]]
            label_map[decoded(each["value"]["rle"], HEIGHT, WIDTH)[..., 3] > 0] = track
        assert np.array_equal(label_map, label_map_of(index))
    ids = [each["id"] for task in tasks for each in task["predictions"][0]["result"]]
    assert len(set(ids)) == len(ids) == 8


def test_a_video_has_boxes_that_end_where_the_object_does(tmp_path: Path) -> None:
    path, _ = export(tmp_path, "label-studio", info=info_of(source=tmp_path / "Häuser 1.mp4"))

    (task,) = json.loads(path.read_text(encoding="utf-8"))
    assert task["data"] == {"video": f"/data/local-files/?d={tmp_path.name}/H%C3%A4user%201.mp4"}
    tracks = task["predictions"][0]["result"]
    assert [(each["id"], each["value"]["labels"]) for each in tracks] == [
        ("1", ["dog"]),
        ("3", ["Käfer & <Co>"]),
        ("7", ["dog"]),
    ]
    value = tracks[0]["value"]
    assert (value["framesCount"], value["duration"]) == (FRAMES, 0.16)
    assert [(each["frame"], each["enabled"]) for each in value["sequence"]] == [(1, True), (2, False), (4, False)]
    for each in value["sequence"]:
        rows, columns = np.nonzero(label_map_of(each["frame"] - 1) == 1)
        box = each["x"] / 100 * WIDTH, each["y"] / 100 * HEIGHT
        assert box == pytest.approx((columns.min(), rows.min()), abs=1e-4)
        size = each["width"] / 100 * WIDTH, each["height"] / 100 * HEIGHT
        assert size == pytest.approx((np.ptp(columns) + 1, np.ptp(rows) + 1), abs=1e-4)
        assert each["time"] == pytest.approx((each["frame"] - 1) / 25)


def test_a_video_without_any_object_is_a_task(tmp_path: Path) -> None:
    path, _ = export(tmp_path, "label-studio", indices=(2,))

    (task,) = json.loads(path.read_text(encoding="utf-8"))
    assert task["predictions"][0]["result"] == []
