"""Videos of which most frames are not encoded: which are, in which order results come, and what they show."""

from __future__ import annotations

import copy
import json
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from fakes import FakeEncoder, FakeEngine, FakeReader, FakeWriter, Watch, first_mask
from pictures import frame_of, iou, scene

from persam_vos import read_mask, track
from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.methods.base import Segmentation
from persam_vos.methods.competition import hard_argmax
from persam_vos.results import FrameResult
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import Region
from persam_vos.settings.video import Settings, TrackerSettings
from persam_vos.video.between import GapTracker
from persam_vos.video.pipeline import track_video
from persam_vos.video.tracker import Tracker

QUICK = TrackerSettings(encode_every=4)
QUICK_RUN = Settings(preset="quick", nearer_view=0)
Clip = list[tuple[Frame, LabelMap]]


def clip_of(xs: Sequence[int | None]) -> Clip:
    """A cat's head at each x, with the truth; None: out of sight."""
    scenes = [scene([None if x is None else (x, 100), None]) for x in xs]
    return [(frame_of(rgb, i), labels) for i, (rgb, labels) in enumerate(scenes)]


class Truth:
    """A method, and all that comes of it, that knows the truth of every frame, and which frames it was asked for."""

    object_ids, warnings, prior, aggregate = (1,), (), None, staticmethod(hard_argmax)

    def __init__(self, clip: Clip, fail_at: int | None = None) -> None:
        self.truths, self.last = [labels for _, labels in clip], -1
        # Shared by all copies.
        self.failures, self.steps = {fail_at}, list[int]()

    @property
    def segmentation(self) -> Segmentation:
        return self.found(self.last)

    def study(self, frame: Frame, *_: object) -> Truth:
        return self.at(frame)

    def start(self, study: Truth, _: object = (), /) -> Truth:
        return study

    def look(self, frame: Frame, _: ImageEmbedding, /) -> Truth:
        assert frame.index > self.last
        return self.at(frame)

    def masks(self, _: object = None, /) -> tuple[list[Patch], Truth]:
        height, width = self.truths[0].shape
        logits = torch.where(torch.from_numpy(self.truths[self.last] > 0), 9.0, -9.0)
        return [Patch(Region.whole(height, width), logits)], self

    def surplus(self, *_: object) -> torch.Tensor:
        return torch.zeros(1)

    def settle(self, _: torch.Tensor, /) -> tuple[Truth, Segmentation]:
        return self, self.found(self.last)

    def at(self, frame: Frame) -> Truth:
        if frame.index in self.failures:
            self.failures.clear()
            raise torch.OutOfMemoryError
        self.steps.append(frame.index)
        following = copy.copy(self)
        following.last = frame.index
        return following

    def found(self, index: int) -> Segmentation:
        labels = self.truths[index]
        similarity = torch.tensor([0.9 if labels.any() else torch.nan])
        return Segmentation(labels, torch.tensor([0.9]), similarity)


def run(clip: Clip, truth: Truth, settings: TrackerSettings = QUICK) -> tuple[list[tuple[int, LabelMap]], list[int]]:
    """Return the index and label map of each result, and the indices of the frames that were encoded."""
    encoder = FakeEncoder()
    tracker = Tracker.from_parts(encoder, None, settings, method=truth)  # type: ignore[arg-type]
    gaps = GapTracker(tracker, clip[0][1], encoder, settings)
    found = []
    for position, (frame, _) in enumerate(clip):
        between = position % settings.encode_every
        found += gaps.push(frame, None if between else encoder.encode([frame])[0])
    found += gaps.finish()
    encoded = [index for batch in encoder.batches for index in batch]
    assert gaps.encoded == len(encoded)
    assert [frame.index for frame, _ in found] == [result.index for _, result in found]
    return [(result.index, result.label_map) for _, result in found], sorted(encoded)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 9, 11])
def test_every_frame_comes_once_and_in_order_and_the_last_is_encoded(count: int) -> None:
    clip = clip_of([40 + 2 * i for i in range(count)])

    found, encoded = run(clip, Truth(clip))

    assert [index for index, _ in found] == list(range(count))
    assert encoded == sorted({*range(0, count, 4), count - 1})
    assert all(iou(found[i][1] == 1, clip[i][1] == 1) > 0.95 for i in range(count))


def test_frames_are_encoded_where_the_sides_disagree_and_only_there() -> None:
    # Hidden in frames 10 to 12.
    clip = clip_of([None if i in (10, 11, 12) else 40 + 2 * i for i in range(25)])

    found, encoded = run(clip, Truth(clip))

    assert {9, 10, 12, 13} <= set(encoded)
    assert all(iou(found[i][1] == 1, clip[i][1] == 1) > 0.95 for i in range(25))
    assert not {1, 2, 3, 5, 6, 7, 17, 18, 19, 21, 22, 23} & set(encoded)


def test_all_frames_are_encoded_where_nothing_can_be_carried() -> None:
    clip = clip_of([40 if i % 2 else 300 for i in range(9)])
    truth = Truth(clip)

    found, encoded = run(clip, truth)

    assert encoded == list(range(9))
    assert all((found[i][1] == clip[i][1]).all() for i in range(9))
    assert len(truth.steps) <= 9 + 6  # gaps stay short after one failed


def test_one_frame_in_each_is_the_tracker_itself() -> None:
    clip = clip_of([40, 44, 48])
    truth = Truth(clip)

    found, encoded = run(clip, truth, TrackerSettings())

    assert encoded == truth.steps == [0, 1, 2]
    assert all((labels == clip[i][1]).all() for i, labels in found)


@pytest.mark.parametrize("fail_at", [0, 4, 6])
def test_a_push_that_fails_can_be_repeated(fail_at: int) -> None:
    clip = clip_of([None if i == 5 else 40 + 2 * i for i in range(9)])
    expected, _ = run(clip, Truth(clip))
    encoder, truth, found = FakeEncoder(), Truth(clip, fail_at), []
    tracker = Tracker.from_parts(encoder, None, QUICK, method=truth)  # type: ignore[arg-type]
    gaps = GapTracker(tracker, clip[0][1], encoder, QUICK)

    for position, (frame, _) in enumerate(clip):
        embedding = None if position % 4 else encoder.encode([frame])[0]
        try:
            found += gaps.push(frame, embedding)
        except torch.OutOfMemoryError:
            found += gaps.push(frame, embedding)
    found += gaps.finish()

    assert not truth.failures
    assert [result.index for _, result in found] == list(range(9))
    assert all((result.label_map == expected[i][1]).all() for i, (_, result) in enumerate(found))


def test_a_frame_and_a_result_that_are_drawn_on_change_nothing() -> None:
    """Whoever gets them may tint the picture or cut the mask before the next frame comes."""
    clip, spoilt = (clip_of([40 + 2 * i for i in range(9)]) for _ in range(2))
    expected, _ = run(clip, Truth(clip))
    encoder, found = FakeEncoder(), []
    tracker = Tracker.from_parts(encoder, None, QUICK, method=Truth(spoilt))  # type: ignore[arg-type]
    gaps = GapTracker(tracker, spoilt[0][1].copy(), encoder, QUICK)
    for position, (frame, _) in enumerate(spoilt):
        for shown, result in gaps.push(frame, None if position % 4 else encoder.encode([frame])[0]):
            found.append(result.label_map.copy())
            shown.rgb[:], result.label_map[:] = 0, 0

    assert all((labels == expected[i][1]).all() for i, labels in enumerate(found))
    assert len(found) == 9


@pytest.mark.parametrize("preset", ["quick", "fast"])
def test_with_the_network_the_masks_follow(preset: str, encoder: SamEncoder, decoder: Decoder) -> None:
    clip = clip_of([40 + 6 * i for i in range(6)])
    settings = QUICK if preset == "quick" else TrackerSettings()
    gaps = GapTracker(Tracker.from_parts(encoder, decoder, settings), clip[0][1], encoder, settings)
    found = []
    for position, (frame, _) in enumerate(clip):
        found += gaps.push(frame, None if position % settings.encode_every else encoder.encode([frame])[0])
    found += gaps.finish()

    assert min(iou(result.label_map == 1, clip[i][1] == 1) for i, (_, result) in enumerate(found)) > 0.9


@pytest.mark.parametrize(("count", "batch_size", "side_by_side"), [(1, 1, False), (9, 3, False), (14, 2, True)])
def test_the_pipeline_writes_every_frame_in_order(
    count: int, batch_size: int, side_by_side: bool, no_thread_is_left: None
) -> None:
    engine = FakeEngine(batch_size, settings=QUICK_RUN, side_by_side=side_by_side)
    writer = FakeWriter()

    outcome = track_video(engine, FakeReader(count), first_mask(), [writer])

    assert writer.indices == list(range(count))
    assert outcome.frames == count
    encoded = [index for batch in engine.fake_encoder.batches for index in batch]
    assert sorted(encoded) == sorted({*range(0, count, 4), count - 1})
    assert outcome.encoded == len(encoded)


def test_a_run_that_is_interrupted_writes_what_is_done(no_thread_is_left: None) -> None:
    engine, writer = FakeEngine(2, settings=QUICK_RUN, side_by_side=True), FakeWriter()

    def interrupt(result: FrameResult) -> None:
        if result.index == 5:
            signal.raise_signal(signal.SIGINT)

    outcome = track_video(engine, FakeReader(1000), first_mask(), [writer], Watch(interrupt))

    assert outcome.interrupted
    assert writer.indices == list(range(6))
    assert writer.state == "closed"


def test_frames_that_wait_and_are_encoded_ahead_are_few(no_thread_is_left: None) -> None:
    engine, reader, ahead = FakeEngine(2, settings=QUICK_RUN, side_by_side=True), FakeReader(300), []

    track_video(engine, reader, first_mask(), [], Watch(lambda result: ahead.append(reader.given - result.index)))

    assert max(ahead) < 40


@pytest.mark.parametrize("count", [2, 6])
def test_track_takes_the_preset_and_writes_every_export(count: int, tmp_path: Path) -> None:
    clip = clip_of([40 + 4 * i for i in range(count)])

    outcome = track([frame.rgb for frame, _ in clip], mask=clip[0][1], preset="quick").save(
        tmp_path / "out", export=["masks", "overlay", "cutout"]
    )

    assert outcome.frames == count
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["frames"], record["frames_encoded"]) == (count, 2 if count == 2 else 3)
    lines = (tmp_path / "out" / "tracks.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(count))
    masks = [read_mask(tmp_path / "out" / "masks" / f"{i:05d}.png") for i in range(count)]
    assert min(iou(mask == 1, clip[i][1] == 1) for i, mask in enumerate(masks)) > 0.9
