"""Masks on the frame in windows, and the rectangles that these are."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pictures import everywhere_on_frame, on_frame

from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import masks_to_patches
from persam_vos.sam.regions import EMPTY_REGION, Region, bounding_region, mask_regions


@given(
    st.integers(1, 600),
    st.integers(1, 600),
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 30)),
    st.integers(0, 2**32 - 1),
)
def test_what_a_window_leaves_out_is_unlikely(
    height: int, width: int, place: tuple[float, float, int], seed: int
) -> None:
    geometry = Geometry(height, width)
    rows, columns = geometry.valid(256)
    y, x, side = int(place[0] * (rows - 1)), int(place[1] * (columns - 1)), place[2]
    logits = -5 - torch.rand(2, 256, 256, generator=torch.Generator().manual_seed(seed))
    logits[0, y : y + side, x : x + side] = 5.0
    # What lies in the padding is nowhere.
    logits[:, rows:], logits[..., columns:] = 5.0, 5.0
    whole = everywhere_on_frame(logits, geometry)

    there, nowhere = masks_to_patches(logits, geometry, -4.6)

    found = on_frame([there], geometry, -4.6)[0]
    torch.testing.assert_close(found.clamp(min=-4.6), whole[0].clamp(min=-4.6), atol=1e-4, rtol=0)
    assert there.logits.shape[0] <= min((side + 2) * geometry.height / rows + 2, height)
    assert nowhere.window == EMPTY_REGION
    assert nowhere.logits.shape == (0, 0)
    assert float(whole[1].max()) < -4.6


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))))
def test_regions_are_tight(masks: np.ndarray) -> None:
    regions = mask_regions(torch.from_numpy(masks))

    assert len(regions) == len(masks)
    for mask, (y, x) in zip(masks, regions, strict=True):
        assert mask[y, x].sum() == mask.sum()
        if mask.any():
            rows, columns = mask.nonzero()
            assert (y.start, y.stop, x.start, x.stop) == (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
        else:
            assert (y, x) == EMPTY_REGION


@st.composite
def regions(draw: st.DrawFn) -> Region:
    y, x = (slice(*sorted(draw(st.tuples(st.integers(0, 9), st.integers(0, 9))))) for _ in range(2))
    return Region(y, x)


def filled(region: Region) -> np.ndarray:
    mask = np.zeros((9, 9), bool)
    mask[region] = True
    return mask


@given(regions(), regions())
def test_regions_meet_where_both_are_and_lie_in_their_bounding_region(one: Region, other: Region) -> None:
    shared = one.intersection(other)

    assert np.array_equal(filled(shared), filled(one) & filled(other))
    numbers = np.arange(81).reshape(9, 9)
    if shared != EMPTY_REGION:
        assert np.array_equal(numbers[one][shared.relative_to(one)], numbers[shared])
    around = filled(bounding_region([one, other, EMPTY_REGION]))
    assert around[one].all()
    assert around[other].all()
    assert bounding_region([EMPTY_REGION]) == EMPTY_REGION


@given(regions(), st.integers(0, 4), st.integers(1, 30))
def test_a_region_is_expanded_within_the_grid_and_cut_into_strips(region: Region, margin: int, pixels: int) -> None:
    larger = y, x = region.expanded(margin, (9, 9))
    covered = np.zeros((9, 9), int)

    for strip in larger.row_strips(pixels):
        covered[strip] += 1
        height, width = covered[strip].shape
        assert height == 1 or height * width <= pixels

    assert (y.start, x.stop) == (max(region[0].start - margin, 0), min(region[1].stop + margin, 9))
    assert np.array_equal(covered, filled(larger))
