"""How deep a pixel lies inside a mask."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from persam_vos.masks import interior_depth, interior_point

masks = hnp.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(masks)
def test_interior_depth_is_the_distance_to_the_outside(mask: np.ndarray) -> None:
    expected = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]

    assert np.allclose(interior_depth(mask), expected, atol=1e-4)


@given(masks.filter(np.any))
def test_the_interior_point_is_the_deepest(mask: np.ndarray) -> None:
    x, y = interior_point(mask)

    assert interior_depth(mask)[y, x] == interior_depth(mask).max()
