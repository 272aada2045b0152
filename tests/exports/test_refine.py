"""Masks that are mended before they are exported."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage

from persam_vos.exports.refine import refined, refines
from persam_vos.exports.select import open_writers
from persam_vos.media import Frame, StreamInfo
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.settings.output import ExportOptions
from persam_vos.soft_edges import alpha_of_labels

label_maps = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=24),
    elements=st.sampled_from([0, 0, 0, 1, 1, 2]),
)
options = st.builds(
    ExportOptions,
    grow=st.integers(-4, 9),
    feather=st.integers(0, 4),
    fill_holes=st.booleans(),
    min_area=st.integers(0, 6),
)


def result_of(label_map: np.ndarray, *, soft: bool = True) -> FrameResult:
    objects = tuple(ObjectResult(number, True, 0.5, 0.25, 7, (0, 0, 0, 0)) for number in (1, 2))
    alpha = alpha_of_labels(label_map) if soft else None
    return FrameResult(0, 0, Fraction(1), label_map, objects, alpha=alpha)


def labels_with(label_map: np.ndarray, **changes: Any) -> np.ndarray:
    return refined(result_of(label_map), ExportOptions(**changes)).label_map


@given(label_maps, options, st.booleans())
def test_all_that_is_said_of_a_mask_agrees(label_map: np.ndarray, chosen: ExportOptions, soft: bool) -> None:
    given_map = label_map.copy()

    found = refined(result_of(label_map, soft=soft), chosen)

    assert (label_map == given_map).all()
    if soft or chosen.feather:
        assert found.alpha is not None
        assert ((found.alpha >= 128) == (found.label_map > 0)).all()
    for each in found.objects:
        rows, columns = np.nonzero(found.label_map == each.id)
        assert each.area == len(rows)
        assert each.present == bool(len(rows))
        box = (columns.min(), rows.min(), columns.max(), rows.max()) if len(rows) else None
        assert each.box == box
        assert each.score == (0.5 if each.present else 0.0)


@given(label_maps, st.integers(1, 9))
def test_growing_adds_background_within_so_many_pixels(label_map: np.ndarray, by: int) -> None:
    grown = labels_with(label_map, grow=by)

    held = label_map > 0
    assert (grown[held] == label_map[held]).all()
    if held.any():
        distance = ndimage.distance_transform_edt(~held)
        assert (grown[distance <= by * 0.85 - 0.5] > 0).all()
        assert (grown[distance > by + 0.5] == 0).all()


@given(label_maps, st.integers(1, 6))
def test_shrinking_takes_what_is_near_the_background(label_map: np.ndarray, by: int) -> None:
    shrunk = labels_with(label_map, grow=-by)

    held = shrunk > 0
    assert (shrunk[held] == label_map[held]).all()
    if (label_map == 0).any():
        distance = ndimage.distance_transform_edt(label_map > 0)
        assert (distance[held] > by * 0.85 - 0.5).all()
        assert held[distance > by + 0.5].all()
    else:
        assert held.all()


def test_objects_that_touch_stay_as_they_are_where_they_touch() -> None:
    label_map = np.zeros((20, 30), np.uint8)
    label_map[5:15, 5:15], label_map[5:15, 15:25] = 1, 2

    for by in (-2, 2):
        moved = labels_with(label_map, grow=by)
        assert (moved[8:12, 10:15] == 1).all()
        assert (moved[8:12, 15:20] == 2).all()


@given(label_maps)
def test_filled_masks_have_no_holes_and_nothing_else_changes(label_map: np.ndarray) -> None:
    filled = labels_with(label_map, fill_holes=True)

    held = label_map > 0
    assert (filled[held] == label_map[held]).all()
    assert (labels_with(filled, fill_holes=True) == filled).all()
    for number in (1, 2):
        if not (label_map == 3 - number).any():
            assert ((filled == number) == ndimage.binary_fill_holes(label_map == number)).all()


def test_background_that_two_objects_enclose_stays() -> None:
    ring = np.zeros((11, 11), np.uint8)
    ring[2:9, 2:6], ring[2:9, 6:9] = 1, 2
    ring[4:7, 4:7] = 0

    assert (labels_with(ring, fill_holes=True) == ring).all()


@given(label_maps, st.integers(1, 12))
def test_parts_of_fewer_pixels_are_left_out(label_map: np.ndarray, least: int) -> None:
    kept = labels_with(label_map, min_area=least)

    for number in (1, 2):
        parts, _ = ndimage.label(label_map == number, np.ones((3, 3)))
        areas = np.bincount(parts.ravel())
        large = areas >= least
        large[0] = False
        assert ((kept == number) == large[parts]).all()


def test_a_filled_hole_is_opaque_and_a_speck_leaves_no_trace() -> None:
    label_map = np.zeros((40, 60), np.uint8)
    label_map[5:35, 5:35] = 1
    label_map[18:22, 18:22] = 0
    label_map[20:22, 50:52] = 1

    found = refined(result_of(label_map), ExportOptions(fill_holes=True, min_area=20))

    assert found.alpha is not None
    assert (found.alpha[10:30, 10:30] == 255).all()
    assert not found.alpha[:, 45:].any()


@pytest.mark.parametrize("radius", [1, 4, 10])
def test_a_feathered_edge_fades_from_outside_to_inside(radius: int) -> None:
    label_map = np.zeros((60, 80), np.uint8)
    label_map[:, :40] = 1

    alpha = refined(result_of(label_map), ExportOptions(feather=radius)).alpha

    assert alpha is not None
    line = alpha[30].astype(int)
    assert (np.diff(line) <= 0).all()
    assert (line[: 40 - radius] == 255).all()
    assert (line[40 + radius :] == 0).all()
    assert len(np.unique(line)) >= 2 * radius
    assert (alpha == alpha[30]).all()


def test_every_export_is_refined(tmp_path: Path) -> None:
    label_map = np.zeros((48, 64), np.uint8)
    label_map[10:30, 10:30] = 1
    second = Fraction(1, 25)
    info = StreamInfo(Path("a.mp4"), 64, 48, 1 / second, second, frame_count=None, has_audio=False)
    chosen = ExportOptions(grow=2)
    writers = open_writers(tmp_path, ["masks", "matte"], info=info, options=chosen)
    frame = Frame(0, 0, second, np.zeros((48, 64, 3), np.uint8))

    for writer in writers:
        writer.write(frame, result_of(label_map, soft=False))
    written = [path.name for writer in writers for path in writer.close()]

    assert written == ["tracks.jsonl", "masks", "matte.mp4"]
    line = json.loads((tmp_path / "tracks.jsonl").read_text().splitlines()[0])
    mask = np.asarray(Image.open(tmp_path / "masks" / "00000.png"))
    assert line["area"] == (mask == 1).sum() > 24 * 24 - 20
    assert line["box_xyxy"] == [8, 8, 31, 31]


def test_without_options_nothing_is_refined() -> None:
    assert not refines(ExportOptions())
    assert all(refines(ExportOptions(**{name: 1})) for name in ("grow", "feather", "min_area"))
    assert refines(ExportOptions(fill_holes=True))
