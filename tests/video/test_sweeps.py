"""Stretches are walked together where they share frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persam_vos.errors import FrameIndexError, SettingsError
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.stretches import plan
from persam_vos.video.propagation.sweeps import Part, part_of, plan_sweeps, share

HERE = np.ones((2, 2), np.bool_)
KEYFRAMES = st.sets(st.tuples(st.integers(0, 14), st.integers(1, 3)), min_size=1, max_size=8)


@given(KEYFRAMES, st.integers(1, 3))
def test_every_stretch_is_in_one_sweep_and_sweeps_share_no_frame(keys: set[tuple[int, int]], stride: int) -> None:
    frames = range(0, 15 * stride, stride)
    stretches = plan([Keyframe(frames[place], number, HERE) for place, number in keys], frames, backward=True)

    sweeps = plan_sweeps(stretches)

    assert sorted(each.signature for sweep in sweeps for each in sweep.stretches) == sorted(
        each.signature for each in stretches
    )
    for direction in (1, -1):
        walked = [index for sweep in sweeps if sweep.direction == direction for index in sweep.frames[1:]]
        assert len(walked) == len(set(walked))
        assert set(walked) == {i for each in stretches if each.direction == direction for i in each.frames}
    assert all(each.start in sweep.frames for sweep in sweeps for each in sweep.stretches)
    lanes = share(sweeps, 2)
    assert sorted(each.signature for lane in lanes for each in lane) == sorted(each.signature for each in sweeps)


@given(KEYFRAMES, st.integers(0, 14), st.integers(1, 15), st.sampled_from([None, 1, -1]))
def test_a_part_ends_with_the_last_frame_that_is_needed(
    keys: set[tuple[int, int]], first: int, count: int, direction: int | None
) -> None:
    stretches = plan([Keyframe(place, number, HERE) for place, number in keys], range(15), backward=True)
    needed = range(first, first + count)

    for sweep in plan_sweeps(stretches):
        part = Part(needed, direction).of(sweep)  # type: ignore[arg-type]
        assert list(part) == list(sweep.frames)[: len(part)]
        wanted = set(needed) & set(sweep.frames[1:]) if direction in (None, sweep.direction) else set()
        assert wanted <= set(part)
        assert (part[-1] in wanted) if wanted else not part


def test_frames_and_directions_that_there_are_not_are_refused() -> None:
    assert part_of(range(2, 6, 2), "backward", range(0, 8, 2)) == Part(range(2, 6, 2), -1)
    with pytest.raises(FrameIndexError, match="there is no frame 3 here; the first one is 0, the last 6"):
        part_of(range(2, 5), "both", range(0, 8, 2))
    with pytest.raises(SettingsError, match="direction is 'sideways'; it must be forward, backward, both"):
        part_of(None, "sideways", range(8))  # type: ignore[arg-type]
