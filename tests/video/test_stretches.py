"""Through which frames an object is propagated."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.stretches import plan

HERE, NOWHERE = np.ones((2, 2), np.bool_), np.zeros((2, 2), np.bool_)


@given(
    st.sets(st.integers(0, 39), min_size=1, max_size=8),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 5),
)
def test_every_frame_is_reached_from_the_keyframes_around_it(
    places: set[int], stride: int, backward: bool, start: int
) -> None:
    frames = range(start, start + 40 * stride, stride)
    own = sorted(frames[place] for place in places)

    stretches = plan([Keyframe(frame, 1, HERE) for frame in own], frames, backward=backward)

    for frame in frames:
        reached = {each.direction: each for each in stretches if frame in each}
        before, after = [f for f in own if f < frame], [f for f in own if f > frame]
        wanted = {}
        if frame not in own:
            if before:
                wanted[1] = before[-1]
            if after and (before or backward):
                wanted[-1] = after[0]
        assert {direction: each.start for direction, each in reached.items()} == wanted
    assert len(stretches) == len({each.signature for each in stretches})
    for each in stretches:
        assert each.start not in each.learnt
        assert set(each.learnt) <= set(own)
        assert list(each.frames) == sorted(each.frames, reverse=each.direction == -1)


@given(st.integers(2, 9), st.integers(0, 8))
def test_a_keyframe_changes_no_more_than_the_stretches_near_it(count: int, changed: int) -> None:
    frames = range(100)
    own = [Keyframe(10 * i, 1, HERE) for i in range(count)]
    changed = min(changed, count - 1)
    mended = [*own[:changed], Keyframe(10 * changed, 1, np.eye(2, dtype=np.bool_)), *own[changed + 1 :]]

    before, after = ({each.signature for each in plan(each, frames, backward=True)} for each in (own, mended))

    for each in plan(own, frames, backward=True):
        ends = {each.start, each.frames[-1] + each.direction}
        beside = any(abs(end - 10 * changed) == 0 for end in ends)
        far = all(abs(end - 10 * changed) > 20 for end in ends)
        assert (each.signature in after) == (each.signature in before & after)
        assert not beside or each.signature not in after
        assert not far or each.signature in after


def test_what_decides_the_masks_of_a_run_is_part_of_the_signature() -> None:
    one, other = (plan([Keyframe(0, 1, HERE)], range(3), backward=True, of_run=run)[0] for run in ("a", "b"))

    assert one.signature != other.signature


def test_an_absent_object_is_learnt_from_the_nearest_frames_that_show_it() -> None:
    own = [*(Keyframe(i, 1, HERE) for i in (0, 2, 4)), *(Keyframe(i, 1, NOWHERE) for i in (10, 20, 30, 40))]

    last = max(plan(own, range(50), backward=True), key=lambda each: (each.start, each.direction))

    assert last.start == 40
    assert last.learnt == (4, 2)
