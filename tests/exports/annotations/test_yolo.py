"""Ultralytics' folder, read back as Ultralytics describes that it reads it."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from annotated import FRAMES, HEIGHT, WIDTH, export, info_of, label_map_of
from clips import save
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from persam_vos.exports.annotations.polygons import MOST_PARTS, filled, iou_of, polygon_of
from persam_vos.exports.select import remove_exports


def read_labels(images: Path) -> list[tuple[int, np.ndarray]]:
    """The classes and masks of an image: the path of its labels, shares of its size, whole pixels, filled."""
    path = Path(str(images).replace("/images/", "/labels/")).with_suffix(".txt")
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        number, *shares = line.split()
        points = np.array(shares, float).reshape(-1, 2)
        assert len(points) >= 3
        assert points.min() > 0
        assert points.max() < 1
        pixels = (points * (WIDTH, HEIGHT)).astype(np.int32)
        found.append((int(number), cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [pixels], 1) > 0))
    return found


def test_every_mask_comes_back_but_for_lines_between_its_parts(tmp_path: Path) -> None:
    path, warnings = export(tmp_path, "yolo")
    data = yaml.safe_load((path / "data.yaml").read_text(encoding="utf-8"))

    assert data == {"train": "train.txt", "val": "train.txt", "names": {0: "dog", 1: "Käfer & <Co>", 2: "object"}}
    images = (path / "train.txt").read_text(encoding="utf-8").splitlines()
    assert images == [f"./images/train/{index:05d}.jpg" for index in range(FRAMES)]
    for index, image in enumerate(images):
        with Image.open(path / image) as picture:
            assert picture.size == (WIDTH, HEIGHT)
            assert abs(int(np.asarray(picture).mean()) - 40 * index) <= 1
        label_map, labels = label_map_of(index), read_labels(path / image)
        ids = [each for each in (1, 3, 7) if (label_map == each).any()]
        assert [number for number, _ in labels] == [{1: 0, 3: 1, 7: 0}[each] for each in ids]
        for object_id, (_, found) in zip(ids, labels, strict=True):
            truth = label_map == object_id
            if object_id == 3:  # Two parts, 17 pixels apart.
                assert not (truth & ~found).any()
                assert 0 < (found & ~truth).sum() <= 17
            else:
                assert np.array_equal(found, truth)
    assert not (path / "labels" / "train" / "00002.txt").read_bytes()
    first = (path / "data.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# polygons have a mean IoU of 0.9")
    assert warnings == [f"yolo: {first[2:]}: one polygon joins separate parts by lines, at most 500"]


def test_images_of_a_sequence_are_copied(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    images = tuple(save(tmp_path / "in" / name, rgb) for name in ("a 1.PNG", "b.jpg", "ü.jpeg", "z.png"))
    path, _ = export(tmp_path / "out", "yolo", info=info_of(source=tmp_path / "in", images=images))

    assert (path / "train.txt").read_text(encoding="utf-8").splitlines() == [
        f"./images/train/{name}" for name in ("a 1.png", "b.jpg", "z.png", "ü.jpeg")
    ]
    assert (path / "images" / "train" / "ü.jpeg").read_bytes() == images[2].read_bytes()
    assert sorted(each.stem for each in (path / "labels" / "train").iterdir()) == ["a 1", "b", "z", "ü"]
    remove_exports(tmp_path / "out", ["yolo"], info_of(images=images), keep=())
    assert not path.exists()


def test_a_folder_with_other_labels_is_kept(tmp_path: Path) -> None:
    path, _ = export(tmp_path, "yolo")
    shutil.copy(path / "labels" / "train" / "00000.txt", path / "labels" / "train" / "mine.txt")

    remove_exports(tmp_path, ["yolo"], info_of(), keep=())

    assert path.exists()


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14))))
def test_a_polygon_holds_its_mask(mask: np.ndarray) -> None:
    if not mask.any():
        return
    polygon = polygon_of(mask)

    assert len(polygon) >= 3
    assert mask[polygon[:, 1], polygon[:, 0]].all()
    assert not (mask & ~filled(polygon, *mask.shape)).any()


@pytest.mark.parametrize("holes", [0, 1, 3])
def test_a_polygon_of_one_part_is_its_mask(holes: int) -> None:
    mask = np.zeros((40, 60), bool)
    cv2.ellipse(canvas := mask.astype(np.uint8), (30, 20), (25, 15), 10, 0, 360, 1, -1)
    for hole in range(holes):
        canvas[15:22, 15 + 10 * hole : 21 + 10 * hole] = 0

    assert iou_of(polygon_of(canvas > 0), canvas > 0) == 1


def test_of_thousands_of_specks_the_largest_are_kept() -> None:
    mask = np.random.default_rng(0).random((360, 640)) < 0.2
    found = filled(polygon_of(mask), *mask.shape)

    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    rising = np.sort(stats[1:, cv2.CC_STAT_AREA])
    assert len(rising) > 10 * MOST_PARTS
    assert found[(stats[parts, cv2.CC_STAT_AREA] > rising[-MOST_PARTS]) & mask].all()
    assert not (mask <= found).all()


def test_parts_are_joined_by_short_lines() -> None:
    mask = np.zeros((60, 400), bool)
    for left in range(0, 400, 20):
        mask[20:36, left : left + 16] = True

    assert (filled(polygon_of(mask), *mask.shape) & ~mask).sum() <= 19 * 4


def test_of_many_parts_and_holes_the_largest_are_kept() -> None:
    mask = np.zeros((600, 700), np.bool_)
    for i in range(MOST_PARTS + 40):
        y, x = 10 * (i // 60), 10 * (i % 60)
        mask[y : y + 4, x : x + 4] = True
        if i < MOST_PARTS:
            mask[y : y + 5, x : x + 4] = True  # one row more
    mask[300:600, 20:690] = True
    for i in range(MOST_PARTS + 40):
        y, x = 303 + 7 * (i // 60), 30 + 10 * (i % 60)
        mask[y : y + (3 if i < MOST_PARTS else 2), x : x + 3] = False

    found = filled(polygon_of(mask), *mask.shape)

    assert found[0:5, 0:4].all(), "of equal parts, the first ones"
    assert not found[80:84, 590:594].any(), "the last small part is left out"
    assert not found[304, 31], "a large hole is kept"
    assert found[303 + 7 * 8 : 305 + 7 * 8, 30 + 590 : 33 + 590].all(), "the last small hole is filled"
    assert iou_of(polygon_of(mask), mask) > 0.9


def test_holes_of_parts_that_are_left_out_leave_nothing() -> None:
    mask = np.zeros((400, 400), np.bool_)
    for i in range(MOST_PARTS):
        mask[8 * (i // 40) : 8 * (i // 40) + 6, 8 * (i % 40) : 8 * (i % 40) + 6] = True
    mask[390:393, 390:393] = True
    mask[391, 391] = False

    found = filled(polygon_of(mask), *mask.shape)

    assert not found[389:394, 389:394].any()
