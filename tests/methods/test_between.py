"""Masks of frames between two tracked ones: carried by the flow of real textures, or refused."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import frame_of, iou, scene

from persam_vos.masks import LabelMap
from persam_vos.methods.base import Segmentation, frame_result
from persam_vos.methods.between import Between, Tracked
from persam_vos.settings.video import TrackerSettings

Place = tuple[int, int] | None


def tracked(places: list[Place], index: int, *, scores: tuple[float, float] = (0.9, 0.8)) -> Tracked:
    rgb, labels = scene(places)
    return tracked_as(rgb, labels, index, scores)


def tracked_as(rgb: np.ndarray, labels: LabelMap, index: int, scores: tuple[float, float] = (0.9, 0.8)) -> Tracked:
    frame = frame_of(rgb, index)
    there = torch.tensor([bool((labels == i).any()) for i in (1, 2)])
    similarity = torch.tensor([0.95, 0.85]).masked_fill(~there, torch.nan)
    return Tracked(frame, frame_result(frame, Segmentation(labels, torch.tensor(scores), similarity), (1, 2)))


@pytest.mark.parametrize("colours", [0.0, 0.4])
def test_two_objects_are_where_they_were_half_way(colours: float) -> None:
    before, after = tracked([(40, 100), (300, 90)], 0), tracked([(60, 104), (284, 90)], 2)
    rgb, truth = scene([(50, 102), (292, 90)])

    result, agreement = Between(TrackerSettings(colours=colours)).join(frame_of(rgb, 1), before, after)

    assert all(iou(result.label_map == i, truth == i) > 0.95 for i in (1, 2))
    assert agreement > 0.85
    assert result.index == 1
    assert result[1].box is not None
    # No mask is better than the neighbours that it is made of.
    assert 0.9 * agreement - 1e-6 <= result[1].score <= 0.9
    assert result[1].similarity == pytest.approx(0.95)


def test_a_mask_is_carried_the_right_way_in_time() -> None:
    before, after = tracked([(40, 100), None], 0), tracked([(64, 100), None], 4)
    between, found = Between(TrackerSettings()), []
    for index in (1, 2, 3):
        rgb, truth = scene([(40 + 6 * index, 100), None])
        result, _ = between.join(frame_of(rgb, index), before, after)
        found.append(iou(result.label_map == 1, truth == 1))
        assert not result[2].present

    assert min(found) > 0.95


def test_the_side_that_is_nearer_in_time_counts_more() -> None:
    """The rate of the frames may vary: frame 1 of 0, 1 and 4 is shown last but one."""
    whole = tracked([(60, 90), None], 4)
    half = whole.result.label_map.copy()
    half[:, 115:] = 0
    before = tracked_as(whole.frame.rgb, half, 0)
    frame = replace(whole.frame, index=1, pts=3)

    result, _ = Between(TrackerSettings(colours=0)).join(frame, before, whole)

    assert iou(result.label_map == 1, whole.result.label_map == 1) > 0.9


def test_the_sides_disagree_about_an_object_that_one_of_them_does_not_show() -> None:
    before, after = tracked([(40, 100), (300, 90)], 0), tracked([(50, 100), None], 2)
    rgb, _ = scene([(45, 100), (300, 90)])

    result, agreement = Between(TrackerSettings()).join(frame_of(rgb, 1), before, after)

    assert agreement == 0
    assert result[1].score > 0.8
    assert result[2].score == 0


def test_they_agree_that_nothing_is_there() -> None:
    before, after = tracked([None, None], 0), tracked([None, None], 2)

    result, agreement = Between(TrackerSettings()).join(frame_of(scene([None, None])[0], 1), before, after)

    assert agreement == 1
    assert not result.label_map.any()
    assert [(each.present, each.score, each.similarity) for each in result] == [(False, 0.0, None)] * 2


def test_they_disagree_across_a_cut() -> None:
    before, after = tracked([(40, 100), None], 0), tracked([(300, 20), None], 2)
    before = tracked_as(np.ascontiguousarray(before.frame.rgb[::-1]), before.result.label_map[::-1].copy(), 0)

    _, agreement = Between(TrackerSettings()).join(replace(after.frame, index=1, pts=1), before, after)

    assert agreement < 0.6


def test_masks_that_were_carried_nowhere_do_not_agree() -> None:
    """Both sides are the same picture; between them the object is elsewhere."""
    before, after = tracked([(300, 90), None], 0), tracked([(300, 90), None], 2)

    _, agreement = Between(TrackerSettings()).join(frame_of(scene([(20, 100), None])[0], 1), before, after)

    assert agreement < 0.6


def test_a_thing_in_front_for_one_frame_is_noticed() -> None:
    before, after = tracked([(60, 90), None], 0), tracked([(60, 90), None], 2)
    rgb = before.frame.rgb.copy()
    rgb[60:, 90:] = (250, 250, 10)

    _, agreement = Between(TrackerSettings()).join(frame_of(rgb, 1), before, after)

    assert agreement < 0.6


def test_a_mask_that_is_wrong_on_one_side_disagrees() -> None:
    before, after = tracked([(40, 100), None], 0), tracked([(44, 100), None], 2)
    wrong = after.result.label_map.copy()
    wrong[:, :90] = 0

    after = tracked_as(after.frame.rgb, wrong, 2)
    _, agreement = Between(TrackerSettings()).join(frame_of(scene([(42, 100), None])[0], 1), before, after)

    assert agreement < 0.8


def test_memory_does_not_grow_by_a_whole_mask_for_each_object() -> None:
    rgb, labels = np.full((1200, 1600, 3), 90, np.uint8), np.zeros((1200, 1600), np.uint8)
    for object_id in range(1, 13):
        labels[10:1190, 120 * object_id : 120 * object_id + 100] = object_id
    before, after = (many_tracked(rgb, labels, index) for index in (0, 2))
    between = Between(TrackerSettings(colours=0))
    tracemalloc.start()
    try:
        between.join(frame_of(rgb, 1), before, after)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # Bytes a pixel; a mask takes 4.
    assert peak / labels.size < 24


def many_tracked(rgb: np.ndarray, labels: LabelMap, index: int) -> Tracked:
    frame, ids = frame_of(rgb, index), [int(i) for i in np.unique(labels) if i]
    return Tracked(frame, frame_result(frame, Segmentation(labels, torch.ones(len(ids)), torch.ones(len(ids))), ids))


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (40, 2)])
def test_frames_of_any_size(size: tuple[int, int]) -> None:
    rgb, labels = np.full((*size, 3), 90, np.uint8), np.ones(size, np.uint8)
    before, after = tracked_as(rgb, labels, 0), tracked_as(rgb, labels, 2)

    result, agreement = Between(TrackerSettings()).join(frame_of(rgb, 1), before, after)

    assert (result.label_map == labels).all()
    assert agreement == pytest.approx(1)
