"""The memory: cells, ridge regression, matching, gate; then whole clips with the real weights."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pictures import cut_outs, frame_of, scene
from torch.nn import functional

from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.frame import Frame
from persam_vos.methods.memory import prior as prior_module
from persam_vos.methods.memory.gate import found_there, keep_near, near_where_it_was
from persam_vos.methods.memory.matching import read_out
from persam_vos.methods.memory.memory import _IN_GROUPS, _LEARN_EVERY, Memory, _projection, sample_cells
from persam_vos.methods.memory.prior import _compare, _Evidence, _undecided, foreground_prior
from persam_vos.methods.memory.ridge import Basis, Moments
from persam_vos.results import FrameResult
from persam_vos.sam.cells import cell_features, upsample_to_square
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.networks.mask_decoder import _upscaled_products, cells_to_maps
from persam_vos.sam.networks.sam import Sam
from persam_vos.sam.prompts import OUTSIDE_LOGIT, Candidates, Prompts
from persam_vos.sam.regions import Region
from persam_vos.sam.windows import batches_of_one_size, windows_around
from persam_vos.settings.video import TrackerSettings
from persam_vos.video.tracker import Tracker


def test_every_stage_has_the_same_weight_in_a_cell() -> None:
    generator = torch.Generator().manual_seed(0)
    neck, stage = (torch.randn(c, 64, 64, generator=generator) for c in (8, 4))
    embedding = ImageEmbedding(neck, Geometry(480, 854), (100 * stage[:, :36],))

    features = cell_features(embedding)

    assert features.shape == (36 * 64, 12)
    for block in (features[:, :8], features[:, 8:]):
        torch.testing.assert_close(block.norm(dim=1), torch.ones(36 * 64))
    row, column = 5, 7
    expected = stage[:, row, column]
    torch.testing.assert_close(features[row * 64 + column, 8:], expected / expected.norm())


def test_a_memory_in_bfloat16_sees_nearly_the_same(encoder: SamEncoder) -> None:
    from skimage import data

    embedding = encoder.encode([frame_of(data.astronaut()[:288])])[0]
    whole, half = cell_features(embedding), cell_features(embedding, torch.bfloat16)
    coverage = torch.zeros(1, len(whole))
    coverage[:, 500:700] = 1.0

    expected, found = (Memory.learn(features, coverage, 1e-3) for features in (whole, half))

    assert half.dtype == found.basis.directions.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), whole, atol=2e-3, rtol=0)
    assert found.weights.dtype == torch.float32
    ours, theirs = found.view(half).ridge, expected.view(whole).ridge
    assert float((ours - theirs).abs().mean()) < 0.02


def test_the_real_encoder_hands_out_its_stages(encoder: SamEncoder) -> None:
    embedding = encoder.encode([frame_of(np.zeros((90, 160, 3), np.uint8))])[0]

    assert [tuple(stage.shape) for stage in embedding.stages] == [(size, 36, 64) for size in (128, 160, 320)]
    assert cell_features(embedding).shape == (36 * 64, 864)


def test_a_grid_is_laid_onto_the_square_with_its_padding_apart() -> None:
    square = upsample_to_square(torch.ones(2, 36, 64), 256, 64, -20.0)

    assert square.shape == (2, 256, 256)
    assert torch.equal(square[:, :144], torch.ones(2, 144, 256))
    assert torch.equal(square[:, 144:], torch.full((2, 112, 256), -20.0))


def weighted_cells(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(50, 6, generator=generator), torch.rand(3, 50, generator=generator).clamp(min=0.3) - 0.3


def test_the_ridge_is_the_class_balanced_least_squares_solution() -> None:
    inputs, weights = weighted_cells()
    ridge = Moments.of(inputs, weights).solve(0.1)

    for weight, found in zip(weights.double().numpy(), ridge, strict=True):
        # Each cell is a sample of the object by its share and of the rest by what remains, each class of weight 1.
        balance = np.concatenate([weight / weight.sum(), (1 - weight) / (1 - weight).sum()])
        x = np.concatenate([inputs.double().numpy()] * 2) * np.sqrt(balance)[:, None]
        y = np.repeat([1.0, -1.0], 50) * np.sqrt(balance)
        x, y = np.concatenate([x, np.sqrt(0.1) * np.eye(6)]), np.concatenate([y, np.zeros(6)])
        np.testing.assert_allclose(found, np.linalg.lstsq(x, y, rcond=None)[0], rtol=1e-3, atol=1e-4)


def test_objects_do_not_disturb_each_others_moments() -> None:
    inputs, weights = weighted_cells(1)
    together = Moments.of(inputs, weights)

    for i in range(3):
        alone = Moments.of(inputs, weights[i : i + 1])
        torch.testing.assert_close(together.second[i], alone.second[0])
        torch.testing.assert_close(together.first[i], alone.first[0])


def scene_of_colours(*columns: int) -> torch.Tensor:
    """Features, 36 * 64 cells x 16: background everywhere, and in each of the columns a thing of its own."""
    kinds = torch.zeros(36, 64, dtype=torch.long)
    for kind, column in enumerate(columns, start=1):
        kinds[10:20, column : column + 8] = kind
    return torch.eye(16)[kinds.flatten()]


def as_grid(cells: torch.Tensor) -> torch.Tensor:
    return cells.unflatten(1, (36, 64))


def learnt(columns: Sequence[int]) -> tuple[Memory, torch.Tensor, torch.Tensor]:
    features = scene_of_colours(*columns)
    coverage = torch.stack([features[:, kind] for kind in range(1, len(columns) + 1)])
    return Memory.learn(features, coverage, 5e-3), features, coverage


def test_the_prior_finds_objects_that_moved_and_keeps_them_apart() -> None:
    memory, _, coverage = learnt([10, 30])
    moved = scene_of_colours(14, 40)

    seen = torch.tensor([True, False])
    view = memory.view(moved)
    prior = foreground_prior(memory, view, memory.similarity(view.keys), as_grid(coverage), seen, TrackerSettings())

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
    basis = Basis(torch.eye(16))
    weights = Moments.of(basis.inputs(features), coverage).solve(5e-3)
    memory = dataclasses.replace(memory, basis=basis, weights=weights, projection=_projection(basis, weights))
    own = memory.view(features).keys[coverage[0] > 0]
    memory = dataclasses.replace(memory, object_keys=((own, own),), first=(memory.view(features).keys, coverage))
    memory = dataclasses.replace(memory, last=(memory.view(before).keys, coverage))
    view = memory.view(after)

    settings = TrackerSettings(background_matching=share, gate=0)
    prior = foreground_prior(
        memory, view, memory.similarity(view.keys), as_grid(coverage), torch.tensor([True]), settings
    )[0]

    assert bool((prior[10:20, 10:18] > 0.5).all())
    assert bool((prior[10:20, 20:25] > 0.5).all()) == joins
    assert bool((prior[10:20, 20:25] > 0.5).any()) == joins


def test_a_view_holds_what_the_ridge_answers_to_all_inputs_and_the_keys() -> None:
    generator = torch.Generator().manual_seed(0)
    features, others = torch.randn(2, 200, 90, generator=generator)
    coverage = torch.rand(3, 200, generator=generator)
    memory = Memory.learn(features, coverage, 1e-2)

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
        memory = learnt_more(Memory.learn(first, coverage, 1e-2), other, coverage)
        views.append(memory.view(other))

    assert views[1].ridge.dtype == views[1].keys.dtype == torch.float32
    assert views[1].ridge.shape == (3, 400)
    assert float((views[1].ridge - views[0].ridge).abs().mean()) < 0.02


def learnt_more(memory: Memory, features: torch.Tensor, coverage: torch.Tensor) -> Memory:
    every, settings = torch.ones(len(coverage), dtype=torch.bool), TrackerSettings(memory_rate=0.5, first_share=0.5)
    for _ in range(_LEARN_EVERY):
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
    for _ in range(_LEARN_EVERY):
        # Until then the ridge regression stays as it is; what is matched does not.
        assert newer.recent is memory.recent
        newer = newer.update(view, coverage * seen[:, None], seen, similarity, TrackerSettings())

    assert not torch.equal(newer.recent.second[0], memory.recent.second[0])
    assert torch.equal(newer.recent.second[1], memory.recent.second[1])
    assert float(newer.usual_similarity[0]) == pytest.approx(0.9)
    assert bool(newer.usual_similarity[1].isnan())
    # Of an object that is hidden while others are seen, the looks when last seen are still known.
    assert torch.equal(newer.object_keys[1][1], memory.object_keys[1][1])
    assert not torch.equal(newer.object_keys[0][1], memory.object_keys[0][1])


def test_every_third_frame_is_learnt_from_with_the_share_of_three() -> None:
    memory, features, coverage = learnt([10])
    view = memory.view(features.roll(1, 0))
    seen, similarity, settings = torch.tensor([True]), torch.tensor([0.9]), TrackerSettings(memory_rate=0.1)
    expected, found, kept = memory.recent, memory, sample_cells(coverage)

    for index in range(1, 3 * _LEARN_EVERY + 1):
        found = found.update(view, coverage, seen, similarity, settings)
        moments = Moments.of(memory.basis.inputs(view.features[kept]), coverage[:, kept])
        expected = expected.lerp(moments, 0.1)

        if index % _LEARN_EVERY == 0:
            torch.testing.assert_close(found.recent.second, expected.second)
            torch.testing.assert_close(found.recent.first, expected.first)
            weights = expected.lerp(memory.annotated, settings.first_share).solve(settings.regularisation)
            torch.testing.assert_close(found.weights, weights, rtol=1e-3, atol=1e-4)


@given(st.integers(1, 3), st.integers(1, 300), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_all_cells_of_objects_are_telling_and_half_of_the_rest(
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
    assert half - _IN_GROUPS < int(chosen[~held].sum()) <= half
    assert len(kept) % _IN_GROUPS == 0 or not chosen[~held].any()


def test_of_the_annotated_frame_the_telling_cells_are_matched() -> None:
    memory, _, coverage = learnt([10])
    kept = sample_cells(coverage)

    keys, covered = memory.first

    assert len(kept) < 0.6 * coverage.shape[1]
    assert torch.equal(keys, memory.last[0][kept])
    assert torch.equal(covered, coverage[:, kept])


def test_features_with_many_equal_directions_are_learnt() -> None:
    """Three blocks of one-hot features: hundreds of equal eigenvalues, on which LAPACK gave up."""
    kinds = torch.zeros(36, 64, dtype=torch.long)
    for i in range(32):
        row, column = 1 + 8 * (i // 8), 1 + 8 * (i % 8)
        kinds[row : row + 6, column : column + 6] = i + 1
    features = torch.cat([torch.eye(size)[kinds.flatten()] for size in (256, 128, 160, 320)], dim=1)

    memory = Memory.learn(features, (kinds.flatten() == 1).float()[None], 5e-3)

    score = memory.view(features).ridge[0]
    assert torch.equal(score > 0, kinds.flatten() == 1)


def square_at(row: int, column: int) -> torch.Tensor:
    grid = torch.zeros(36, 64)
    grid[row : row + 6, column : column + 6] = 0.9
    return grid


def gated(prior: torch.Tensor, last: torch.Tensor, seen: bool = True) -> torch.Tensor:
    near = near_where_it_was(last, torch.tensor([seen]), margin=0.2)
    return keep_near(prior, near, found_there(prior, last, near))


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


@pytest.mark.parametrize("found", [True, False])
def test_what_cannot_matter_is_not_matched(found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prior is that of matching every cell, but for values that are next to nothing either way."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(36 * 64, 96, generator=generator)
    coverage = torch.stack([square_at(5, 6), square_at(20, 40)])
    for kind, share in zip(torch.randn(2, 96, generator=generator), coverage, strict=True):
        features += 1.5 * share.flatten()[:, None] * kind
    memory = Memory.learn(features, coverage.flatten(1), 5e-3)
    # Neighbours here do not look alike: none can stand for the other.
    memory = dataclasses.replace(memory, first=memory.last)
    moved = features + 0.3 * torch.randn(features.shape, generator=generator)
    view = memory.view(moved if found else moved.roll(25, dims=0))
    settings, seen, asked = TrackerSettings(), torch.tensor([True, True]), []
    everywhere = torch.arange(36 * 64)

    def counted(similarity: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
        asked.append(len(similarity))
        return read_out(similarity, of)

    monkeypatch.setattr(prior_module, "vote", counted)
    part = foreground_prior(memory, view, memory.similarity(view.keys), coverage, seen, settings)
    monkeypatch.setattr(prior_module, "_undecided", lambda *_: everywhere)
    whole = foreground_prior(memory, view, memory.similarity(view.keys), coverage, seen, settings)

    assert asked[0] < 36 * 64 / 2
    assert asked[1:] == ([36 * 64] if found else [36 * 64, 36 * 64])
    torch.testing.assert_close(part, whole, atol=1.1e-3, rtol=0)
    assert torch.equal(part > 0.01, whole > 0.01)


@pytest.mark.parametrize(
    ("ridge", "recent", "seen", "changed", "asked"),
    [
        (0.04, 0.04, True, {}, False),
        (0.06, 0.04, True, {}, True),
        (0.04, 0.06, True, {}, True),
        (0.04, 0.04, False, {}, True),
        # With such a share, all votes together would make it likely.
        (0.04, 0.04, True, {"matching": 0.8}, True),
        (0.04, 0.04, True, {"matching": 0.8, "local_matching": 0.9}, False),
    ],
)
def test_the_annotated_frame_is_asked_about_what_is_not_ruled_out(
    ridge: float, recent: float, seen: bool, changed: dict[str, float], asked: bool
) -> None:
    shape = 2, 6 * 8
    # Of another object everything is known.
    evidence = _Evidence(*(torch.zeros(shape) for _ in range(3)), torch.tensor([[seen], [True]]))
    evidence.ridge[0], evidence.recent[0] = ridge, recent

    cells = _undecided(evidence, torch.ones(shape, dtype=torch.bool), TrackerSettings(**changed), 8)

    assert cells.tolist() == (list(range(48)) if asked else [])


def test_without_the_last_frame_nothing_is_ruled_out() -> None:
    memory, features, coverage = learnt([10])
    view, settings = memory.view(features), TrackerSettings(local_matching=0.0)
    nearest = memory.similarity(view.keys)

    evidence = _Evidence.of(memory, view, nearest, (36, 64), torch.tensor([True]), settings, radius=8)

    assert len(_undecided(evidence, torch.ones(1, 36 * 64, dtype=torch.bool), settings, 64)) == 36 * 64
    found = _compare(memory, view, evidence, settings, torch.arange(36 * 64))
    assert torch.equal(found[0] > 0.5, coverage[0] > 0.5)


def test_the_decoder_without_padding_agrees_where_there_is_none(decoder: Decoder) -> None:
    features = 0.1 * torch.randn(256, 64, 64, generator=torch.Generator().manual_seed(0))
    prompts = Prompts(torch.tensor([[[500.0, 300.0]]]), torch.tensor([[1]]), torch.zeros(1, 256, 256))
    square, wide = (ImageEmbedding(features, Geometry(height, 1000)) for height in (1000, 562))

    plain = decoder.decode(square, prompts)
    same = decoder.decode(square, prompts, windows=[Region.at(0, 0, 64, 64)])
    cut = decoder.decode(wide, prompts, windows=[Region.at(0, 0, 36, 64)])

    torch.testing.assert_close(same.logits, plain.logits)
    assert cut.logits.shape == (1, 4, 256, 256)
    assert float(cut.logits[..., 144:, :].max()) == -20.0
    assert float(cut.logits[..., :144, :].max()) > -20.0


@given(height=st.integers(1, 2000), width=st.integers(1, 2000), box=st.tuples(*[st.floats(0, 1)] * 4))
def test_a_window_holds_its_object_and_stays_in_the_picture(height: int, width: int, box: tuple[float, ...]) -> None:
    geometry = Geometry(height, width)
    rows, columns = geometry.valid(64)
    x, y, u, v = box
    boxes = torch.tensor([[min(x, u) * width, min(y, v) * height, max(x, u) * width, max(y, v) * height]])

    (window,) = windows_around(boxes, geometry, 64)

    ((x0, y0, x1, y1),) = (geometry.boxes_to_input(boxes) / 16).tolist()
    for low, high, start, length, end in (
        (y0, y1, window.top, window.height, rows),
        (x0, x1, window.left, window.width, columns),
    ):
        assert 0 <= start <= start + length <= end
        # Its own size on either side, or 12 cells, to half a cell, or the picture's border.
        room = min(high - low, 12)
        assert start <= max(low - room + 0.51, 0)
        assert start + length >= min(high + room - 0.51, end)
        assert min(24, end) <= length <= high - low + 2 * room + 32
        assert length % 8 == 0 or length == end


@pytest.mark.parametrize("cells_at_once", [1, 65536])
def test_in_a_window_the_answer_is_that_of_segment_anything_for_the_crop(
    cells_at_once: int, sam: Sam, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persam_vos.sam.decoder.MAX_CELLS_AT_ONCE", {"cpu": cells_at_once})
    generator = torch.Generator().manual_seed(0)
    features = 0.1 * torch.randn(256, 64, 64, generator=generator)
    masks = torch.randn(3, 256, 256, generator=generator)
    embedding = ImageEmbedding(features, Geometry(562, 1000))
    points, labels = torch.tensor([[[500.0, 300.0]], [[100.0, 80.0]], [[9.0, 9.0]]]), torch.ones(3, 1, dtype=torch.int)
    windows = [Region.at(10, 20, 20, 24), Region.at(3, 0, 20, 24), Region.at(0, 0, 20, 28)]

    own = torch.randn(3, 2, decoder.token_size, generator=generator)
    upscaled: list[torch.Tensor] = []

    found = decoder.decode(embedding, Prompts(points, labels, masks), windows=windows, extra_tokens=own)

    sam.mask_decoder.output_upscaling.register_forward_hook(lambda *given: upscaled.append(given[2][0]))
    with torch.inference_mode():
        position = sam.prompt_encoder.get_dense_pe()
        for i, window in enumerate(windows):
            sparse, dense = sam.prompt_encoder(
                points=(embedding.geometry.points_to_input(points[i : i + 1]), labels[i : i + 1]),
                boxes=None,
                masks=masks[i : i + 1, None],
            )
            crop = (..., *window)
            expected, iou = sam.mask_decoder.predict_masks(features[crop][None], position[crop], sparse, dense[crop])
            torch.testing.assert_close(found.logits[i][(..., *window.scaled(4))], expected[0], rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(found.predicted_iou[i], iou[0], rtol=1e-4, atol=1e-5)
            products = torch.einsum("kc,chw->khw", own[i], upscaled[i])
            torch.testing.assert_close(found.extra_logits[i][(..., *window.scaled(4))], products, rtol=1e-3, atol=1e-3)
            outside = found.logits[i].clone()
            outside[(..., *window.scaled(4))] = OUTSIDE_LOGIT
            assert bool((outside == OUTSIDE_LOGIT).all())


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=40), st.integers(1, 30))
def test_batches_hold_every_object_once_and_windows_of_one_size(sizes: list[tuple[int, int]], cells: int) -> None:
    windows = [Region.at(0, 0, rows, columns) for rows, columns in sizes]

    batches = list(batches_of_one_size(windows, cells))

    assert sorted(i for batch in batches for i in batch) == list(range(len(windows)))
    for batch in batches:
        rows, columns = sizes[batch[0]]
        assert len(batch) == 1 or len(batch) * rows * columns <= cells
        assert {sizes[i] for i in batch} == {(rows, columns)}


@pytest.mark.parametrize(("rows", "columns"), [(36, 64), (64, 36), (64, 64)])
def test_masks_are_upscaled_as_by_transposed_convolutions(rows: int, columns: int, sam: Sam) -> None:
    generator = torch.Generator().manual_seed(0)
    upscaling = sam.mask_decoder.output_upscaling
    cells = torch.randn(2, rows * columns, 256, generator=generator)
    masks = torch.randn(2, 4, 32, generator=generator)
    with torch.inference_mode():
        pictures = upscaling(cells.transpose(1, 2).unflatten(2, (rows, columns)))

        logits = cells_to_maps(_upscaled_products(upscaling, cells, masks), columns)

    torch.testing.assert_close(logits, torch.einsum("nmc,nchw->nmhw", masks, pictures), atol=1e-3, rtol=1e-4)


class Remembering:
    """An encoder that encodes the same picture once only."""

    def __init__(self, encoder: SamEncoder) -> None:
        self._encoder = encoder
        self._known: dict[str, ImageEmbedding] = {}

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        embeddings = []
        for frame in frames:
            key = hashlib.sha1(frame.rgb.tobytes()).hexdigest()
            if key not in self._known:
                self._known[key] = self._encoder.encode([frame])[0]
            embeddings.append(self._known[key])
        return embeddings


def hidden_cat() -> list[tuple[Rgb, np.ndarray]]:
    """A cat goes behind a wall, is gone for 20 frames and comes out elsewhere; a paler cat sits there all the while."""
    from skimage import data

    picture, mask = cut_outs()[0]
    twin = cv2.convertScaleAbs(picture[:, ::-1], alpha=0.55, beta=110)
    meadow = cv2.resize(cv2.cvtColor(data.grass(), cv2.COLOR_GRAY2RGB), (480, 270))
    meadow[..., 0] //= 2
    wall = cv2.applyColorMap(cv2.resize(data.brick(), (150, 270)), cv2.COLORMAP_BONE)
    places = [(8 + 22 * i, 20) for i in range(9)] + [None] * 20 + [(350 + 4 * i, 20) for i in range(4)]
    clip = []
    for place in places:
        rgb, truth = meadow.copy(), np.zeros((270, 480), bool)
        rgb[140 : 140 + len(mask), 355:465][mask[:, ::-1]] = twin[mask[:, ::-1]]
        if place is not None:
            x, y = place
            rgb[y : y + len(mask), x : x + 110][mask] = picture[mask]
            truth[y : y + len(mask), x : x + 110] = mask
        rgb[:, 170:320], truth[:, 170:320] = wall, False
        clip.append((rgb, truth))
    return clip


def follow(tracker: Tracker, clip: Sequence[Rgb], label_map: LabelMap) -> list[FrameResult]:
    frames = [frame_of(rgb, i) for i, rgb in enumerate(clip)]
    return [tracker.start(frames[0], label_map), *map(tracker.step, frames[1:])]


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def test_an_object_behind_a_wall_is_absent_and_found_again_elsewhere(encoder: SamEncoder, decoder: Decoder) -> None:
    clip = hidden_cat()
    tracker = Tracker.from_parts(Remembering(encoder), decoder, TrackerSettings())

    results = follow(tracker, [rgb for rgb, _ in clip], 7 * clip[0][1].astype(np.uint8))

    hidden = [not truth.any() for _, truth in clip]
    assert sum(hidden) >= 20
    for result, (_, truth), gone in zip(results, clip, hidden, strict=True):
        (found,) = result.objects
        assert found.id == 7
        if gone:
            assert (found.present, found.area, found.box, found.score) == (False, 0, None, 0.0)
            assert not result.label_map.any()
        elif truth.sum() > 4000:
            assert iou(result.label_map == 7, truth) > 0.7, result.index


@pytest.mark.parametrize("first", [1, 3])
@pytest.mark.parametrize("presence", [TrackerSettings().memory_presence, 0.0])
def test_what_hides_an_object_is_not_taken_for_it(
    presence: float, first: int, encoder: SamEncoder, decoder: Decoder
) -> None:
    """Something never seen before is most like the object where the object was; only its absolute similarity tells."""
    generator = np.random.default_rng(0)
    patch = cv2.resize(generator.integers(0, 256, (16, 16, 3), np.uint8), (130, 140), interpolation=cv2.INTER_CUBIC)
    clip = [scene([(100 + 2 * i, 60), None]) for i in range(first + 3)]
    for rgb, _ in clip[first : first + 2]:
        rgb[50:190, 95:225] = patch
    tracker = Tracker.from_parts(encoder, decoder, TrackerSettings(memory_presence=presence))

    results = follow(tracker, [rgb for rgb, _ in clip], clip[0][1])

    found = [result.objects[0].present for result in results]
    assert found == [True] * first + [not presence] * 2 + [True]


@pytest.mark.parametrize(("height", "width"), [(480, 854), (854, 480), (1080, 1920), (420, 1024)])
def test_the_border_of_the_frame_is_part_of_it(height: int, width: int) -> None:
    """What fills the frame is found up to its last row and column: the padding does not blur into them."""
    embedding = ImageEmbedding(
        torch.eye(256)[torch.zeros(64, 64, dtype=torch.long)].permute(2, 0, 1), Geometry(height, width)
    )
    frame = frame_of(np.zeros((height, width, 3), np.uint8))
    label_map = np.ones((height, width), np.uint8)
    rows, columns = Geometry(height, width).valid(256)
    picture = torch.full((4, 256, 256), OUTSIDE_LOGIT)
    picture[:, :rows, :columns] = 3.0
    tracker = Tracker.from_parts(None, Answering(picture, [1.0] * 4), TrackerSettings(mask_token=False))  # type: ignore[arg-type]

    tracker.start(frame, label_map, embedding)

    assert tracker.step(frame, embedding).label_map.all()


def one_square() -> tuple[ImageEmbedding, LabelMap, Frame]:
    """A square of ten by ten cells, on features that tell it from the rest without fail."""
    kinds = torch.zeros(64, 64, dtype=torch.long)
    kinds[20:30, 10:20] = 1
    label_map = np.zeros((1024, 1024), np.uint8)
    label_map[320:480, 160:320] = 1
    embedding = ImageEmbedding(torch.eye(256)[kinds].permute(2, 0, 1).contiguous(), Geometry(1024, 1024))
    return embedding, label_map, frame_of(np.zeros((1024, 1024, 3), np.uint8))


class Answering(Decoder):
    """A decoder that writes down what it is asked, and always gives the same four candidates, or four per object."""

    dtype = torch.float32

    def __init__(self, logits: torch.Tensor, predicted_iou: Sequence[float]) -> None:
        every = logits if logits.ndim == 4 else logits[None]
        self._answer = Candidates(every, torch.tensor([predicted_iou]), every[:, :0])
        self.asked: list[Prompts] = []

    def decode(self, embedding: ImageEmbedding, prompts: Prompts, *_: object, **__: object) -> Candidates:
        self.asked.append(prompts)
        many = len(prompts.points)
        logits = self._answer.logits.expand(many, -1, -1, -1)
        return Candidates(logits, self._answer.predicted_iou.expand(many, -1), logits[:, :0])


def test_an_object_in_front_of_another_keeps_its_pixels() -> None:
    """The decoder gives the one behind the whole silhouette, and is less sure of the one in front."""
    kinds = torch.zeros(64, 64, dtype=torch.long)
    kinds[10:50, 20:36] = 1
    kinds[24:30, 25:31] = 2
    label_map = kinds.to(torch.uint8).repeat_interleave(16, 0).repeat_interleave(16, 1).numpy()
    embedding = ImageEmbedding(torch.eye(256)[kinds].permute(2, 0, 1).contiguous(), Geometry(1024, 1024))
    logits = torch.stack([torch.where(kinds > 0, 10.0, -10.0), torch.where(kinds == 2, -0.3, -10.0)])
    fine = logits.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, None].expand(-1, 4, -1, -1)
    decoder = Answering(fine, [1.0] * 4)
    tracker = Tracker.from_parts(None, decoder, TrackerSettings(doubt=0, mask_token=False))  # type: ignore[arg-type]
    frame = frame_of(np.zeros((1024, 1024, 3), np.uint8))

    tracker.start(frame, label_map, embedding)
    found = tracker.step(frame, embedding).label_map

    assert min(iou(found == i, label_map == i) for i in (1, 2)) > 0.8


@pytest.mark.parametrize(("doubt", "believed"), [(0.0, True), (TrackerSettings().doubt, False)])
def test_a_mask_that_leaves_the_prior_is_doubted(doubt: float, believed: bool) -> None:
    embedding, label_map, frame = one_square()
    everything = Answering(torch.full((4, 256, 256), 10.0), [1.0] * 4)
    settings = TrackerSettings(doubt=doubt, memory_presence=0, mask_token=False)
    tracker = Tracker.from_parts(None, everything, settings)  # type: ignore[arg-type]

    tracker.start(frame, label_map, embedding)
    found = tracker.step(frame, embedding).label_map == 1

    assert found.all() == believed
    assert believed or iou(found, label_map == 1) > 0.8


@pytest.mark.parametrize("temperature", [TrackerSettings().choice_temperature, 1e-6])
def test_candidates_are_mixed_only_with_their_equals(temperature: float) -> None:
    """Two that are nearly as good meet in the middle; what is worse has no say, even if it is sure of itself."""
    embedding, label_map, frame = one_square()
    logits = torch.full((4, 256, 256), -10.0)
    logits[:2, 80:120, 40:80] = 10.0
    logits[0, 80:120, 80:84] = logits[1, 80:120, 36:40] = 5.0  # a strip that each holds alone
    logits[2:, 200:, 200:] = 10.0
    settings = TrackerSettings(prior_share=0, doubt=0, choice_temperature=temperature, mask_token=False)
    tracker = Tracker.from_parts(None, Answering(logits, [0.9, 0.901, 1.0, 1.0]), settings)  # type: ignore[arg-type]

    tracker.start(frame, label_map, embedding)
    result = tracker.step(frame, embedding)

    both_strips_are_gone = iou(result.label_map == 1, label_map == 1) > 0.95
    assert both_strips_are_gone == (temperature > 1e-3)
    assert not result.label_map[600:].any()
    assert result.objects[0].score == pytest.approx(0.9, abs=2e-3)


def test_passes_ask_different_questions() -> None:
    embedding, label_map, frame = one_square()
    decoder = Answering(torch.zeros(4, 256, 256), [1.0] * 4)
    tracker = Tracker.from_parts(None, decoder, TrackerSettings(passes=4, mask_token=False))  # type: ignore[arg-type]

    tracker.start(frame, label_map, embedding)
    tracker.step(frame, embedding)

    assert [prompts.mask_logits is None for prompts in decoder.asked] == [False, True, False, False]
    boxes = [prompts.points[0, 1:].flatten() for prompts in decoder.asked]
    side = float(boxes[0][2] - boxes[0][0])
    assert 150 < side < 180
    growths = [float(box[2] - box[0]) / side - 1 for box in boxes]
    assert growths == pytest.approx([0, 0, 0.2, 0.1], abs=1e-4)


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

    memory = Memory.learn(features, geometry.to_cells(mask, 64).flatten(1), 5e-3)

    score = memory.view(features).ridge
    assert torch.isfinite(score).all()
    assert float((score > 0).float().mean()) > 0.95


def test_moments_are_means_over_both_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(50, 5, generator=generator)
    weights = torch.rand(3, 50, generator=generator) * torch.tensor([[0.1], [1.0], [1.0]])
    weights[2] = weights[2].clamp(min=0.8)

    moments = Moments.of(inputs, weights)

    for k, weight in enumerate(weights):
        inside, outside = weight / weight.sum(), (1 - weight) / (1 - weight).sum()
        torch.testing.assert_close(moments.first[k], (inside - outside) @ inputs, atol=1e-4, rtol=1e-4)
        second = (inputs * (inside + outside)[:, None]).T @ inputs
        torch.testing.assert_close(moments.second[k], second, atol=1e-4, rtol=1e-4)


def test_32_objects_keep_their_ids(decoder: Decoder) -> None:
    """Plumbing: many objects with gaps in their ids, on features that tell them apart."""
    kinds = torch.zeros(64, 64, dtype=torch.long)
    ids = [3 * i + 2 for i in range(32)]
    label_map = np.zeros((1024, 1024), np.uint8)
    for i, object_id in enumerate(ids):
        row, column = 2 + 15 * (i // 8), 1 + 8 * (i % 8)
        kinds[row : row + 6, column : column + 6] = i + 1
        label_map[16 * row : 16 * (row + 6), 16 * column : 16 * (column + 6)] = object_id
    embedding = ImageEmbedding(torch.eye(256)[kinds].permute(2, 0, 1).contiguous(), Geometry(1024, 1024))
    tracker = Tracker.from_parts(None, decoder, TrackerSettings())  # type: ignore[arg-type]
    frame = frame_of(np.zeros((1024, 1024, 3), np.uint8))

    tracker.start(frame, label_map, embedding)
    result = tracker.step(frame, embedding)

    assert [each.id for each in result.objects] == ids
    for each in result.objects:
        mask = result.label_map == each.id
        assert each.present
        # Whatever a decoder says of such features, the prior keeps each object on its own cells.
        own = label_map == each.id
        assert (mask & own).sum() / (mask | own).sum() > 0.5
