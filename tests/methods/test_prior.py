"""The prior: ridge regression, global and local matching, on made-up features."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from cells import as_grid, learnt, scene_of_colours, square_at
from torch.nn import functional

from persam_vos.methods.memory import prior as prior_module
from persam_vos.methods.memory.matching import TopK, read_out
from persam_vos.methods.memory.memory import KeyValues, Memory, View, projection_of
from persam_vos.methods.memory.prior import Query, _Evidence, _probability, _undecided_cells, foreground_prior
from persam_vos.methods.memory.ridge import Basis, Moments
from persam_vos.settings.common import MemorySettings
from persam_vos.settings.video import TrackerSettings


def test_the_prior_finds_objects_that_moved_and_keeps_them_apart() -> None:
    memory, _, coverage = learnt([10, 30])
    moved = scene_of_colours(14, 40)

    seen = torch.tensor([True, False])
    query = Query.of(memory, moved, as_grid(coverage), seen)
    prior = foreground_prior(memory, query, TrackerSettings())

    assert torch.equal(prior.flatten(1) > 0.5, torch.stack([moved[:, 1], moved[:, 2]]) > 0.5)


@pytest.mark.parametrize(("share", "joins"), [(0.0, True), (TrackerSettings().background_matching, False)])
def test_a_look_alike_that_was_background_a_moment_ago_does_not_join(share: float, joins: bool) -> None:
    """Something new comes along that is more like the object than like anything of the annotated frame."""
    memory, features, coverage = learnt([10])
    half_alike = functional.normalize(torch.eye(16)[1] + 0.6 * torch.eye(16)[2], dim=0)
    before, after = features.clone(), features.clone()
    for cells, column in ((before, 22), (after, 20)):
        cells.unflatten(0, (36, 64))[10:20, column : column + 5] = half_alike
    # Principal directions of the first frame alone would not tell the newcomer from the object.
    basis = Basis(torch.eye(16), 64)
    weights = Moments.of(basis.inputs(features), coverage).solve(5e-3)
    memory = dataclasses.replace(memory, basis=basis, weights=weights, projection=projection_of(basis, weights))
    own = memory.view(features).keys[coverage[0] > 0]
    memory = dataclasses.replace(
        memory,
        object_keys=((own, own),),
        annotated=KeyValues(memory.view(features).keys, coverage),
        recent=KeyValues(memory.view(before).keys, coverage),
    )

    settings = TrackerSettings(background_matching=share, gate=0)
    prior = foreground_prior(memory, Query.of(memory, after, as_grid(coverage), torch.tensor([True])), settings)[0]

    assert bool((prior[10:20, 10:18] > 0.5).all())
    assert bool((prior[10:20, 20:25] > 0.5).all()) == joins
    assert bool((prior[10:20, 20:25] > 0.5).any()) == joins


@pytest.mark.parametrize("found", [True, False])
def test_what_cannot_matter_is_not_matched(found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prior is that of matching every cell, but for values that are next to nothing either way."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(36 * 64, 96, generator=generator)
    coverage = torch.stack([square_at(5, 6), square_at(20, 40)])
    for kind, share in zip(torch.randn(2, 96, generator=generator), coverage, strict=True):
        features += 1.5 * share.flatten()[:, None] * kind
    memory = Memory.learn(features, coverage.flatten(1), MemorySettings())
    # Neighbours here do not look alike: none can stand for the other.
    memory = dataclasses.replace(memory, annotated=memory.recent)
    moved = features + 0.3 * torch.randn(features.shape, generator=generator)
    query = Query.of(memory, moved if found else moved.roll(25, dims=0), coverage, torch.tensor([True, True]))
    settings, matched = TrackerSettings(), []
    every_cell = torch.arange(36 * 64)

    def counted(similarity: torch.Tensor, values: torch.Tensor, top_k: TopK) -> torch.Tensor:
        matched.append(len(similarity))
        return read_out(similarity, values, top_k)

    monkeypatch.setattr(prior_module, "read_out", counted)
    part = foreground_prior(memory, query, settings)
    monkeypatch.setattr(prior_module, "_undecided_cells", lambda *_: every_cell)
    whole = foreground_prior(memory, query, settings)

    assert matched[0] < 36 * 64 / 2
    assert matched[1:] == ([36 * 64] if found else [36 * 64, 36 * 64])
    torch.testing.assert_close(part, whole, atol=1.1e-3, rtol=0)
    assert torch.equal(part > 0.01, whole > 0.01)


@pytest.mark.parametrize(
    ("ridge", "local", "seen", "changed", "matched"),
    [
        (0.04, 0.04, True, {}, False),
        (0.06, 0.04, True, {}, True),
        (0.04, 0.06, True, {}, True),
        (0.04, 0.04, False, {}, True),
        # With such a share, the highest readout would make it likely.
        (0.04, 0.04, True, {"matching": 0.8}, True),
        (0.04, 0.04, True, {"matching": 0.8, "local_matching": 0.9}, False),
    ],
)
def test_cells_that_are_not_ruled_out_are_matched_globally(
    ridge: float, local: float, seen: bool, changed: dict[str, float], matched: bool
) -> None:
    shape = 2, 6 * 8
    # The other object is ruled out everywhere.
    evidence = _Evidence(*(torch.zeros(shape) for _ in range(3)))
    evidence.ridge[0], evidence.local[0] = ridge, local
    grid, nothing = torch.ones(2, 6, 8), torch.zeros(shape)
    query = Query(View(nothing, nothing, nothing), nothing, grid, torch.tensor([seen, True]))

    cells = _undecided_cells(query, evidence, grid > 0, TrackerSettings(**changed))

    assert cells.tolist() == (list(range(48)) if matched else [])


def test_without_the_last_frame_nothing_is_ruled_out() -> None:
    memory, features, coverage = learnt([10])
    settings = TrackerSettings(local_matching=0.0)
    query = Query.of(memory, features, as_grid(coverage), torch.tensor([True]))

    evidence = _Evidence.of(memory, query, settings)

    assert len(_undecided_cells(query, evidence, torch.ones(1, 36, 64, dtype=torch.bool), settings)) == 36 * 64
    found = _probability(memory, query, evidence, settings, torch.arange(36 * 64))
    assert torch.equal(found[0] > 0.5, coverage[0] > 0.5)
