"""What an interrupt keeps, drops and waits for. Networks are faked."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import (
    FakeEngine,
    FakeReader,
    FakeWriter,
    Watch,
    first_mask,
)

from persam_vos.media import Frame
from persam_vos.pipeline.interrupt import GracefulInterrupt, InterruptFilter
from persam_vos.pipeline.prefetch import prefetch
from persam_vos.pipeline.progress import NoProgress
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.write_stage import WriteStage
from persam_vos.pipeline.writing import Results, run_stages
from persam_vos.results import FrameResult
from persam_vos.video.pipeline import track_video

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


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


def test_an_interrupt_while_the_stages_start_keeps_the_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(WriteStage):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("persam_vos.pipeline.writing.WriteStage", Interrupted)
    writer = FakeWriter()

    outcome = track_video(FakeEngine(), FakeReader(9), first_mask(), [writer])

    assert outcome.interrupted
    assert writer.indices == [0]
    assert writer.state == "closed"


class Saves:
    """Notes what is saved; it is never time for a checkpoint."""

    saved, frames_before = False, 0

    def __init__(self) -> None:
        self.last: list[str] = []

    def take(self, frame: Frame, *, now: bool) -> None:
        return None

    def take_last(self) -> Callable[[], None]:
        return lambda: self.last.append("saved")

    def suspend(self) -> None:
        pass


@pytest.mark.parametrize("cut_short", [False, True], ids=["complete", "cut short"])
def test_a_source_that_an_interrupt_cuts_short_is_not_complete(cut_short: bool) -> None:
    def results() -> Results:
        for frame in FakeReader(3):
            label_map = np.zeros(frame.rgb.shape[:2], np.uint8)
            yield frame, FrameResult(frame.index, frame.pts, frame.time_base, label_map, ())
        signal.raise_signal(signal.SIGINT)

    progress, writer, saving = NoProgress(), FakeWriter(), Saves()
    interrupt = GracefulInterrupt(progress.interrupt, InterruptFilter(), stop_source=lambda: cut_short)

    given = results(), [writer], Timings(), progress, interrupt
    outcome = run_stages(*given, name="stream", frames=None, saving=saving)

    assert (outcome.frames, outcome.interrupted, writer.state) == (3, cut_short, "closed")
    assert saving.last == ["saved"] * cut_short, "so that a later run goes on there"


def test_an_error_before_the_writers_start_aborts_them() -> None:
    class Failing(NoProgress):
        def start(self, name: str, frames: int | None, done: int = 0) -> None:
            raise OSError(f"{name}: no terminal for {frames} frames")

    writer = FakeWriter()

    with pytest.raises(OSError, match="no terminal"):
        track_video(FakeEngine(), FakeReader(9), first_mask(), [writer], Failing())

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
