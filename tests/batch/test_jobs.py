"""Several processes: one that dies loses no clip but its own, and an interrupt reaches all."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path

import pytest
from batches import (
    DIES_ONCE,
    IS_SLOW,
    WatchedBatch,
    deadly,
    index_of,
    names_in,
    run,
    with_grow,
    write_batch,
)

from persam_vos.batch.jobs import Processes
from persam_vos.batch.shares import shares
from persam_vos.batch.work import ClipJob, ClipResult

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def test_a_process_that_dies_loses_its_clip_alone(tmp_path: Path) -> None:
    manifest = write_batch(tmp_path / "in", "ab")
    with_grow(manifest, {"b": DIES_ONCE})
    workers = Processes(1, make_load=functools.partial(deadly, tmp_path))
    outcome = run(manifest, tmp_path / "out", workers=workers)

    assert (tmp_path / "died").exists()
    assert index_of(outcome.index) == [("a", "done"), ("b", "done")]
    assert len(names_in(tmp_path / "out" / "b" / "masks")) == 4


def test_a_clip_that_ends_every_process_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[str, bool]] = []

    class Dying:
        def __init__(self, *_: object) -> None:
            pass

        def do(self, job: ClipJob) -> ClipResult | None:
            begun.append((job.clip.id, job.resume))
            return None if job.clip.id == "b" else ClipResult(job.clip.id, "done", 1.0)

        def interrupt(self) -> None:
            pass

        def end(self) -> str:
            return "was killed by SIGKILL"

    monkeypatch.setattr("persam_vos.batch.jobs._Process", Dying)
    manifest = write_batch(tmp_path / "in", "abc")
    outcome = run(manifest, tmp_path / "out", workers=Processes(1), keep_going=True)

    assert index_of(outcome.index) == [("a", "done"), ("b", "failed"), ("c", "done")]
    assert [each.error for each in outcome.failed] == [
        "the process that worked on it was killed by SIGKILL, 2 times in a row"
    ]
    # What it has left is gone on with.
    assert begun == [("a", False), ("b", False), ("b", True), ("c", False)]


def test_an_interrupt_reaches_clips_in_work(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    manifest = write_batch(tmp_path / "in", "abcd")
    long = write_batch(tmp_path / "long", ["b"], frames=200)
    manifest.with_name("b.mp4").write_bytes(long.with_name("b.mp4").read_bytes())
    with_grow(manifest, {"b": IS_SLOW})

    class Interrupts(WatchedBatch):
        def clip(self, result: ClipResult) -> None:
            super().clip(result)
            if result.id in ("a", "c"):
                os.kill(os.getpid(), signal.SIGINT)

    watch = Interrupts()
    outcome = run(manifest, tmp_path / "out", watch, Processes(2, make_load=functools.partial(deadly, tmp_path)))

    assert watch.statuses["b"] == "interrupted"
    assert outcome.interrupted
    assert outcome.unfinished
    assert not outcome.failed
    assert "b" not in names_in(tmp_path / "out")
    assert capfd.readouterr() == ("", "")


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 3, 5, 7}, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    assert [(each.threads, each.cores) for each in shares(2)] == [(2, (0, 2)), (3, (3, 5, 7))]
    assert [(each.threads, each.cores) for each in shares(1)] == [(5, (0, 2, 3, 5, 7))]
    assert {(each.threads, len(each.cores)) for each in shares(9)} == {(1, 1)}
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [each.threads for each in shares(2)] == [2, 2]
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert [(each.threads, each.cores) for each in shares(2)] == [(4, ()), (4, ())]
