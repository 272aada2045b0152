"""The closer look: a crop around the objects makes the prior and the masks finer, and follows the objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import pytest
import torch
from cells import Following, PriorAsMask, Seeing, started
from pictures import cut_outs, everywhere_on_frame, frame_of

from persam_vos.masks import Rgb
from persam_vos.media.frame import Frame
from persam_vos.methods.memory.closer_look import CloserLook
from persam_vos.methods.memory.decoding import PriorDecoder
from persam_vos.methods.memory.memory import Memory, View
from persam_vos.methods.memory.prior import Query, foreground_prior
from persam_vos.sam.cells import cell_features, upsample_to_square
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import SamEncoder
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import MIN_MASK_LOGIT, masks_to_patches
from persam_vos.sam.prompts import OUTSIDE_LOGIT
from persam_vos.settings.video import TrackerSettings
from persam_vos.video.tracker import Tracker


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


def learnt(encoder: Seeing, frame: Frame, masks: Sequence[np.ndarray], share: float = 0.5) -> CloserLook | None:
    """Learn objects by their masks; the first one lies in front of the others."""
    label_map = np.zeros(masks[0].shape, np.uint8)
    for number, mask in reversed([*enumerate(masks, 1)]):
        label_map[mask] = number
    ids = torch.arange(1, len(masks) + 1, dtype=torch.uint8)
    (embedding,) = encoder.encode([frame])
    settings = TrackerSettings(closer_look=share)
    decoder = cast("PriorDecoder", PriorAsMask())
    return CloserLook.learn(encoder, decoder, frame, embedding, torch.from_numpy(label_map), ids, settings)


def label_map_of(mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(mask.astype(np.uint8))


def test_what_is_thinner_than_a_cell_is_seen_more_sharply() -> None:
    (first, mask), (second, truth) = thin_bar(201), thin_bar(206)
    encoder, settings = Seeing(), TrackerSettings(closer_look=0.5)
    embedding, later = encoder.encode([first, second])
    coverage = embedding.geometry.to_cells(torch.from_numpy(mask)[None], 64)
    memory = Memory.learn(cell_features(embedding), coverage.flatten(1), settings)
    query = Query.of(memory, cell_features(later), coverage, torch.tensor([True]))
    prior = foreground_prior(memory, query, settings)
    prior_logits = upsample_to_square(prior.logit(eps=1e-4), 256, 64, OUTSIDE_LOGIT)
    closer = learnt(encoder, first, [mask])
    assert closer is not None

    sharper = closer.refine_prior(prior_logits, second, later, query, query.seen)

    def error(logits: torch.Tensor) -> float:
        found = everywhere_on_frame(logits, later.geometry).sigmoid()[0].numpy()
        return float(np.abs(found - truth).sum())

    assert error(sharper) < 0.8 * error(prior_logits)
    # The mask of the crop is finer still: its decoder has a finer grid.
    patches = masks_to_patches(sharper, later.geometry, MIN_MASK_LOGIT)
    (finer,) = closer.refine_masks(patches, second)
    found, before = np.zeros(truth.shape), np.zeros(truth.shape)
    found[finer.window], before[patches[0].window] = finer.logits.sigmoid(), patches[0].logits.sigmoid()
    assert np.abs(found - truth).sum() < np.abs(before - truth).sum()
    # One crop a frame: a quarter of the frame's long side, and as high.
    assert encoder.shown[-2:] == [(128, 128, 3)] * 2


def test_an_object_out_of_sight_is_left_to_the_first_memory() -> None:
    frame, mask = thin_bar(40)
    beside = np.roll(mask, 20, axis=1)
    encoder = Seeing()
    (embedding,) = encoder.encode([frame])
    coverage = embedding.geometry.to_cells(torch.from_numpy(np.stack([mask, beside])), 64)
    prior_logits = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    closer = learnt(encoder, frame, [mask, beside])
    assert closer is not None

    def refined(seen: tuple[bool, bool], trusted: tuple[bool, bool]) -> torch.Tensor:
        query = asked(coverage, torch.tensor(seen))
        return closer.refine_prior(prior_logits, frame, embedding, query, torch.tensor(trusted))

    both = refined((True, True), (True, True))
    closer.update(label_map_of(mask), torch.tensor([True, False]))
    only_first = refined((True, False), (True, True))
    nobody = refined((False, False), (True, True))

    assert not torch.equal(both[1], prior_logits[1])
    assert not torch.equal(only_first[0], prior_logits[0])
    assert torch.equal(only_first[1], prior_logits[1])
    assert torch.equal(nobody, prior_logits)


def test_an_object_that_meets_another_one_is_left_to_the_first_memory() -> None:
    """Of two that look alike, a crop that knows one alone takes both; one that is not trusted is not known."""
    frame, mask = thin_bar(40)
    beside = np.roll(mask, 20, axis=1)
    encoder = Seeing()
    (embedding,) = encoder.encode([frame])
    coverage = embedding.geometry.to_cells(torch.from_numpy(np.stack([mask, beside])), 64)
    prior_logits, seen = torch.zeros(2, 256, 256), torch.tensor([True, True])
    closer = learnt(encoder, frame, [mask, beside])
    assert closer is not None
    shown = len(encoder.shown)

    found = closer.refine_prior(prior_logits, frame, embedding, asked(coverage, seen), torch.tensor([True, False]))

    assert torch.equal(found, prior_logits)
    assert not closer.spoken_of.any()
    assert len(encoder.shown) == shown


def test_of_two_objects_far_apart_only_the_smaller_one_is_spoken_of() -> None:
    """A memory that has seen a sliver of an object takes the rest of it for background."""
    wide, far = np.zeros((288, 512), bool), np.zeros((288, 512), bool)
    wide[20:140, :150], far[200:230, 400:500] = True, True
    frame = frame_of(np.where(wide[..., None] | far[..., None], [250, 20, 20], [20, 90, 200]).astype(np.uint8))
    encoder = Seeing()
    (embedding,) = encoder.encode([frame])
    closer = learnt(encoder, frame, [wide, far])
    assert closer is not None
    prior_logits = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    coverage = embedding.geometry.to_cells(torch.from_numpy(np.stack([wide, far])), 64)

    both = torch.tensor([True, True])
    found = closer.refine_prior(prior_logits, frame, embedding, asked(coverage, both), both)

    assert torch.equal(found[0], prior_logits[0])
    assert not torch.equal(found[1], prior_logits[1])
    assert bool(found.isfinite().all())


def block(side: int) -> tuple[Frame, np.ndarray]:
    mask = np.zeros((288, 512), bool)
    mask[(288 - side) // 2 : (288 + side) // 2, (512 - side) // 2 : (512 + side) // 2] = True
    return frame_of(np.where(mask[..., None], [250, 20, 20], [20, 90, 200]).astype(np.uint8)), mask


def test_an_object_that_fills_the_frame_costs_no_second_encoding() -> None:
    frame, mask = block(280)
    encoder = Seeing()
    closer = learnt(encoder, frame, [mask])
    assert closer is not None
    shown = len(encoder.shown)
    (embedding,) = encoder.encode([frame])
    prior_logits = torch.randn(1, 256, 256, generator=torch.Generator().manual_seed(0))
    coverage = embedding.geometry.to_cells(torch.from_numpy(mask)[None], 64)

    seen = torch.tensor([True])
    found = closer.refine_prior(prior_logits, frame, embedding, asked(coverage, seen), seen)

    assert torch.equal(found, prior_logits)
    assert len(encoder.shown) == shown + 1
    patches = masks_to_patches(prior_logits, embedding.geometry, MIN_MASK_LOGIT)
    assert closer.refine_masks(patches, frame) is patches


def test_what_was_small_at_first_is_known_when_it_fills_the_frame() -> None:
    encoder, seen = Seeing(), torch.tensor([True])
    first, mask = block(40)
    closer = learnt(encoder, first, [mask], share=1)
    assert closer is not None
    for side in (60, 90, 130, 180, 230, 270):
        last = Geometry(288, 512).to_cells(torch.from_numpy(mask)[None], 64)
        frame, mask = block(side)
        (embedding,) = encoder.encode([frame])
        found = closer.refine_prior(torch.full((1, 256, 256), -0.1), frame, embedding, asked(last, seen), seen)
        closer.update(label_map_of(mask), seen)
        on_frame = everywhere_on_frame(found, embedding.geometry)[0].numpy() > 0
        assert (on_frame & mask).sum() > 0.85 * (on_frame | mask).sum()
    assert encoder.shown[-1] == (288, 512, 3)


def walk(encoder: Seeing, places: Sequence[int | None]) -> list[np.ndarray]:
    """Follow a bar by the crop alone, told where it was in the frame before; return where it says the bar is."""
    first, mask = thin_bar(places[0] or 0)
    last, seen, found = Geometry(288, 512).to_cells(torch.from_numpy(mask)[None], 64), torch.tensor([True]), []
    closer = learnt(encoder, first, [mask], share=1)
    assert closer is not None
    for place in places[1:]:
        frame, mask = thin_bar(place or 0)
        if place is None:
            mask[:], frame.rgb[:] = False, [20, 90, 200]
        (embedding,) = encoder.encode([frame])
        prior_logits = closer.refine_prior(torch.full((1, 256, 256), -0.1), frame, embedding, asked(last, seen), seen)
        found.append(everywhere_on_frame(prior_logits, embedding.geometry)[0].numpy() > 0)
        seen = torch.tensor([place is not None])
        closer.update(label_map_of(mask), seen)
        if place is not None:
            last = embedding.geometry.to_cells(torch.from_numpy(mask)[None], 64)
    return found


def test_the_crop_follows_an_object_through_the_frame() -> None:
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


def first_step(softness: float, **changes: float) -> tuple[torch.Tensor, np.ndarray, int]:
    """Follow a bar for a frame, decoded with ``softness`` in the closer look; return its mask, the truth, the crops."""
    encoder, (first, mask), (second, truth) = Seeing(), thin_bar(201), thin_bar(206)
    decoder = PriorAsMask(softness)
    tracking = started(encoder, first, mask.astype(np.uint8), closer_decoder=decoder, **changes)
    encoder.shown.clear()
    found = tracking.step(second, encoder.encode([second])[0])
    return torch.from_numpy(found.label_map), truth, len(encoder.shown) - 1


def test_of_two_masks_the_one_that_scores_higher_is_taken() -> None:
    """By the margin, the finer mask may score less."""
    plain, truth, crops = first_step(0.1, closer_look=0)
    assert crops == 0

    def wrong(label_map: torch.Tensor) -> int:
        return int((label_map.numpy() != truth).sum())

    surer, _, _ = first_step(0.05, closer_look=0.5, closer_margin=0)
    less_sure, _, crops = first_step(0.2, closer_look=0.5, closer_margin=0)
    hardly_less, _, _ = first_step(0.2, closer_look=0.5, closer_margin=1)

    assert wrong(surer) < wrong(plain)
    assert torch.equal(less_sure, plain)
    assert crops == 1
    assert torch.equal(hardly_less, surer)


def test_an_object_that_is_hardly_recognised_costs_no_second_encoding() -> None:
    plain, _, _ = first_step(0.1, closer_look=0)
    found, _, crops = first_step(0.01, closer_look=0.5, closer_min_score=0.99)

    assert torch.equal(found, plain)
    assert crops == 0


def second_step(failing: int | None) -> tuple[int, Following]:
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
    tracking = started(encoder, frames[0][0], frames[0][1].astype(np.uint8), closer_look=0.5, learn_every=1)
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


def states(following: Following) -> list[torch.Tensor]:
    tracking = following.tracking
    memories = tracking.state.memory, tracking.closer._state.memory
    return [tracking.state.last, *(each for m in memories for each in (m.weights, m.recent.values))]


def test_where_no_object_is_there_is_no_crop() -> None:
    frame, mask = thin_bar(60)

    assert learnt(Seeing(), frame, [mask & False, mask & False]) is None


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
