"""The plumbing: order, errors and interrupts. Networks are faked here, since none of it is about pictures."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import FakeDecoder, FakeEncoder, FakeEngine, FakeReader, FakeWriter, SmallEncoder, Watch

from persam_vos.errors import MaskSizeError, OutputError, SettingsError, VideoError
from persam_vos.media.frame import Frame
from persam_vos.pipeline.encoding import EncodeStage
from persam_vos.pipeline.prefetch import prefetch
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.torch_threads import half_of_torch_threads
from persam_vos.pipeline.write_stage import WriteStage
from persam_vos.results import FrameResult
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.prompts import Candidates
from persam_vos.settings.video import Settings
from persam_vos.video.pipeline import track_video, tracked_frames

HEIGHT, WIDTH = 36, 64


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def first_mask() -> np.ndarray:
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    label_map[:, : WIDTH // 2] = 1
    return label_map


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


def test_freed_memory_goes_back_every_few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[int] = []
    writer = FakeWriter()
    monkeypatch.setattr("persam_vos.pipeline.stages.give_back_freed", lambda: given_back.append(len(writer.indices)))

    track_video(FakeEngine(), FakeReader(60), first_mask(), [writer])

    assert len(given_back) == 2
    assert given_back[0] <= 25 <= given_back[1] <= 50


def engine_with_room(room: int, batch_size: int | None = None) -> FakeEngine:
    return FakeEngine(batch_size or 8, settings=Settings(batch_size=batch_size or "auto"), encoder=SmallEncoder(room))


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


@pytest.mark.parametrize(("apart", "expected"), [(True, 2), (False, 4)])
def test_the_tracker_leaves_threads_to_an_encoder_that_has_its_own(apart: bool, expected: int) -> None:
    before, during = torch.get_num_threads(), []
    engine = FakeEngine(side_by_side=apart)
    torch.set_num_threads(4)
    try:
        track_video(engine, FakeReader(3), first_mask(), [], Watch(lambda _: during.append(torch.get_num_threads())))
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)

    assert set(during) == {expected}
    assert after == 4


def test_overlapping_runs_leave_pytorch_its_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        runs = [tracked_frames(FakeEngine(side_by_side=True), FakeReader(3), first_mask()) for _ in range(3)]
        for run in runs:
            next(run)
        halved = torch.get_num_threads()
        for run in runs:
            run.close()
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)

    assert (halved, after) == (2, 4)


def test_runs_of_several_threads_leave_pytorch_its_threads() -> None:
    before, seen = torch.get_num_threads(), []
    both = threading.Barrier(2)

    def work() -> None:
        with half_of_torch_threads(True):
            both.wait()
            seen.append(torch.get_num_threads())
            both.wait()

    torch.set_num_threads(4)
    try:
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found: list[int] = []
        new = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        new.start()
        new.join()
    finally:
        torch.set_num_threads(before)

    assert (seen, found) == ([2, 2], [4])


def test_results_can_be_pulled_without_writers() -> None:
    engine, reader = FakeEngine(), FakeReader(1000)
    results = tracked_frames(engine, reader, first_mask())
    assert reader.given == 0  # nothing runs before the first result is asked for

    pulled = [(frame.index, result.index) for frame, result in itertools.islice(results, 5)]
    results.close()

    assert pulled == [(i, i) for i in range(5)]
    assert reader.given < 20
    assert not reader.closed


def test_a_second_interrupt_waits_for_what_the_encoder_is_at_and_a_third_does_not() -> None:
    release, waiting = threading.Event(), threading.Event()

    def slow() -> Iterator[int]:
        yield 0
        waiting.set()
        release.wait()
        yield 1

    def interrupt(times: int) -> None:
        for _ in range(times):
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)
        if times == 1:
            time.sleep(0.2)
            release.set()

    for times in (1, 2):
        release.clear()
        waiting.clear()
        items = prefetch("test", slow(), 1)
        assert next(items) == 0
        waiting.wait()
        helper = threading.Thread(target=interrupt, args=(times,))
        helper.start()
        with pytest.raises(KeyboardInterrupt):
            items.close()
        assert release.is_set() == (times == 1)
        release.set()
        helper.join()
    for thread in threading.enumerate():
        if thread.name == "persam-vos test":
            thread.join()


def test_an_interrupt_while_a_run_is_dropped_leaves_nothing_unfinished(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = FakeWriter()
    writing = WriteStage([writer], Timings(), 4)
    finish = writing._finish

    def interrupted() -> None:
        finish()
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "_finish", interrupted)

    with pytest.raises(KeyboardInterrupt):
        writing.abort()

    assert writer.state == "aborted"


def test_an_error_of_the_reader_stops_all() -> None:
    reader, writer = FakeReader(50, fail_at=20), FakeWriter()

    with pytest.raises(VideoError, match="frame 20 is broken"):
        track_video(FakeEngine(), reader, first_mask(), [writer])

    assert writer.state == "aborted"
    assert reader.closed


@pytest.mark.parametrize("fail_at", [0, 3, 49])
def test_an_error_of_a_writer_stops_all(fail_at: int) -> None:
    reader, writers = FakeReader(50), [FakeWriter(), FakeWriter(fail_at)]

    with pytest.raises(OutputError, match="disk full"):
        track_video(FakeEngine(), reader, first_mask(), writers)

    assert [writer.state for writer in writers] == ["aborted", "aborted"]
    assert reader.given < 30 or fail_at == 49  # it did not go on to the end


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_keeps_the_frames_done(number: signal.Signals) -> None:
    writer, former = FakeWriter(), signal.getsignal(number)

    def on_frame(result: FrameResult) -> None:
        if result.index == 4:
            signal.raise_signal(number)

    outcome = track_video(FakeEngine(), FakeReader(1000), first_mask(), [writer], Watch(on_frame))

    assert outcome.interrupted
    assert writer.indices == [0, 1, 2, 3, 4]
    assert outcome.frames == 5
    assert writer.state == "closed"
    assert signal.getsignal(number) is former


def test_a_closed_terminal_that_is_ignored_stays_ignored() -> None:
    """As ``nohup`` has it."""
    writer, former = FakeWriter(), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        outcome = track_video(
            FakeEngine(), FakeReader(5), first_mask(), [writer], Watch(lambda _: signal.raise_signal(signal.SIGHUP))
        )
    finally:
        signal.signal(signal.SIGHUP, former)

    assert not outcome.interrupted
    assert outcome.frames == 5


def test_an_interrupt_while_files_are_finished_lets_them_be_finished() -> None:
    class SlowWriter(FakeWriter):
        def close(self) -> tuple[Path, ...]:
            signal.raise_signal(signal.SIGINT)
            return super().close()

    writer = SlowWriter()
    outcome = track_video(FakeEngine(), FakeReader(3), first_mask(), [writer])

    assert outcome.frames == 3
    assert writer.state == "closed"


def test_a_second_interrupt_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persam_vos.pipeline.interrupt.REPEAT_SECONDS", 0.0)
    reader, writer = FakeReader(1000), FakeWriter()

    def on_frame(result: FrameResult) -> None:
        if result.index == 2:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        track_video(FakeEngine(), reader, first_mask(), [writer], Watch(on_frame))

    assert writer.state == "aborted"
    assert reader.closed


def test_an_interrupted_run_can_be_thrown_away() -> None:
    writer = FakeWriter()

    with pytest.raises(KeyboardInterrupt):
        track_video(
            FakeEngine(),
            FakeReader(9),
            first_mask(),
            [writer],
            Watch(lambda _: signal.raise_signal(signal.SIGINT)),
            keep_interrupted=False,
        )

    assert writer.state == "aborted"


def test_decoding_runs_ahead_by_a_few_frames_only() -> None:
    reader, given = FakeReader(200), []

    track_video(FakeEngine(), reader, first_mask(), [], Watch(lambda result: given.append(reader.given - result.index)))

    assert max(given) < 12
