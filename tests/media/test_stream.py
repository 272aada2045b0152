from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from clips import (
    MATRICES,
)
from hypothesis import given
from hypothesis import strategies as st

from persam_vos.media.stream import Clock, StreamInfo, upright


class TestClock:
    INFO = StreamInfo(Path("a"), 4, 4, Fraction(25), Fraction(1, 1000), None, False)

    def ticks(self, *pts: int | None, duration: int = 0) -> list[int]:
        clock = Clock(self.INFO)
        return [clock.tick(value, duration) for value in pts]

    def test_missing_times_follow_the_rate(self):
        assert self.ticks(None, None, None) == [0, 40, 80]
        assert self.ticks(100, None, None, duration=33) == [100, 133, 166]

    def test_times_that_rise_are_untouched(self):
        assert self.ticks(-80, -40, 0, 7, 5000) == [-80, -40, 0, 7, 5000]

    def test_a_repeated_time_moves_by_one_tick(self):
        assert self.ticks(0, 40, 40, 80) == [0, 40, 41, 80]

    def test_after_a_jump_back_time_goes_on(self):
        assert self.ticks(5000, 5040, 0, 40, 80) == [5000, 5040, 5080, 5120, 5160]

    @given(st.lists(st.one_of(st.none(), st.integers(-10_000, 10_000)), max_size=30))
    def test_always_rises(self, pts):
        ticks = self.ticks(*pts)
        assert all(later > earlier for earlier, later in pairwise(ticks))


@given(
    st.sampled_from([(1, 0, 0, 1), *MATRICES.values(), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_every_point_goes_where_the_display_matrix_sends_it(matrix, width, height):
    a, b, c, d = matrix
    rgb = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    shown = upright(rgb, np.array([a, b, 0, c, d, 0, 0, 0, 1], np.int32))
    targets = {(x, y): (a * x + c * y, b * x + d * y) for x in range(width) for y in range(height)}
    left, top = (min(target[axis] for target in targets.values()) for axis in (0, 1))
    for (x, y), (shown_x, shown_y) in targets.items():
        assert np.array_equal(shown[shown_y - top, shown_x - left], rgb[y, x])
