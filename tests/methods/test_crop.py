"""The crop: where it is placed, that its pixels and its cells are the same places, and what it adds."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pictures import cut_outs, everywhere_on_frame, frame_of
from torch.nn import functional

from persam_vos.masks import Rgb
from persam_vos.media.frame import Frame
from persam_vos.methods.memory.crop import CropMemory, crop_around, crop_cells, enlarged_crop, shift_cells
from persam_vos.methods.memory.decoding import PriorDecoder
from persam_vos.methods.memory.memory import Memory, View
from persam_vos.methods.memory.prior import Query, foreground_prior
from persam_vos.methods.memory.video import MemoryTracking, MemoryVideo
from persam_vos.sam.cells import cell_features, upsample_to_square
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import MIN_MASK_LOGIT, Patch, masks_to_patches
from persam_vos.sam.prompts import OUTSIDE_LOGIT
from persam_vos.sam.regions import Region
from persam_vos.settings.video import TrackerSettings
from persam_vos.video.tracker import Tracker

SIZES = st.tuples(st.integers(20, 400), st.integers(20, 400))


def bare(height: int, width: int) -> ImageEmbedding:
    return ImageEmbedding(torch.zeros(1, 64, 64), Geometry(height, width))


@given(SIZES, st.integers(0, 2**32 - 1))
def test_a_part_lies_in_the_picture_and_holds_the_middle_of_the_objects(size: tuple[int, int], seed: int) -> None:
    rows, columns = Geometry(*size).valid(64)
    generator = np.random.default_rng(seed)
    y, x = sorted(generator.integers(0, rows, 2)), sorted(generator.integers(0, columns, 2))
    coverage = torch.zeros(2, rows, columns)
    coverage[0, y[0], x[0]] = coverage[1, y[1], x[1]] = 1

    part = crop_around(coverage, 0.1)

    assert part is not None
    for first, count, length, held in ((part.top, part.height, rows, y), (part.left, part.width, columns, x)):
        assert 0 <= first <= first + count <= length
        assert count == (length + 1) // 2
        assert first <= (held[0] + held[1]) / 2 <= first + count


def test_nothing_is_not_looked_at() -> None:
    assert crop_around(torch.zeros(2, 36, 64), 0.1) is None
    assert crop_around(torch.zeros(0, 36, 64), 0.1) is None


@given(SIZES, st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_cells_and_pixels_of_a_part_are_the_same_places(size: tuple[int, int], at: tuple[float, float]) -> None:
    height, width = size
    embedding = bare(height, width)
    rows, columns = embedding.geometry.valid(64)
    half = -(-rows // 2), -(-columns // 2)
    part = Region.at(round(at[0] * (rows - half[0])), round(at[1] * (columns - half[1])), *half)
    y, x = np.mgrid[:height, :width]
    # A smooth picture, so that how it is resampled hardly matters.
    grey = 127.5 + 60 * np.sin(2 * np.pi * y / height) + 60 * np.cos(2 * np.pi * x / width)
    frame = frame_of(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8))

    larger = enlarged_crop(part, frame, embedding)

    assert larger.rgb.shape == (32 * half[0], 32 * half[1], 3)
    means = functional.avg_pool2d(torch.from_numpy(larger.rgb[..., 0].astype(np.float32))[None], 16)
    cells = crop_cells(
        part, embedding.geometry.to_cells(torch.from_numpy(frame.rgb[..., 0].astype(np.float32))[None], 128)
    )
    inside = torch.ones_like(cells, dtype=torch.bool)
    # The last row and column of cells may hold picture only in part.
    inside[:, 2 * half[0] - 2 :], inside[..., 2 * half[1] - 2 :] = False, False
    torch.testing.assert_close(cells[inside], means[inside], rtol=0, atol=6)


@given(st.integers(0, 5), st.integers(0, 6), st.integers(0, 5), st.integers(0, 6))
def test_cells_keep_their_place_when_the_part_moves(top: int, left: int, to_top: int, to_left: int) -> None:
    whole = torch.arange(1.0, 20 * 24 + 1).reshape(1, 20, 24)
    here, there = Region.at(top, left, 5, 6), Region.at(to_top, to_left, 5, 6)

    found, expected = shift_cells(crop_cells(here, whole), here, there), crop_cells(there, whole)

    assert torch.equal(found[found > 0], expected[found > 0])
    shared = max(5 - abs(top - to_top), 0) * max(6 - abs(left - to_left), 0)
    assert int((found > 0).sum()) == 4 * shared


class Seeing:
    """An encoder that sees the mean colour of every cell, and counts what it is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        embeddings = []
        for frame in frames:
            self.shown.append(frame.rgb.shape)
            geometry = Geometry(frame.height, frame.width)
            rows, columns = geometry.valid(64)
            scaled = cv2.resize(frame.rgb, (columns, rows), interpolation=cv2.INTER_AREA)
            features = torch.zeros(4, 64, 64)
            features[:3, :rows, :columns] = torch.from_numpy(scaled / np.float32(255)).permute(2, 0, 1)
            features[3] = 1
            embeddings.append(ImageEmbedding(features, geometry))
        return embeddings


def asked(last: torch.Tensor, seen: torch.Tensor) -> Query:
    """Say where objects were; of the whole frame's query, a crop needs nothing else."""
    nothing = torch.zeros(0)
    return Query(View(nothing, nothing, nothing), nothing, last, seen)


def thin_bar(x: int) -> tuple[Frame, np.ndarray]:
    """A bar of six pixels, less than half a cell of the whole frame, at any place between its cells."""
    mask = np.zeros((288, 512), bool)
    mask[100:180, x : x + 6] = True
    rgb: Rgb = np.where(mask[..., None], [250, 20, 20], [20, 90, 200]).astype(np.uint8)
    return frame_of(rgb), mask


def test_what_is_thinner_than_a_cell_is_seen_more_sharply() -> None:
    (first, mask), (second, truth) = thin_bar(201), thin_bar(206)
    encoder, settings = Seeing(), TrackerSettings(closer_look=0.5)
    embedding, later = encoder.encode([first, second])
    masks = torch.from_numpy(mask)[None]
    coverage = embedding.geometry.to_cells(masks, 64)
    memory = Memory.learn(cell_features(embedding), coverage.flatten(1), settings)
    seen = torch.tensor([True])
    query = Query.of(memory, cell_features(later), coverage, seen)
    prior = foreground_prior(memory, query, settings)
    prior_logits = upsample_to_square(prior.logit(eps=1e-4), 256, 64, OUTSIDE_LOGIT)

    crop = CropMemory.learn(encoder, first, embedding, masks, settings)

    assert crop is not None
    sharper = crop.refine_prior(prior_logits, second, later, query)

    def error(logits: torch.Tensor) -> float:
        found = everywhere_on_frame(logits, later.geometry).sigmoid()[0].numpy()
        return float(np.abs(found - truth).sum())

    assert error(sharper) < 0.8 * error(prior_logits)
    # One crop a frame, of the size that the model takes.
    assert encoder.shown[2:] == [(576, 1024, 3)] * 2


def test_an_object_out_of_sight_and_one_never_looked_at_are_left_to_the_first_memory() -> None:
    frame, mask = thin_bar(40)
    far = np.zeros_like(mask)
    far[10:20, 480:490] = True
    encoder = Seeing()
    (embedding,) = encoder.encode([frame])
    coverage = embedding.geometry.to_cells(torch.from_numpy(np.stack([mask, far])), 64)
    prior_logits = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    masks = torch.from_numpy(np.stack([mask, mask]))
    crop = CropMemory.learn(encoder, frame, embedding, masks, TrackerSettings(closer_look=0.5))

    assert crop is not None
    before = asked(coverage[[0, 0]], torch.tensor([True, False]))
    only_first = crop.refine_prior(prior_logits, frame, embedding, before)
    nobody = crop.refine_prior(prior_logits, frame, embedding, asked(coverage, torch.tensor([False, False])))

    assert not torch.equal(only_first[0], prior_logits[0])
    assert torch.equal(only_first[1], prior_logits[1])
    assert torch.equal(nobody, prior_logits)


def test_of_an_object_of_which_it_saw_a_sliver_it_says_nothing() -> None:
    """Two objects too far apart for one part: it lies between them, and takes what it did not see for background."""
    wide, far = np.zeros((288, 512), bool), np.zeros((288, 512), bool)
    wide[20:140, :150], far[200:230, 400:500] = True, True
    frame = frame_of(np.where(wide[..., None] | far[..., None], [250, 20, 20], [20, 90, 200]).astype(np.uint8))
    encoder = Seeing()
    (embedding,) = encoder.encode([frame])
    masks = torch.from_numpy(np.stack([wide, far]))
    crop = CropMemory.learn(encoder, frame, embedding, masks, TrackerSettings(closer_look=0.5))
    assert crop is not None
    prior_logits = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))

    before = asked(embedding.geometry.to_cells(masks, 64), torch.tensor([True, True]))
    found = crop.refine_prior(prior_logits, frame, embedding, before)

    assert torch.equal(found, prior_logits)


def walk(encoder: Seeing, places: Sequence[int | None]) -> list[np.ndarray]:
    """Follow a bar by the crop alone, told where it was in the frame before; return where it says the bar is."""
    first, mask = thin_bar(places[0] or 0)
    (embedding,) = encoder.encode([first])
    last, seen, found = embedding.geometry.to_cells(torch.from_numpy(mask)[None], 64), torch.tensor([True]), []
    settings = TrackerSettings(closer_look=1)
    crop = CropMemory.learn(encoder, first, embedding, torch.from_numpy(mask)[None], settings)
    assert crop is not None
    for place in places[1:]:
        frame, mask = thin_bar(place or 0)
        if place is None:
            mask[:], frame.rgb[:] = False, [20, 90, 200]
        (embedding,) = encoder.encode([frame])
        prior_logits = crop.refine_prior(torch.full((1, 256, 256), -0.1), frame, embedding, asked(last, seen))
        found.append(everywhere_on_frame(prior_logits, embedding.geometry)[0].numpy() > 0)
        seen = torch.tensor([place is not None])
        crop.update(embedding.geometry.to_cells(torch.from_numpy(mask)[None], 128), seen)
        if place is not None:
            last = embedding.geometry.to_cells(torch.from_numpy(mask)[None], 64)
    return found


def test_the_part_follows_an_object_through_the_frame() -> None:
    places = list(range(60, 460, 20))

    found = walk(Seeing(), places)

    for place, mask in zip(places[1:], found, strict=True):
        rows, columns = mask.nonzero()
        assert abs(columns.mean() - place - 2.5) < 4
        assert abs(rows.mean() - 140) < 4


@pytest.mark.parametrize("back", [60, 100, 420])
def test_an_object_that_comes_back_is_learnt_from_before_it_is_spoken_of(back: int) -> None:
    """What the crop remembers of the frame before the absence says nothing about where the object is now."""
    found = walk(Seeing(), [60, 64, None, None, back, back + 4, back + 8])

    # The crop is told where the object was, not whether: in the second frame without it, that is nowhere.
    assert [bool(mask.any()) for mask in found] == [True, False, False, False, False, True]
    assert abs(found[-1].nonzero()[1].mean() - back - 8 - 2.5) < 4


class PriorAsMask:
    """In place of SAM's decoder: masks are the priors."""

    def decode(
        self, _frame: Frame, embedding: ImageEmbedding, prior_logits: torch.Tensor, _tokens: object
    ) -> tuple[list[Patch], torch.Tensor]:
        return masks_to_patches(prior_logits, embedding.geometry, MIN_MASK_LOGIT), torch.ones(len(prior_logits))


def second_step(failing: int | None) -> tuple[int, MemoryTracking]:
    """Take two steps, the second one again if its call ``failing`` of torch.where finds no memory; count the calls."""
    encoder, calls, where = Seeing(), 0, torch.where

    def counted(*values: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls - 1 == failing:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return where(*values)

    frames = [thin_bar(x) for x in (60, 64, 68)]
    embeddings = encoder.encode([frame for frame, _ in frames])
    settings = TrackerSettings(closer_look=0.5, mask_token=False, learn_every=1)
    method = MemoryVideo(encoder, cast("Decoder", SimpleNamespace(dtype=torch.float32)), settings)
    tracking, _ = method.start(frames[0][0], embeddings[0], frames[0][1].astype(np.uint8), [1])
    tracking._decoder = cast("PriorDecoder", PriorAsMask())
    tracking.step(frames[1][0], embeddings[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "where", counted)
        try:
            tracking.step(frames[2][0], embeddings[2])
        except torch.OutOfMemoryError:
            assert failing is not None
            tracking.step(frames[2][0], embeddings[2])
    return calls, tracking


def test_a_step_that_runs_out_of_memory_is_repeated_and_learns_once() -> None:
    calls, undisturbed = second_step(None)
    assert calls > 2

    for failing in range(calls):
        _, repeated = second_step(failing)
        for one, other in zip(states(repeated), states(undisturbed), strict=True):
            assert torch.equal(one, other)


def states(tracking: MemoryTracking) -> list[torch.Tensor]:
    assert tracking._crop is not None
    memories = tracking._state.memory, tracking._crop._state.memory
    return [tracking._state.last, *(each for m in memories for each in (m.weights, m.recent.values))]


def test_where_no_object_is_there_is_no_crop() -> None:
    frame, _ = thin_bar(60)
    encoder = Seeing()
    (embedding,) = encoder.encode([frame])

    assert CropMemory.learn(encoder, frame, embedding, torch.zeros(2, 288, 512), TrackerSettings(closer_look=1)) is None


@pytest.mark.parametrize("side", [1, 3, 5])
def test_the_smallest_objects_are_looked_at(side: int) -> None:
    for x in range(40, 60):
        mask = torch.zeros(1, 480, 854)
        mask[0, 100 : 100 + side, x : x + side] = 1
        part = crop_around(Geometry(480, 854).to_cells(mask, 64), 0.1)
        assert part is not None
        assert part.left == 0


@pytest.mark.parametrize("closer_look", [0.0, 0.5])
def test_a_small_object_is_followed(closer_look: float, encoder: SamEncoder, decoder: Decoder) -> None:
    """A cat's head of 28 pixels in a frame of 480, with the real weights."""
    from skimage import data

    meadow = cv2.resize(cv2.cvtColor(data.grass(), cv2.COLOR_GRAY2RGB), (480, 270))
    (picture, mask), _ = cut_outs()
    size = (28, 28 * picture.shape[0] // picture.shape[1])
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    tracker = Tracker.from_parts(encoder, decoder, TrackerSettings(closer_look=closer_look))
    scores = []
    for index, x in enumerate(range(180, 240, 12)):
        rgb, label_map = meadow.copy(), np.zeros((270, 480), np.uint8)
        place = np.s_[100 : 100 + size[1], x : x + size[0]]
        rgb[place][mask] = picture[mask]
        label_map[place][mask] = 1
        frame = frame_of(rgb, index)
        found = (tracker.step(frame) if index else tracker.start(frame, label_map)).label_map == 1
        scores.append((found & (label_map == 1)).sum() / (found | (label_map == 1)).sum())

    assert min(scores) > 0.75
