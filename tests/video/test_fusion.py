"""Masks of one frame, found from two keyframes, become one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pictures import iou

from persam_vos.masks import Mask
from persam_vos.sam.regions import Region
from persam_vos.video.propagation.found import Found
from persam_vos.video.propagation.fusion import Fused, fuse, share_out

SIZE = (40, 60)


def square(left: int, side: int = 16, top: int = 10) -> Mask:
    mask = np.zeros(SIZE, np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def found(mask: Mask, score: float = 0.9, number: int = 1) -> Found:
    return Found(number, mask, score, 0.8 if mask.any() else None, Region.whole(*SIZE))


@given(arrays(np.bool_, SIZE), st.floats(0.05, 0.95), st.floats(0, 1), st.floats(0, 1))
def test_what_both_sides_agree_on_stays(mask: Mask, share: float, one: float, other: float) -> None:
    fused = fuse(found(mask, one), found(mask, other), share)

    assert (fused.mask == mask).all()
    assert fused.agreement == 1
    assert min(one, other) - 1e-9 <= fused.score <= max(one, other) + 1e-9


def test_the_outline_passes_from_one_side_to_the_other() -> None:
    before, after = found(square(10)), found(square(14))

    lefts = [int(np.nonzero(fuse(before, after, share).mask)[1].min()) for share in np.linspace(0.02, 0.98, 9)]

    assert lefts == sorted(lefts)
    assert (lefts[0], lefts[-1]) == (10, 14)
    assert max(np.diff(lefts)) <= 1


def test_of_two_places_one_is_right() -> None:
    here, there = found(square(2), 0.9), found(square(40), 0.9)

    assert (fuse(here, there, 0.2).mask == square(2)).all()
    assert (fuse(here, there, 0.8).mask == square(40)).all()
    # A good mask counts more than a near keyframe.
    assert (fuse(found(square(2), 0.2), there, 0.4).mask == square(40)).all()
    assert fuse(here, there, 0.2).agreement == 0


def test_a_side_that_has_lost_the_object_does_not_decide() -> None:
    nothing = found(np.zeros(SIZE, np.bool_), 0.0)

    assert (fuse(nothing, found(square(5)), 0.3).mask == square(5)).all()
    assert not fuse(nothing, nothing, 0.5).mask.any()
    assert fuse(nothing, nothing, 0.5).agreement == 1


def test_a_part_that_only_one_side_has_goes_by_weight() -> None:
    both = square(10)
    with_arm = both.copy()
    with_arm[12:16, 26:40] = True

    near, far = fuse(found(both), found(with_arm), 0.1).mask, fuse(found(both), found(with_arm), 0.9).mask

    assert iou(near, both) > 0.97
    assert iou(far, with_arm) > 0.97


def test_contested_pixels_go_to_the_object_they_lie_deeper_in_and_keyframes_have_theirs() -> None:
    one, two = Fused(1, square(10), 0.9, 0.8), Fused(2, square(20), 0.9, 0.8)

    labels = share_out([one, two], {}, SIZE)

    assert set(np.unique(labels)) == {0, 1, 2}
    assert ((labels > 0) == (square(10) | square(20))).all()
    assert (labels[:, :22][square(10)[:, :22] & (labels[:, :22] != 0)] == 1).all()
    assert (labels[12:24, 25] == 2).all()
    held = square(18, 4)
    labels = share_out([one, two], {7: held}, SIZE)
    assert (labels[held] == 7).all()
    assert not share_out([], {}, SIZE).any()
