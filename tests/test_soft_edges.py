"""Alpha from logits and from masks, and whose it is."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from persam_vos.soft_edges import (
    agreeing,
    alpha_of_labels,
    alpha_of_logits,
    alpha_of_object,
    edge_reach,
    owners,
)

label_maps = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.integers(0, 3))


def disc(radius: float, side: int = 60) -> np.ndarray:
    """Signed distance to the edge of a disc in pixels, positive inside."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return (radius - np.hypot(x, y)).astype(np.float32)


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 15), st.integers(1, 15)), elements=st.floats(-50, 50, width=32)),
    st.integers(1, 5),
)
def test_alpha_agrees_with_the_mask(logits: np.ndarray, reach: int) -> None:
    alpha = alpha_of_logits(logits, logits > 0, reach)

    assert alpha.dtype == np.uint8
    assert ((alpha >= 128) == (logits > 0)).all()


def test_a_steep_edge_is_a_pixel_wide_and_lies_where_the_logits_are_0() -> None:
    distance = disc(20.3)
    alpha = alpha_of_logits(20 * distance, distance > 0, 3)

    assert set(np.unique(alpha[np.abs(distance) > 2.5])) <= {0, 255}
    soft = alpha[np.abs(distance) < 0.5].astype(float)
    assert soft.std() > 30
    assert abs(alpha.sum() / 255 / (np.pi * 20.3**2) - 1) < 0.01


def test_a_gentle_edge_is_wider_and_ends_at_its_reach() -> None:
    distance = disc(20.3)
    steep, gentle = (alpha_of_logits(slope * distance, distance > 0, 4) for slope in (20, 0.4))

    assert ((gentle > 0) & (gentle < 255)).sum() > 2 * ((steep > 0) & (steep < 255)).sum()
    assert (gentle[distance < -6] == 0).all()
    assert (gentle[distance > 6] == 255).all()


def test_a_mask_that_the_border_cuts_has_no_edge_there() -> None:
    inside = np.zeros((30, 40), np.bool_)
    inside[:, :20] = True

    for alpha in (alpha_of_labels(inside.astype(np.uint8)), agreeing(np.full(inside.shape, 140, np.uint8), inside, 3)):
        assert (alpha[:, :16] == 255).all()
        assert (alpha[:, 24:] == 0).all()


@given(label_maps)
def test_alpha_of_masks_is_soft_within_a_pixel_of_their_edge(label_map: np.ndarray) -> None:
    alpha, padded = alpha_of_labels(label_map), np.pad(label_map > 0, 1, mode="edge")

    assert ((alpha >= 128) == (label_map > 0)).all()
    height, width = label_map.shape
    around = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    assert (alpha[np.all(around, axis=0)] == 255).all()
    assert (alpha[~np.any(around, axis=0)] == 0).all()


@given(label_maps)
def test_the_alphas_of_objects_add_up_to_that_of_all(label_map: np.ndarray) -> None:
    alpha, owner = alpha_of_labels(label_map), owners(label_map)
    each = [alpha_of_object(alpha, owner, number) for number in (1, 2, 3)]

    assert (np.sum(each, axis=0) == alpha).all()
    for number, own in enumerate(each, 1):
        assert ((own >= 128) == (label_map == number)).all()


def test_the_edge_beside_an_object_is_its_own() -> None:
    label_map = np.zeros((9, 30), np.uint8)
    label_map[:, 3:8], label_map[:, 20:25] = 7, 9

    owner = owners(label_map)

    assert (owner[:, :12] == 7).all()
    assert (owner[:, 16:] == 9).all()


def test_the_reach_grows_with_the_frame() -> None:
    assert [edge_reach(shape) for shape in ((48, 64), (480, 854), (720, 1280), (2160, 3840))] == [2, 3, 5, 15]
