"""drawn.py and the drawn masks: they fit each other, and J, means and gaps are what they say; no clip is needed."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import drawn
import numpy as np
import pytest
from clips import write_clip
from pictures import scene
from PIL import Image

from persam_vos.exports.draw import palette_image
from persam_vos.masks import LabelMap
from persam_vos.results import FrameResult, ObjectResult

OBJECTS = {"01_dog": 1, "02_cups": 3, "05_default_juggle": 2}
HIDDEN = {("01_dog", 1, 90), *(("02_cups", 1, frame) for frame in (36, 60, 90, 120))}


def result_of(label_map: LabelMap, *scores: float, index: int = 6) -> FrameResult:
    areas = [int((label_map == i + 1).sum()) for i in range(len(scores))]
    objects = tuple(
        ObjectResult(i + 1, area > 0, score, None, area, None)
        for i, (area, score) in enumerate(zip(areas, scores, strict=True))
    )
    return FrameResult(index, index, Fraction(1, 24), label_map, objects)


@pytest.mark.parametrize("clip", OBJECTS)
def test_drawn_masks_fit(clip: str) -> None:
    masks = drawn.drawn_masks(clip)

    assert list(masks) == [6, 18, 36, 60, 90, 120]
    for frame, mask in masks.items():
        assert mask.shape == (720, 1280)
        assert mask.dtype == np.uint8
        there = {i for i in range(1, OBJECTS[clip] + 1) if (clip, i, frame) not in HIDDEN}
        assert set(np.unique(mask)) - {0} == there
        assert all(2000 < (mask == i).sum() < 100_000 for i in there)


def test_drawn_masks_are_small_palette_files() -> None:
    paths = list(drawn.DRAWN.rglob("*.png"))

    assert len(paths) == 18
    for path in paths:
        with Image.open(path) as image:
            assert image.mode == "P"
    assert sum(path.stat().st_size for path in paths) < 150_000


def test_cells_are_j_and_score_of_each_object() -> None:
    truth = np.zeros((10, 10), np.uint8)
    truth[:4], truth[8:] = 1, 3
    found = np.zeros((10, 10), np.uint8)
    found[:2], found[4:6] = 1, 2

    cells = drawn.compare("cat", result_of(found, 0.9, 0.8, 0.0), truth)

    assert [(cell.j, cell.score, cell.hidden, cell.found) for cell in cells] == [
        (0.5, 0.9, False, True),
        (0.0, 0.8, True, True),
        (0.0, 0.0, False, False),
    ]
    assert [str(cell) for cell in cells] == ["50.0 (0.90)", "hidden 0.0 (0.80)", "0.0 (0.00)"]


def test_an_object_that_is_hidden_and_not_found_is_right() -> None:
    nothing = np.zeros((10, 10), np.uint8)

    (cell,) = drawn.compare("cat", result_of(nothing, 0.0), nothing)

    assert (cell.j, cell.hidden, cell.found) == (1.0, True, False)
    assert drawn.gap([cell]) == 0.0


def test_tables_give_means_the_least_object_and_the_gap() -> None:
    cells = [
        drawn.Cell("dog", 1, 18, 0.4, 0.9, hidden=False, found=True),
        drawn.Cell("dog", 1, 6, 0.8, 0.9, hidden=False, found=True),
        drawn.Cell("cups", 2, 6, 1.0, 0.0, hidden=True, found=False),
        drawn.Cell("cups", 2, 18, 0.9, 1.0, hidden=False, found=True),
    ]

    assert list(drawn.table(cells, "memory")) == [
        "| memory | 6 | 18 | mean J | gap |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| cups 2 | hidden 100.0 (0.00) | 90.0 (1.00) | 95.0 | 0.10 |",
        "| dog 1 | 80.0 (0.90) | 40.0 (0.90) | 60.0 | 0.30 |",
    ]
    assert list(drawn.summary({"memory": cells}))[-1] == "| memory | 77.5 | 60.0 | dog 1 | 0.23 |"


def test_a_picture_shows_both_contours_at_half_the_size() -> None:
    rgb = np.full((80, 120, 3), 100, np.uint8)
    truth, found = np.zeros((2, 80, 120), np.uint8)
    truth[40:70, 40:70], found[40:70, 80:110] = 1, 1

    shown = drawn.picture(rgb, found, truth, "")

    assert shown.shape == (40, 60, 3)
    assert (shown[21:34, 19:22].min(axis=2).max(axis=1) == 255).all()
    orange = shown[21:34, 39:42].astype(int)
    assert (orange[..., 0] - orange[..., 2] > 50).any(axis=1).all()


def test_missing_clips_are_named(tmp_path: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(sys, "argv", ["drawn", str(tmp_path), "--cache", str(tmp_path / "cache")])

    with pytest.raises(SystemExit):
        drawn.main()

    message = capsys.readouterr().err
    assert "first-masks" in message
    assert all(f"{clip}.mp4" in message for clip in OBJECTS)
    assert "not part of the project" in message


def test_a_clip_is_tracked_and_judged(tmp_path: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    """With every frame encoded, and with every fourth one."""
    frames, truths = zip(*(scene([(40 + 6 * index, 60), None]) for index in range(5)), strict=True)
    for folder in ("first-masks", "drawn/cat"):
        (tmp_path / folder).mkdir(parents=True)
    write_clip(tmp_path / "cat.mp4", frames)
    palette_image(truths[0]).save(tmp_path / "first-masks" / "cat.png")
    for index in (2, 4):
        palette_image(truths[index]).save(tmp_path / "drawn" / "cat" / f"{index:05d}.png")
    monkeypatch.setattr(drawn, "DRAWN", tmp_path / "drawn")
    monkeypatch.setattr(drawn, "CLIPS", ("cat",))
    command = f"drawn {tmp_path} --cache {tmp_path / 'cache'} --set encode_every=4 --sheet {tmp_path / 'sheet.png'}"
    monkeypatch.setattr(sys, "argv", command.split())

    drawn.main()

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[-2:]] == ["| memory", "| encode_every=4"]
    assert all(float(line.split(" | ")[1]) > 80 for line in lines[-2:])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (2 * 240, 2 * 135)
