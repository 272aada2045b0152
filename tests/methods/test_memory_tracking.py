"""What the method memory keeps from one frame to the next, on frames whose colours tell objects apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cells import Following, Seeing, started
from pictures import frame_of

from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame


def square(side: int | None, index: int, *, left: int = 150) -> tuple[Frame, LabelMap]:
    """A red square of ``side`` pixels on blue, and its label map; None: out of sight."""
    labels = np.zeros((288, 512), np.uint8)
    if side is not None:
        labels[100 : 100 + side, left : left + side] = 1
    return frame_of(np.where(labels[..., None] > 0, [250, 20, 20], [20, 90, 200]).astype(np.uint8), index), labels


def presences(sides: list[int | None], every: int = 1) -> list[bool]:
    """Follow a square that is 140 pixels wide at first; tell in which later frames it is found."""
    encoder, (first, labels) = Seeing(), square(140, 0)
    tracking, found = started(encoder, first, labels), []
    for position, side in enumerate(sides, 1):
        frame, _ = square(side, position * every)
        found.append(bool(tracking.step(frame, encoder.encode([frame])[0]).label_map.any()))
    return found


def test_an_object_that_comes_back_smaller_is_found_in_the_end() -> None:
    """From 19,600 pixels to 3,600, which is less than a fifth."""
    found = presences([None, None, *[60] * 10])

    assert found[:2] == [False, False]
    assert found[-5:] == [True] * 5


def test_frames_that_are_passed_over_count_as_well() -> None:
    assert presences([None, 56]) == [False, False]
    assert presences([None, 56], every=8) == [False, True]


@pytest.mark.parametrize("closer_look", [0.0, 0.5])
def test_a_result_that_is_drawn_on_changes_nothing(closer_look: float) -> None:
    frames = [square(60, i, left=150 + 6 * i) for i in range(4)]
    found = []
    for spoilt in (False, True):
        encoder, labels = Seeing(), frames[0][1].copy()
        tracking = started(encoder, frames[0][0], labels, closer_look=closer_look)
        for frame, _ in frames[1:]:
            if spoilt:
                labels[:] = 1
            labels = tracking.step(frame, encoder.encode([frame])[0]).label_map
        found.append(labels)

    assert found[0].any()
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize("closer_look", [0.0, 0.5])
def test_a_tracking_never_changes(closer_look: float) -> None:
    encoder, (first, labels) = Seeing(), square(60, 0)

    def step(tracking: Following, index: int, left: int) -> torch.Tensor:
        frame, _ = square(60, index, left=left)
        return torch.from_numpy(tracking.step(frame, encoder.encode([frame])[0]).label_map)

    alone = started(encoder, first, labels, closer_look=closer_look, learn_every=1)
    expected = [step(alone, index, 150 + 6 * index) for index in (1, 2, 3)]
    original = started(encoder, first, labels, closer_look=closer_look, learn_every=1)
    step(original, 1, 156)
    copied = Following(original.tracking)

    step(copied, 2, 300)
    assert torch.equal(step(original, 2, 162), expected[1])
    other = Following(original.tracking)
    step(original, 3, 60)
    assert torch.equal(step(other, 3, 168), expected[2])


@pytest.mark.parametrize(("trusted_score", "learns"), [(0.0, True), (1.0, False)])
def test_a_mask_that_is_not_trusted_is_shown_but_not_learnt(trusted_score: float, learns: bool) -> None:
    encoder, (first, labels) = Seeing(), square(60, 0)
    tracking = started(encoder, first, labels, learn_every=1, trusted_score=trusted_score)
    before = tracking.tracking.state
    frame, _ = square(60, 1, left=170)

    found = tracking.step(frame, encoder.encode([frame])[0])

    after = tracking.tracking.state
    assert found.label_map.any()
    assert not found.similarity.isnan().any()
    assert (after.memory is not before.memory) == learns
    assert bool(after.seen.all()) == learns
    assert torch.equal(after.last, before.last) != learns
