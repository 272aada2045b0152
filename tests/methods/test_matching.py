"""Matching gives what comparing every cell with every other gives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from persam_vos.methods.memory.matching import LocalMatching, TopK, read_out

TOP_K = TopK(15, 0.05)


def unit(generator: torch.Generator, cells: int, numbers: int = 8) -> torch.Tensor:
    return functional.normalize(torch.randn(cells, numbers, generator=generator), dim=1)


def sorted_read_out(similarity: torch.Tensor, coverage: torch.Tensor) -> torch.Tensor:
    nearest, index = similarity.sort(dim=1, descending=True)
    weights = (nearest[:, :15] / 0.05).softmax(dim=1)
    return (coverage[:, index[:, :15]] * weights).sum(dim=-1)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 15, 16, 59, 60, 64, 100, 240, 960, 2304]))
def test_the_most_similar_cells_are_read_out(seed: int, length: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    similarity, coverage = torch.rand(7, length, generator=generator), torch.rand(2, length, generator=generator)

    torch.testing.assert_close(read_out(similarity, coverage, TOP_K), sorted_read_out(similarity, coverage))


def test_no_query_has_no_answer() -> None:
    assert read_out(torch.zeros(0, 2304), torch.rand(3, 2304), TOP_K).shape == (3, 0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 14), st.integers(1, 4), st.integers(1, 3))
def test_a_neighbourhood_is_matched_as_all_cells_would_be(
    seed: int, rows: int, columns: int, radius: int, count: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    keys, earlier = unit(generator, rows * columns), unit(generator, rows * columns)
    coverage = torch.rand(count, rows, columns, generator=generator) * (
        torch.rand(count, rows, columns, generator=generator) > 0.8
    )

    nearby = LocalMatching.match(keys, earlier, coverage, radius=radius)

    y, x = torch.arange(rows * columns) // columns, torch.arange(rows * columns) % columns
    far = ((y[:, None] - y).abs() > radius) | ((x[:, None] - x).abs() > radius)
    similarity = (keys @ earlier.T).masked_fill(far, -1.0)
    matched = torch.zeros(rows, columns, dtype=torch.bool)
    held = (coverage > 0).any(dim=0).nonzero()
    if len(held):
        (top, left), (bottom, right) = held.amin(dim=0).tolist(), held.amax(dim=0).tolist()
        matched[max(top - radius, 0) : bottom + radius + 1, max(left - radius, 0) : right + radius + 1] = True
    matched = matched.flatten()
    expected = torch.where(matched, sorted_read_out(similarity, coverage.flatten(1)), 0.0)
    # Fewer than 15 cells within reach: those beyond have next to no weight, but not none.
    torch.testing.assert_close(nearby.read_out(TOP_K), expected, atol=1e-3, rtol=0)
    beside = functional.max_pool2d(coverage[None], 3, stride=1, padding=1)[0].flatten(1)
    other = (similarity[None].masked_fill(beside[:, None] >= 0.1, -1.0)).amax(dim=2)
    torch.testing.assert_close(nearby.background_similarity(0.1), torch.where(matched, other, -1.0))


@pytest.mark.parametrize("radius", [1, 8])
def test_where_no_object_was_nothing_is_found(radius: int) -> None:
    keys = unit(torch.Generator().manual_seed(0), 36 * 64)

    nearby = LocalMatching.match(keys, keys, torch.zeros(2, 36, 64), radius=radius)

    assert not nearby.read_out(TOP_K).any()
    assert bool((nearby.background_similarity(0.1) == -1).all())
