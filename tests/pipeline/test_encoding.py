"""Frames encoded in batches and side by side, and a GPU whose memory is too small. Networks are faked."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest
import torch
from fakes import (
    HEIGHT,
    WIDTH,
    FakeDecoder,
    FakeEncoder,
    FakeEngine,
    FakeReader,
    FakeWriter,
    SmallEncoder,
    Watch,
    first_mask,
)

from persam_vos.errors import SettingsError, VideoError
from persam_vos.media.frame import Frame
from persam_vos.pipeline import encoding
from persam_vos.pipeline.encoding import EncodeStage
from persam_vos.pipeline.timings import Timings
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.prompts import Candidates
from persam_vos.settings.video import Settings
from persam_vos.video.pipeline import track_video

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def engine_with_room(room: int, batch_size: int | None = None) -> FakeEngine:
    settings = Settings(batch_size=batch_size or "auto", nearer_view=0)
    return FakeEngine(batch_size or 8, settings=settings, encoder=SmallEncoder(room))


@pytest.mark.parametrize("room", [1, 3, 8])
def test_a_batch_that_does_not_fit_is_halved_and_the_run_goes_on(room: int) -> None:
    engine, writer = engine_with_room(room), FakeWriter()

    track_video(engine, FakeReader(21), first_mask(), [writer])

    assert writer.indices == list(range(21))
    assert [index for batch in engine.fake_encoder.batches for index in batch] == list(range(21))
    assert engine.batch_size == {1: 1, 3: 2, 8: 8}[room]
    assert max(map(len, engine.fake_encoder.batches)) == engine.batch_size


@pytest.mark.parametrize(("room", "asked"), [(2, 4), (0, None)])
def test_a_batch_size_that_was_asked_for_and_one_frame_must_fit(room: int, asked: int | None) -> None:
    writer = FakeWriter()

    with pytest.raises(SettingsError, match=f"out of GPU memory with batches of {asked or 1} pictures"):
        track_video(engine_with_room(room, asked), FakeReader(9), first_mask(), [writer])

    assert writer.state == "aborted"


class CrowdedDecoder(FakeDecoder):
    """Has no room beside an encoder of more than so many frames at once."""

    def __init__(self, engine: FakeEngine, beside: int) -> None:
        self.engine, self.beside, self.refused = engine, beside, 0

    def decode(self, *arguments: object, **options: object) -> Candidates:
        if self.engine.batch_size > self.beside:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().decode(*arguments, **options)  # type: ignore[arg-type]


def test_a_tracker_without_room_makes_batches_smaller_and_loses_no_frame() -> None:
    engine, writer = engine_with_room(8), FakeWriter()
    engine.decoder = CrowdedDecoder(engine, beside=2)  # type: ignore[assignment]

    track_video(engine, FakeReader(21), first_mask(), [writer])

    assert writer.indices == list(range(21))
    assert engine.batch_size == 2
    assert engine.decoder.refused == 2


@pytest.mark.parametrize("asked", [None, 4])
def test_a_tracker_that_never_has_room_says_what_helps(asked: int | None) -> None:
    engine, writer = engine_with_room(8, asked), FakeWriter()
    engine.decoder = CrowdedDecoder(engine, beside=0)  # type: ignore[assignment]

    with pytest.raises(SettingsError, match=r"out of GPU memory.*smaller --batch-size"):
        track_video(engine, FakeReader(9), first_mask(), [writer])

    assert writer.state == "aborted"


class BusyEncoder(FakeEncoder):
    """Takes its time, and longest for every third frame; knows how many frames it had in work at once."""

    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__()
        self.fail_at, self.now, self.most = fail_at, 0, 0
        self._lock = threading.Lock()

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        (frame,) = frames
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02 if frame.index % 3 == 0 else 0.005)
        with self._lock:
            self.now -= 1
        if frame.index == self.fail_at:
            raise RuntimeError("encoder")
        return super().encode(frames)


def engine_apart(at_once: int, fail_at: int | None = None) -> FakeEngine:
    return FakeEngine(at_once, encoder=BusyEncoder(fail_at), side_by_side=True)


@pytest.mark.parametrize(("count", "at_once"), [(1, 4), (9, 1), (20, 3)])
def test_frames_encoded_side_by_side_come_in_order(count: int, at_once: int) -> None:
    engine, writer = engine_apart(at_once), FakeWriter()

    outcome = track_video(engine, FakeReader(count), first_mask(), [writer])

    assert writer.indices == list(range(count))
    assert sorted(engine.fake_encoder.batches) == [[index] for index in range(count)]
    assert engine.fake_encoder.most == min(count, at_once)
    assert outcome.timings.seconds["encode"] >= 0.005 * count / at_once


@pytest.mark.parametrize("at_once", [1, 3])
def test_an_error_of_the_reader_comes_after_the_frames_before(at_once: int) -> None:
    engine, seen = engine_apart(at_once), []
    results = EncodeStage(engine, Timings()).run(iter(FakeReader(9, fail_at=5)))

    with pytest.raises(VideoError, match="frame 5 is broken"):
        seen.extend(frame.index for frame, _ in results)

    assert seen == list(range(5))


def test_frames_encoded_side_by_side_may_be_left_in_the_middle() -> None:
    engine, reader = engine_apart(3), FakeReader(1000)
    results = EncodeStage(engine, Timings()).run(iter(reader))

    next(results)
    results.close()  # and no thread is left, see above

    assert reader.given <= 5


def test_an_error_of_one_of_several_encoders_comes_in_its_place_and_stops_all() -> None:
    engine, reader, seen = engine_apart(3, fail_at=7), FakeReader(1000), []

    with pytest.raises(RuntimeError, match="encoder"):
        track_video(engine, reader, first_mask(), [], Watch(lambda result: seen.append(result.index)))

    assert seen == list(range(len(seen)))
    assert len(seen) <= 7
    assert reader.given < 30


def test_large_frames_are_not_encoded_side_by_side() -> None:
    engine, timings = engine_apart(3), Timings()

    found = list(EncodeStage(engine, timings, max_pixels=HEIGHT * WIDTH).run(iter(FakeReader(6))))

    assert [frame.index for frame, _ in found] == list(range(6))
    assert engine.fake_encoder.most == 1
    assert timings.seconds["encode"] >= 0.06  # all of it, since nothing ran beside it


def test_a_batch_counts_only_the_frames_that_are_encoded() -> None:
    engine = FakeEngine(3)

    found = list(EncodeStage(engine, Timings(), every=4).run(iter(FakeReader(22))))

    assert [frame.index for frame, _ in found] == list(range(22))
    assert [embedding is not None for _, embedding in found] == [index % 4 == 0 for index in range(22)]
    assert engine.fake_encoder.batches == [[0, 4, 8], [12, 16, 20]]


@pytest.mark.parametrize("side_by_side", [False, True])
def test_frames_that_pass_by_are_held_up_to_a_weight(side_by_side: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_MAX_PASSING_PIXELS", 20 * HEIGHT * WIDTH)
    engine, reader, held = FakeEngine(6, side_by_side=side_by_side), FakeReader(200), []

    for frame, _ in EncodeStage(engine, Timings(), every=16).run(iter(reader)):
        held.append(reader.given - frame.index)

    assert len(held) == 200
    assert max(held) <= 25
