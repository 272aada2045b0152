"""The memory: what it stores of cells, and what it learns from frames."""

from __future__ import annotations

import pytest
import torch
from cells import learnt
from hypothesis import given
from hypothesis import strategies as st
from pictures import frame_of
from torch.nn import functional

from persam_vos.methods.memory.annotated_cells import AnnotatedCells
from persam_vos.methods.memory.matching import GROUPED_TWICE
from persam_vos.methods.memory.memory import Memory, sample_cells
from persam_vos.methods.memory.ridge import Moments
from persam_vos.sam.cells import cell_features
from persam_vos.sam.encoder import SamEncoder
from persam_vos.sam.geometry import Geometry
from persam_vos.settings.common import MemorySettings
from persam_vos.settings.video import TrackerSettings


def test_a_memory_in_bfloat16_sees_nearly_the_same(encoder: SamEncoder) -> None:
    from skimage import data

    embedding = encoder.encode([frame_of(data.astronaut()[:288])])[0]
    whole, half = cell_features(embedding), cell_features(embedding, torch.bfloat16)
    coverage = torch.zeros(1, len(whole))
    coverage[:, 500:700] = 1.0

    expected, found = (
        Memory.learn(features, coverage, MemorySettings(regularisation=1e-3)) for features in (whole, half)
    )

    assert half.dtype == found.basis.directions.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), whole, atol=2e-3, rtol=0)
    assert found.weights.dtype == torch.float32
    ours, theirs = found.view(half).ridge, expected.view(whole).ridge
    assert float((ours - theirs).abs().mean()) < 0.02


def test_a_view_holds_what_the_ridge_answers_to_all_inputs_and_the_keys() -> None:
    generator = torch.Generator().manual_seed(0)
    features, others = torch.randn(2, 200, 90, generator=generator)
    coverage = torch.rand(3, 200, generator=generator)
    memory = Memory.learn(features, coverage, MemorySettings(regularisation=1e-2))

    for known in (memory, learnt_more(memory, others, coverage)):
        view, inputs = known.view(others), known.basis.inputs(others)

        torch.testing.assert_close(view.ridge, known.weights @ inputs.T, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(view.keys, functional.normalize(inputs[:, :64], dim=1), atol=1e-5, rtol=1e-5)


def test_in_bfloat16_a_view_holds_nearly_the_same_of_every_object() -> None:
    generator = torch.Generator().manual_seed(0)
    features = functional.normalize(torch.randn(2, 400, 90, generator=generator), dim=2)
    coverage = (torch.rand(3, 400, generator=generator) > 0.7).float()
    views = []
    for first, other in (features, features.bfloat16()):
        memory = learnt_more(Memory.learn(first, coverage, MemorySettings(regularisation=1e-2)), other, coverage)
        views.append(memory.view(other))

    assert views[1].ridge.dtype == views[1].keys.dtype == torch.float32
    assert views[1].ridge.shape == (3, 400)
    assert float((views[1].ridge - views[0].ridge).abs().mean()) < 0.02


def learnt_more(memory: Memory, features: torch.Tensor, coverage: torch.Tensor) -> Memory:
    every, settings = torch.ones(len(coverage), dtype=torch.bool), TrackerSettings(memory_rate=0.5, first_share=0.5)
    for _ in range(TrackerSettings().learn_every):
        memory = memory.update(memory.view(features), coverage, every, every.float(), settings)
    return memory


def test_similarity_is_absolute() -> None:
    memory, features, coverage = learnt([10])
    strange = features.clone()
    strange[coverage[0] > 0] = torch.eye(16)[9]

    view, odd = memory.view(features), memory.view(strange)

    torch.testing.assert_close(memory.similarity(view.keys)[0][coverage[0] > 0], torch.ones(80))
    assert float(memory.similarity(odd.keys)[0].max()) < 0.5


def test_an_object_that_was_not_seen_keeps_its_memory() -> None:
    memory, features, coverage = learnt([10, 30])
    view = memory.view(features.roll(1, 0))
    similarity = torch.tensor([0.9, torch.nan])
    seen = torch.tensor([True, False])

    newer = memory
    for _ in range(TrackerSettings().learn_every):
        # Until then the ridge regression stays as it is; what is matched does not.
        assert newer.running_moments is memory.running_moments
        newer = newer.update(view, coverage * seen[:, None], seen, similarity, TrackerSettings())

    assert not torch.equal(newer.running_moments.second[0], memory.running_moments.second[0])
    assert torch.equal(newer.running_moments.second[1], memory.running_moments.second[1])
    assert float(newer.usual_similarity[0]) == pytest.approx(0.9)
    assert newer.rated.tolist() == [True, False]
    # Of an object that is hidden while others are seen, the looks when last seen are still known.
    assert torch.equal(newer.object_keys[1][1], memory.object_keys[1][1])
    assert not torch.equal(newer.object_keys[0][1], memory.object_keys[0][1])


def test_every_third_frame_is_learnt_from_with_the_share_of_three() -> None:
    memory, features, coverage = learnt([10])
    view = memory.view(features.roll(1, 0))
    seen, similarity, settings = torch.tensor([True]), torch.tensor([0.9]), TrackerSettings(memory_rate=0.1)
    expected, found, kept = memory.running_moments, memory, sample_cells(coverage)

    for index in range(1, 3 * settings.learn_every + 1):
        found = found.update(view, coverage, seen, similarity, settings)
        moments = Moments.of(memory.basis.inputs(view.features[kept]), coverage[:, kept])
        expected = expected.lerp(moments, 0.1)

        if index % settings.learn_every == 0:
            torch.testing.assert_close(found.running_moments.second, expected.second)
            torch.testing.assert_close(found.running_moments.first, expected.first)
            weights = expected.lerp(memory.annotated_moments, settings.first_share).solve(settings.regularisation)
            torch.testing.assert_close(found.weights, weights, rtol=1e-3, atol=1e-4)


@given(st.integers(1, 3), st.integers(1, 300), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_all_cells_of_objects_are_sampled_and_half_of_the_background(
    count: int, cells: int, covered: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    coverage = torch.rand(count, cells, generator=generator) * (torch.rand(cells, generator=generator) < covered)
    held = (coverage > 0).any(dim=0)

    kept = sample_cells(coverage)

    assert len(kept.unique()) == len(kept)
    chosen = torch.zeros(cells, dtype=torch.bool)
    chosen[kept] = True
    assert bool(chosen[held].all())
    half = (int((~held).sum()) + 1) // 2
    assert half - GROUPED_TWICE < int(chosen[~held].sum()) <= half
    assert len(kept) % GROUPED_TWICE == 0 or not chosen[~held].any()


def test_the_sampled_cells_of_the_annotated_frame_are_stored() -> None:
    memory, _, coverage = learnt([10])
    kept = sample_cells(coverage)

    assert len(kept) < 0.6 * coverage.shape[1]
    assert torch.equal(memory.annotated.keys, memory.recent.keys[kept])
    assert torch.equal(memory.annotated.values, coverage[:, kept])


def test_features_with_many_equal_directions_are_learnt() -> None:
    """Three blocks of one-hot features: hundreds of equal eigenvalues, on which LAPACK gave up."""
    kinds = torch.zeros(36, 64, dtype=torch.long)
    for i in range(32):
        row, column = 1 + 8 * (i // 8), 1 + 8 * (i % 8)
        kinds[row : row + 6, column : column + 6] = i + 1
    features = torch.cat([torch.eye(size)[kinds.flatten()] for size in (256, 128, 160, 320)], dim=1)

    memory = Memory.learn(features, (kinds.flatten() == 1).float()[None], MemorySettings())

    score = memory.view(features).ridge[0]
    assert torch.equal(score > 0, kinds.flatten() == 1)


@pytest.mark.parametrize("hole", [0, 1, 2, 8])
@pytest.mark.parametrize(("height", "width"), [(270, 480), (480, 854), (1080, 1920)])
def test_an_object_that_fills_nearly_the_whole_frame_is_learnt(hole: int, height: int, width: int) -> None:
    """What subtraction leaves of the rest of the frame was rounding, and the regression had no solution."""
    generator = torch.Generator().manual_seed(0)
    geometry = Geometry(height, width)
    rows, columns = geometry.valid(64)
    mask = torch.ones(1, height, width, dtype=torch.bool)
    mask[:, height // 2 : height // 2 + hole, width // 2 : width // 2 + hole] = False
    features = functional.normalize(torch.randn(rows * columns, 864, generator=generator) + 3, dim=1)

    memory = Memory.learn(features, geometry.to_cells(mask, 64).flatten(1), MemorySettings())

    score = memory.view(features).ridge
    assert torch.isfinite(score).all()
    assert float((score > 0).float().mean()) > 0.95


def test_what_is_annotated_on_two_frames_is_recognised_as_on_either() -> None:
    """An object of one look on the first frame and another one on the second, and a thing that is neither."""
    first, second = torch.eye(16)[torch.zeros(36 * 64, dtype=torch.long)], torch.eye(16)[torch.zeros(36 * 64).long()]
    coverage = torch.zeros(1, 36 * 64)
    coverage[0, 500:560] = 1
    first[500:560], second[500:560] = torch.eye(16)[1], torch.eye(16)[2]
    other = torch.eye(16)[[1, 2, 3]]
    settings = MemorySettings(regularisation=1e-3)
    # The directions are those of the first frame; noise there makes all of them known.
    first = first + 1e-3 * torch.randn(first.shape, generator=torch.Generator().manual_seed(0))
    alone = Memory.learn(first, coverage, settings)

    both = alone.learn_also([AnnotatedCells(second, coverage)], settings)

    assert alone.similarity(alone.view(other).keys)[0].tolist() == pytest.approx([1, 0, 0], abs=0.1)
    assert both.similarity(both.view(other).keys)[0].tolist() == pytest.approx([1, 1, 0], abs=0.1)
    ridge = both.view(other).ridge[0]
    assert float(ridge[:2].min()) > 0.5
    assert float(ridge[2]) < 0.5 * float(ridge[:2].min())
    assert alone.learn_also([], settings) is alone
    assert torch.equal(both.recent.values, alone.recent.values)
