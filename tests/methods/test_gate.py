"""The gate drops look-alikes elsewhere, and opens for an object that is not found."""

from __future__ import annotations

import pytest
import torch
from cells import square_at

from persam_vos.methods.memory.gate import found_nearby, keep_near, reachable_cells


def gated(prior: torch.Tensor, last: torch.Tensor, seen: bool = True) -> torch.Tensor:
    near = reachable_cells(last, torch.tensor([seen]), margin=0.2, min_cells=2, coverage=0.3)
    return keep_near(prior, near, found_nearby(prior, last, near, 0.6))


def test_the_gate_drops_a_look_alike_elsewhere() -> None:
    prior = (square_at(5, 5) + square_at(5, 40))[None]

    kept = gated(prior, square_at(5, 6)[None])

    assert torch.equal(kept[0, :, :20], prior[0, :, :20])
    assert float(kept[0, :, 30:].max()) < 2e-3


@pytest.mark.parametrize("share", [0.02, 0.25, 0.35])
def test_the_gate_holds_for_an_object_smaller_than_a_cell(share: float) -> None:
    last = torch.zeros(1, 36, 64)
    last[0, 10, 10] = share
    prior = torch.full((1, 36, 64), 0.01)
    prior[0, 10, 10], prior[0, 30, 50] = 0.9, 0.95

    kept = gated(prior, last)

    assert float(kept[0, 10, 10]) == pytest.approx(0.9)
    assert float(kept[0, 30, 50]) < 0.01


@pytest.mark.parametrize("seen", [True, False])
def test_the_gate_opens_for_an_object_that_is_not_found_where_it_was(seen: bool) -> None:
    prior = square_at(5, 40)[None]

    kept = gated(prior, square_at(5, 6)[None], seen)

    assert torch.equal(kept, prior)
