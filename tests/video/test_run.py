"""Whole jobs: a DAVIS split tracked and scored, and what is left behind when one is stopped."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import numpy as np
import pytest
from clips import moving_square
from fakes import FakeEngine
from PIL import Image

from persam_vos.benchmarks import davis as jobs
from persam_vos.errors import DatasetError, OutputError
from persam_vos.results import FrameResult
from persam_vos.settings.video import Settings
from persam_vos.video import run
from persam_vos.video.first_frame import AnnotationFile

HEIGHT, WIDTH = 48, 64


class Silence:
    """Progress that nobody watches; interrupts at a frame if told to."""

    def __init__(self, interrupt: tuple[str, int] | None = None) -> None:
        self.interrupt, self.name, self.frames = interrupt, "", 0

    def start(self, name: str, frames: int | None) -> None:
        self.name = name
        assert frames == 4

    def advance(self, result: FrameResult) -> None:
        self.frames += 1
        if (self.name, result.index) == self.interrupt:
            signal.raise_signal(signal.SIGINT)

    def interrupt(self) -> None:
        pass

    def stop(self) -> None:
        self.name = ""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sequences of a square that moves; in the second one it is object 2 of 2."""
    folder = tmp_path / "DAVIS"
    for sequence in ("alpha", "beta"):
        frames, truths = (folder / kind / "480p" / sequence for kind in ("JPEGImages", "Annotations"))
        frames.mkdir(parents=True)
        truths.mkdir(parents=True)
        for index, rgb in enumerate(moving_square(4, width=WIDTH, height=HEIGHT)):
            labels = np.zeros((HEIGHT, WIDTH), np.uint8)
            labels[16:32, 4 * index : 4 * index + 16] = 1 if sequence == "alpha" else 2
            if sequence == "beta":
                rgb[36:44, 40:56] = (20, 220, 230)
                labels[36:44, 40:56] = 1
            Image.fromarray(rgb).save(frames / f"{index:05d}.jpg", quality=95)
            Image.fromarray(labels).save(truths / f"{index:05d}.png")
    lists = folder / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("alpha\nbeta\n")
    return folder


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


def test_an_earlier_record_does_not_outlive_its_results(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "Engine", lambda settings: FakeEngine())
    output = tmp_path / "out"
    output.mkdir()
    (output / "run.json").write_text("{}")
    source = str(root / "JPEGImages" / "480p" / "alpha")
    mask = AnnotationFile(root / "Annotations" / "480p" / "alpha" / "00000.png")

    def fail(name: str, frames: int | None) -> None:
        raise OutputError("disk full")

    progress = Silence()
    progress.start = fail  # type: ignore[method-assign]
    with pytest.raises(OutputError, match="disk full"):
        run.run_video(source, mask, output, Settings(), progress, overwrite=True)

    assert not (output / "run.json").exists()


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


def engine_of(settings: Settings) -> FakeEngine:
    return FakeEngine(settings=settings)


def tracked(root: Path, output: Path, *export: str, overwrite: bool = False) -> run.TrackOutcome:
    source = str(root / "JPEGImages" / "480p" / "alpha")
    mask = AnnotationFile(root / "Annotations" / "480p" / "alpha" / "00000.png")
    return run.run_video(source, mask, output, Settings(export=export), Silence(), overwrite=overwrite)


def test_no_export_of_an_earlier_run_is_left_beside_a_later_one(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "Engine", engine_of)
    output = tmp_path / "out"
    tracked(root, output, "masks", "overlay", "cutout")
    (output / "notes.txt").write_text("mine")

    tracked(root, output, "overlay", overwrite=True)

    assert sorted(path.name for path in output.iterdir()) == ["notes.txt", "overlay.mp4", "run.json", "tracks.jsonl"]


def test_what_no_run_of_ours_wrote_or_this_one_reads_is_left(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "Engine", engine_of)
    output = tmp_path / "out"
    output.mkdir()
    (output / "cutout.mp4").write_text("mine")

    tracked(root, output, "masks", "overlay", overwrite=True)
    assert (output / "cutout.mp4").read_text() == "mine"
    source = str(root / "JPEGImages" / "480p" / "alpha")
    first = AnnotationFile(output / "masks" / "00000.png")
    run.run_video(source, first, output, Settings(export=("overlay",)), Silence(), overwrite=True)
    assert first.path.exists()

    tracked(root, output, "masks", overwrite=True)
    (output / "masks" / "notes.txt").write_text("mine")
    tracked(root, output, "overlay", overwrite=True)
    assert (output / "masks" / "notes.txt").read_text() == "mine"


def test_a_model_that_cannot_be_loaded_leaves_no_folder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(settings: Settings) -> None:
        raise OutputError("no model")

    monkeypatch.setattr(run, "Engine", fail)

    with pytest.raises(OutputError, match="no model"):
        tracked(root, tmp_path / "out", "masks")

    assert not (tmp_path / "out").exists()


def test_doubts_about_the_annotation_are_on_record(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Engine", engine_of)
    Image.fromarray(np.ones((HEIGHT, WIDTH), np.uint8)).save(root / "Annotations" / "480p" / "alpha" / "00000.png")

    outcome = tracked(root, tmp_path / "out", "masks")

    assert any("too many to be told from the rest" in text for text in outcome.warnings)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["warnings"] == list(outcome.warnings)
