from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from persam_vos.objects import box_xyxy, exclusive_label_map, interior_point

masks = hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20)))


def test_the_highest_logit_wins_and_background_is_zero() -> None:
    logits = torch.tensor([[[3.0, -1.0, 2.0, 0.0]], [[1.0, -2.0, 5.0, 0.0]]])

    found = exclusive_label_map(logits, [7, 200])

    assert found.dtype == np.uint8
    assert found.tolist() == [[7, 0, 200, 0]]


@given(hnp.arrays(np.float32, (3, 5, 6), elements=st.floats(-4, 4, width=16)))
def test_each_pixel_has_one_owner_whose_logit_is_positive(logits: np.ndarray) -> None:
    ids = [3, 9, 254]

    found = exclusive_label_map(torch.from_numpy(logits), ids)

    assert set(np.unique(found)) <= {0, *ids}
    for i, object_id in enumerate(ids):
        owned = found == object_id
        assert (logits[i][owned] > 0).all()
        assert (logits[:, owned].max(axis=0) == logits[i][owned]).all()
    assert (logits[:, found == 0] <= 0).all()


@given(masks)
def test_the_box_is_tight(mask: np.ndarray) -> None:
    box = box_xyxy(mask)

    if box is None:
        assert not mask.any()
        return
    x0, y0, x1, y1 = box
    inside = mask[y0 : y1 + 1, x0 : x1 + 1]
    assert inside.sum() == mask.sum()
    assert inside[0].any()
    assert inside[-1].any()
    assert inside[:, 0].any()
    assert inside[:, -1].any()


@given(masks)
def test_the_interior_point_lies_on_the_mask(mask: np.ndarray) -> None:
    if not mask.any():
        return
    x, y = interior_point(mask)

    assert mask[y, x]


def test_the_interior_point_lies_deepest() -> None:
    mask = np.zeros((40, 40), bool)
    mask[2:5, 2:38] = True
    mask[20:31, 5:16] = True

    assert interior_point(mask) == (10, 25)
