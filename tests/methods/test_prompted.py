"""Boxes and points on real pictures, with the real network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FakeDecoder, FakeEncoder
from pictures import frame_of

from persam_vos import demo_clip, open_video, read_mask
from persam_vos.masks import Mask, interior_point
from persam_vos.media.frame import Frame
from persam_vos.methods.prompt_view import FrameViews
from persam_vos.methods.prompted import masks_of_prompts
from persam_vos.prompts import Box, ObjectPrompt, Point
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.engine import Engine
from persam_vos.sam.prompts import Candidates, Prompts
from persam_vos.settings.video import Settings


@pytest.fixture(scope="module")
def engine() -> Engine[Settings]:
    return Engine(Settings(precision="float32"))


@pytest.fixture(scope="module")
def bunny() -> tuple[Frame, Mask]:
    clip, path = demo_clip()
    with open_video(clip) as reader:
        frame = reader.peek()
    return frame, read_mask(path, like=frame) > 0


def iou(found: np.ndarray, truth: Mask) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def found(engine: Engine[Settings], frame: Frame, *prompts: ObjectPrompt) -> np.ndarray:
    return masks_of_prompts(FrameViews(engine.encoder, frame), engine.decoder, prompts).label_map.numpy()


class NestedDecoder(FakeDecoder):
    """Answers with the left 64, 128 and 192 of 256 samples, is most sure of the fewest, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Prompts] = []

    def decode(self, embedding: ImageEmbedding, prompts: Prompts, *_: object, **__: object) -> Candidates:
        self.asked.append(prompts)
        logits = torch.full((1, 4, 256, 256), -5.0)
        for candidate, columns in enumerate((256, 64, 128, 192)):
            logits[0, candidate, :, :columns] = 5.0
        return Candidates(logits, torch.tensor([[0.5, 0.95, 0.9, 0.7]]), torch.zeros(1, 0, 256, 256))


def test_one_point_is_not_the_smallest_part_that_it_may_mean() -> None:
    frame, decoder = frame_of(np.zeros((64, 64, 3), np.uint8)), NestedDecoder()

    masks = masks_of_prompts(FrameViews(FakeEncoder(), frame), decoder, [ObjectPrompt(points=(Point(4, 4),))])

    assert (masks.label_map.numpy()[:, :32] == 1).all()
    assert (masks.label_map.numpy()[:, 32:] == 0).all()


def test_a_box_is_looked_at_twice_and_its_points_mend_that_mask() -> None:
    frame, decoder = frame_of(np.zeros((64, 64, 3), np.uint8)), NestedDecoder()
    box = Box(0, 0, 63, 63)

    masks_of_prompts(FrameViews(FakeEncoder(), frame), decoder, [ObjectPrompt(box)])
    masks_of_prompts(FrameViews(FakeEncoder(), frame), decoder, [ObjectPrompt(box, (Point(4, 4, positive=False),))])

    alone, again, first, second, mended, anew, like_before = decoder.asked
    for once, twice in ((alone, again), (first, second)):
        assert once.mask_logits is None
        assert twice.mask_logits is not None
        assert twice.points.equal(once.points)
    # The box, the point, and one that surely lies on the object. As no answer is as the point says, there are three.
    for each in (mended, anew, like_before):
        assert each.points.shape[1] == alone.points.shape[1] + 2
    assert mended.mask_logits is not None
    assert anew.mask_logits is None
    assert like_before.mask_logits is not None


class InvertingDecoder(FakeDecoder):
    """Answers with everything, and among its other candidates with the left half and a little more."""

    def decode(self, embedding: ImageEmbedding, prompts: Prompts, *_: object, **__: object) -> Candidates:
        logits = torch.full((1, 4, 256, 256), -5.0)
        for candidate, columns in enumerate((256, 20, 144, 250)):
            logits[0, candidate, :, :columns] = 5.0
        return Candidates(logits, torch.tensor([[0.95, 0.9, 0.85, 0.9]]), torch.zeros(1, 0, 256, 256))


def test_a_click_is_a_correction_and_makes_no_other_object() -> None:
    frame, before = frame_of(np.zeros((64, 64, 3), np.uint8)), np.zeros((64, 64), bool)
    before[:, :28] = True

    says = ObjectPrompt(points=(Point(34, 30),), mask=Path("mask.png"))
    masks = masks_of_prompts(FrameViews(FakeEncoder(), frame), InvertingDecoder(), [says], [before])

    label_map = masks.label_map.numpy()
    assert (label_map[:, :34] == 1).all(), "what the click says"
    assert (label_map[:, 40:] == 0).all(), "not all that the decoder is surest of"


class EverythingDecoder(FakeDecoder):
    """Answers with everything, and is surer of it each time."""

    count = 0

    def decode(self, embedding: ImageEmbedding, prompts: Prompts, *_: object, **__: object) -> Candidates:
        self.count += 1
        logits = torch.full((1, 4, 256, 256), float(self.count))
        return Candidates(logits, torch.tensor([[0.9, 0.9, 0.9, 0.9]]), torch.zeros(1, 0, 256, 256))


def test_an_object_in_the_box_of_another_one_is_in_front() -> None:
    frame = frame_of(np.zeros((64, 64, 3), np.uint8))
    held, holder, beside = Box(20, 20, 29, 29), Box(10, 10, 50, 50), Box(0, 40, 63, 63)

    views = FrameViews(FakeEncoder(), frame)
    alone = masks_of_prompts(views, EverythingDecoder(), [ObjectPrompt(held)]).label_map == 1
    both = masks_of_prompts(views, EverythingDecoder(), [ObjectPrompt(held), ObjectPrompt(holder)])
    crossed = masks_of_prompts(views, EverythingDecoder(), [ObjectPrompt(holder), ObjectPrompt(beside)])

    assert (both.label_map[alone] == 1).all(), "though the decoder is surer of the second one"
    assert (both.label_map == 2).any()
    assert (crossed.label_map[45, 20:40] == 2).all(), "boxes that cross compete"


def test_a_box_gives_the_object_in_it(engine: Engine[Settings], bunny: tuple[Frame, Mask]) -> None:
    frame, truth = bunny
    ys, xs = np.nonzero(truth)

    masks = masks_of_prompts(
        FrameViews(engine.encoder, frame), engine.decoder, [ObjectPrompt(Box(xs.min(), ys.min(), xs.max(), ys.max()))]
    )

    assert iou(masks.label_map.numpy() == 1, truth) > 0.85
    assert 0.8 < masks.scores[0] <= 1


def test_points_mend_what_the_first_one_left(engine: Engine[Settings], bunny: tuple[Frame, Mask]) -> None:
    frame, truth = bunny
    points: list[Point] = []
    mask, ious = np.zeros_like(truth), []
    for _ in range(4):
        missed, surplus = truth & ~mask, mask & ~truth
        positive = missed.sum() >= surplus.sum()
        x, y = interior_point(missed if positive else surplus)
        points.append(Point(x, y, bool(positive)))
        mask = found(engine, frame, ObjectPrompt(points=tuple(points))) == 1
        ious.append(iou(mask, truth))

    assert ious[-1] > 0.75
    assert ious[-1] > ious[0] + 0.1


def mended(engine: Engine[Settings], frame: Frame, start: Mask, *points: Point) -> np.ndarray:
    says = ObjectPrompt(points=points, mask=Path("mask.png"))
    return masks_of_prompts(FrameViews(engine.encoder, frame), engine.decoder, [says], [start]).label_map.numpy() == 1


def test_a_point_on_a_mask_changes_the_part_in_which_it_lies(
    engine: Engine[Settings], bunny: tuple[Frame, Mask]
) -> None:
    frame, truth = bunny
    without_head, with_rock = truth.copy(), truth.copy()
    without_head[:170] = False
    with_rock[140:220, 400:550] = True
    x, y = interior_point(truth & ~without_head)

    added = mended(engine, frame, without_head, Point(x, y))
    removed = mended(engine, frame, with_rock, Point(475, 180, positive=False))

    assert added[y, x]
    assert (added & truth & ~without_head).sum() > 0.5 * (truth & ~without_head).sum()
    assert not (without_head & ~added).any()
    assert iou(removed, truth) > 0.9 > iou(with_rock, truth)
    assert not (removed & ~with_rock).any()


def test_points_on_nothing_are_points_alone(engine: Engine[Settings], bunny: tuple[Frame, Mask]) -> None:
    frame, truth = bunny
    point = Point(*interior_point(truth))
    alone = found(engine, frame, ObjectPrompt(points=(point,))) == 1

    assert np.array_equal(mended(engine, frame, np.zeros_like(truth), point), alone)


def test_a_negative_point_in_a_box_takes_its_surroundings_out(
    engine: Engine[Settings], bunny: tuple[Frame, Mask]
) -> None:
    frame, _ = bunny
    # The box holds the bunny and the stone behind its arm; the point lies on the stone.
    box, stone = Box(30, 110, 280, 285), Point(60, 190, positive=False)

    mask = found(engine, frame, ObjectPrompt(box, (stone,)))

    assert mask[190, 60] == 0
    assert mask[214, 187] == 1


def test_a_mask_ends_a_little_beyond_its_box(engine: Engine[Settings], bunny: tuple[Frame, Mask]) -> None:
    frame, _ = bunny

    mask = found(engine, frame, ObjectPrompt(Box(120, 150, 200, 230)))

    ys, xs = np.nonzero(mask)
    assert xs.min() >= 115
    assert xs.max() <= 205
    assert ys.min() >= 145
    assert ys.max() <= 235


def test_objects_are_numbered_in_order_and_share_no_pixel(engine: Engine[Settings], bunny: tuple[Frame, Mask]) -> None:
    frame, truth = bunny
    bunny_box, rock = ObjectPrompt(Box(78, 125, 262, 278)), ObjectPrompt(Box(398, 133, 560, 228))

    masks = found(engine, frame, rock, bunny_box)

    assert set(np.unique(masks)) == {0, 1, 2}
    assert iou(masks == 2, truth) > 0.85
    assert (masks[:, 398:] == 1).sum() > 0.8 * (masks == 1).sum()


def test_a_point_that_agrees_with_a_mask_changes_nothing(engine: Engine[Settings], bunny: tuple[Frame, Mask]) -> None:
    frame, truth = bunny
    x, y = interior_point(truth)
    far = Point(frame.width - 3, 2, positive=False)
    assert not truth[2, frame.width - 3]

    assert (mended(engine, frame, truth, far, Point(x, y)) == truth).all()


def test_a_click_more_is_decoded_as_if_all_were_said_at_once(
    engine: Engine[Settings], bunny: tuple[Frame, Mask]
) -> None:
    frame, truth = bunny
    ys, xs = np.nonzero(truth)
    middle = Point(float(np.median(xs)), float(np.median(ys)))
    said = [middle, Point(float(xs.min()) + 3, float(ys.min()) + 3, positive=False), Point(middle.x + 9, middle.y)]
    box = Box(float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))
    decodings: list[int] = []
    for around in (None, box):
        views = FrameViews(engine.encoder, frame)
        for count in range(1, len(said) + 1):
            decode, asked = engine.decoder.decode, [0]

            def counted(*given: Any, decode: Any = decode, asked: list[int] = asked, **how: Any) -> Any:
                asked[0] += 1
                return decode(*given, **how)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(engine.decoder, "decode", counted)
                prompt = ObjectPrompt(around, tuple(said[:count]))
                one_more = masks_of_prompts(views, engine.decoder, [prompt])
            decodings.append(asked[0])
            at_once = masks_of_prompts(FrameViews(engine.encoder, frame), engine.decoder, [prompt])
            assert (one_more.label_map == at_once.label_map).all()
            assert one_more.scores == at_once.scores
    # Points alone need one decoding each, but where a point on the object goes before those beside it.
    assert decodings[:3] == [1, 1, 2]
    assert max(decodings[4:]) < decodings[3]
