"""DAVIS tracked and scored, and what is left behind when that is stopped."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import pytest
from clips import davis_of_squares
from fakes import FakeEngine

from persam_vos.benchmarks import davis as jobs
from persam_vos.errors import DatasetError, OutputError
from persam_vos.pipeline.progress import NoProgress
from persam_vos.results import FrameResult
from persam_vos.settings.video import Settings


class Silence(NoProgress):
    """Progress that nobody watches; interrupts at a frame if told to."""

    def __init__(self, interrupt: tuple[str, int] | None = None) -> None:
        self.interrupt_at, self.name, self.frames = interrupt, "", 0

    def start(self, name: str, frames: int | None, done: int = 0) -> None:
        self.name = name
        assert frames == 4

    def advance(self, result: FrameResult) -> None:
        self.frames += 1
        if (self.name, result.index) == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return davis_of_squares(tmp_path / "DAVIS")


def test_a_split_is_tracked_and_scored(root: Path, tmp_path: Path) -> None:
    output, progress = tmp_path / "out", Silence()

    scores = jobs.run_davis(root, output, Settings(), progress)

    assert progress.frames == 8
    assert [(each.sequence, each.object_id) for each in scores.objects] == [("alpha", 1), ("beta", 1), ("beta", 2)]
    assert scores.j.mean > 0.8
    with (output / "global_results-val.csv").open() as file:
        row = next(csv.DictReader(file))
    assert float(row["J&F-Mean"]) == pytest.approx(scores.jf_mean, abs=1e-6)
    with (output / "per-sequence_results-val.csv").open() as file:
        assert [line["Sequence"] for line in csv.DictReader(file)] == ["alpha_1", "beta_1", "beta_2"]
    page = (output / "report.html").read_text(encoding="utf-8")
    assert f"J&amp;F {100 * scores.jf_mean:.1f}" in page
    assert page.count("data:image/jpeg;base64,") == 3, "the worst frame of each object"
    assert page.count("<svg") == 6, "J and F of each object"
    assert "https:" not in page
    record = json.loads((output / "run.json").read_text())
    assert set(record["sequences"]) == {"alpha", "beta"}
    assert record["settings"]["method"] == "memory"
    for sequence in ("alpha", "beta"):
        assert [path.name for path in sorted((output / sequence).iterdir())] == [f"{i:05d}.png" for i in range(4)]


def test_a_sequence_that_was_stopped_half_way_is_not_there(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authors' scripts leave half a folder, and take it for a whole one the next time."""
    monkeypatch.setattr(jobs, "Engine", lambda settings: FakeEngine())
    output = tmp_path / "out"

    with pytest.raises(KeyboardInterrupt):
        jobs.run_davis(root, output, Settings(), Silence(interrupt=("beta", 1)))

    assert [path.name for path in output.iterdir()] == ["alpha"]
    with pytest.raises(OutputError, match="--overwrite"):
        jobs.run_davis(root, output, Settings(), Silence())
    jobs.run_davis(root, output, Settings(), Silence(), overwrite=True)
    assert len(list((output / "beta").iterdir())) == 4


def test_what_could_not_be_scored_is_not_tracked(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_engine(settings: Settings) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(jobs, "Engine", no_engine)
    truths, frames = (root / kind / "480p" / "beta" for kind in ("Annotations", "JPEGImages"))
    last = truths / "00003.png"
    kept = last.read_bytes()
    last.unlink()
    with pytest.raises(DatasetError, match="has 3 annotations for 4 frames"):
        jobs.run_davis(root, tmp_path / "out", Settings(), Silence())

    last.write_bytes(kept)
    for folder, suffix in ((truths, "png"), (frames, "jpg")):
        for index in (3, 2, 1, 0):
            (folder / f"{index:05d}.{suffix}").rename(folder / f"{index + 1:05d}.{suffix}")
    with pytest.raises(DatasetError, match=r"00001\.jpg: frames must be named 00000\.jpg and on"):
        jobs.run_davis(root, tmp_path / "out", Settings(), Silence())

    assert not (tmp_path / "out").exists()


def test_a_folder_that_must_not_be_replaced_is_found_before_the_model_is_loaded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_engine(settings: Settings) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(jobs, "Engine", no_engine)
    (tmp_path / "out" / "beta").mkdir(parents=True)
    (tmp_path / "out" / "beta" / "notes.txt").write_text("mine")

    with pytest.raises(OutputError, match=r"beta: holds notes\.txt"):
        jobs.run_davis(root, tmp_path / "out", Settings(), Silence(), overwrite=True)
