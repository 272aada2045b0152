"""A video through all stages: order, errors and how far ahead. Networks are faked."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import (
    FakeEncoder,
    FakeEngine,
    FakeReader,
    FakeWriter,
    Watch,
    first_mask,
)

from persam_vos.errors import MaskSizeError, OutputError, VideoError
from persam_vos.media.frame import Frame
from persam_vos.results import FrameResult
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.settings.video import Settings
from persam_vos.video.pipeline import track_video, tracked_frames

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.mark.parametrize(("count", "batch_size"), [(1, 1), (7, 1), (7, 3), (6, 3), (2, 8)])
def test_every_frame_once_and_in_order(count: int, batch_size: int) -> None:
    engine, reader, writer, seen = FakeEngine(batch_size), FakeReader(count), FakeWriter(), []

    outcome = track_video(engine, reader, first_mask(), [writer], Watch(lambda result: seen.append(result.index)))

    assert writer.indices == seen == list(range(count))
    encoded = [index for batch in engine.fake_encoder.batches for index in batch]
    assert encoded == list(range(count))  # each frame once, the first included
    assert max(map(len, engine.fake_encoder.batches)) <= batch_size
    assert (outcome.frames, outcome.interrupted, outcome.written) == (count, False, (Path("done"),))
    assert outcome.warnings == ("reader warns", "writer warns")
    assert set(outcome.timings.seconds) == {"decode", "encode", "track", "write"}
    assert reader.closed
    assert writer.state == "closed"


def test_only_a_closer_look_loads_the_encoder_of_single_frames() -> None:
    engine = FakeEngine(settings=Settings())
    engine.encoder = alone = FakeEncoder()

    track_video(engine, FakeReader(2), first_mask(), [])

    assert alone.batches == []
    assert engine.fake_encoder.batches.count([0]) == 2  # frame 0, and its nearer view


def test_doubts_about_the_first_mask_are_told_before_other_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persam_vos.methods.memory.video.snap_first_masks", lambda *args: (args[3], ("odd mask",)))

    outcome = track_video(FakeEngine(), FakeReader(2), first_mask(), [FakeWriter()])

    assert outcome.warnings == ("odd mask", "reader warns", "writer warns")


def test_freed_memory_goes_back_every_few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[int] = []
    writer = FakeWriter()
    monkeypatch.setattr("persam_vos.pipeline.writing.give_back_freed", lambda: given_back.append(len(writer.indices)))

    monkeypatch.setattr("persam_vos.pipeline.writing._GIVE_BACK_AFTER", 5)

    track_video(FakeEngine(), FakeReader(12), first_mask(), [writer])

    assert len(given_back) == 2
    assert given_back[0] <= 5 <= given_back[1] <= 10


def test_an_error_of_the_encoder_stops_all() -> None:
    class Broken(FakeEncoder):
        def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
            if frames[0].index >= 7:
                raise RuntimeError("encoder")
            return super().encode(frames)

    engine, reader, writer = FakeEngine(encoder=Broken()), FakeReader(1000), FakeWriter()

    with pytest.raises(RuntimeError, match="encoder"):
        track_video(engine, reader, first_mask(), [writer])

    assert writer.state == "aborted"
    assert reader.closed
    assert reader.given < 30


def test_results_can_be_pulled_without_writers() -> None:
    engine, reader = FakeEngine(), FakeReader(1000)
    results = tracked_frames(engine, reader, first_mask())
    assert reader.given == 0  # nothing runs before the first result is asked for

    pulled = [(frame.index, result.index) for frame, result in itertools.islice(results, 5)]
    results.close()

    assert pulled == [(i, i) for i in range(5)]
    assert reader.given < 20
    assert not reader.closed


def test_an_error_of_the_reader_stops_all() -> None:
    reader, writer = FakeReader(50, fail_at=20), FakeWriter()

    with pytest.raises(VideoError, match="frame 20 is broken"):
        track_video(FakeEngine(), reader, first_mask(), [writer])

    assert writer.state == "aborted"
    assert reader.closed


@pytest.mark.parametrize("fail_at", [0, 3, 34])
def test_an_error_of_a_writer_stops_all(fail_at: int) -> None:
    reader, writers = FakeReader(35), [FakeWriter(), FakeWriter(fail_at)]

    with pytest.raises(OutputError, match="disk full"):
        track_video(FakeEngine(), reader, first_mask(), writers)

    assert [writer.state for writer in writers] == ["aborted", "aborted"]
    assert reader.given < 30 or fail_at == 34  # it did not go on to the end


def test_an_error_while_closing_is_not_lost() -> None:
    writer = FakeWriter(fail_close=True)

    with pytest.raises(OutputError, match="cannot rename"):
        track_video(FakeEngine(), FakeReader(3), first_mask(), [writer])

    assert writer.state == "aborted"


def test_an_error_of_a_callback_stops_all() -> None:
    writer = FakeWriter()

    def on_frame(result: FrameResult) -> None:
        raise RuntimeError("callback")

    with pytest.raises(RuntimeError, match="callback"):
        track_video(FakeEngine(), FakeReader(30), first_mask(), [writer], Watch(on_frame))

    assert writer.state == "aborted"


def test_a_mask_of_another_size_is_refused() -> None:
    writer = FakeWriter()

    with pytest.raises(MaskSizeError, match="mask is 10 x 10, video is 36 x 64"):
        track_video(FakeEngine(), FakeReader(3), np.ones((10, 10), np.uint8), [writer])

    assert writer.state == "aborted"


def test_no_frame_is_an_error() -> None:
    writer = FakeWriter()

    with pytest.raises(VideoError, match="no frame"):
        track_video(FakeEngine(), FakeReader(0), first_mask(), [writer])

    assert writer.state == "aborted"


def test_decoding_runs_ahead_by_a_few_frames_only() -> None:
    reader, given = FakeReader(40), []

    track_video(FakeEngine(), reader, first_mask(), [], Watch(lambda result: given.append(reader.given - result.index)))

    assert max(given) < 12
