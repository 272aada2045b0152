"""The job on one video: what is written, and what an earlier run leaves behind."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from clips import davis_of_squares
from fakes import FakeEngine
from PIL import Image

from persam_vos.errors import OutputError
from persam_vos.pipeline.progress import NoProgress
from persam_vos.pipeline.writing import Outcome
from persam_vos.prompts import ObjectPrompt, Prompt, VideoPrompts
from persam_vos.prompts.prompts_json import read_prompts
from persam_vos.settings.video import Settings
from persam_vos.video import run
from persam_vos.video.prompting.given_prompts import GivenPrompts
from persam_vos.video.prompting.label_maps import AnnotationFile
from persam_vos.video.prompting.prompting import Prompting

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return davis_of_squares(tmp_path / "DAVIS")


def test_an_earlier_record_does_not_outlive_its_results(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "Engine", engine_of)
    output = tmp_path / "out"
    output.mkdir()
    (output / "run.json").write_text("{}")
    source = str(root / "JPEGImages" / "480p" / "alpha")
    mask = AnnotationFile(root / "Annotations" / "480p" / "alpha" / "00000.png")

    def fail(name: str, frames: int | None, done: int = 0) -> None:
        raise OutputError("disk full")

    progress = NoProgress()
    progress.start = fail  # type: ignore[method-assign]
    with pytest.raises(OutputError, match="disk full"):
        run.run_video(source, Prompting((mask,)), output, Settings(), progress, overwrite=True)

    assert not (output / "run.json").exists()


def engine_of(settings: Settings) -> FakeEngine:
    return FakeEngine(settings=settings)


def tracked(
    root: Path, output: Path, *export: str, overwrite: bool = False, progress: NoProgress | None = None
) -> Outcome:
    source = str(root / "JPEGImages" / "480p" / "alpha")
    mask = AnnotationFile(root / "Annotations" / "480p" / "alpha" / "00000.png")
    given = source, Prompting((mask,)), output, Settings(export=export), progress or NoProgress()
    return run.run_video(*given, overwrite=overwrite)


def test_no_export_of_an_earlier_run_is_left_beside_a_later_one(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "Engine", engine_of)
    output = tmp_path / "out"
    tracked(root, output, "masks", "overlay", "cutout")
    (output / "notes.txt").write_text("mine")

    tracked(root, output, "overlay", overwrite=True)

    written = {"overlay.mp4", "run.json", "tracks.jsonl", "prompts", "prompts.json"}
    assert {path.name for path in output.iterdir()} == {"notes.txt", *written}


def test_a_run_that_fails_does_not_forget_what_earlier_ones_exported(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "Engine", engine_of)
    output = tmp_path / "out"
    tracked(root, output, "masks", "overlay", "cutout")

    def fail(*_: object) -> None:
        raise OutputError("disk full")

    for export in ("masks", "overlay"):
        with monkeypatch.context() as broken:
            broken.setattr(NoProgress, "advance", fail)
            with pytest.raises(OutputError, match="disk full"):
                tracked(root, output, export, overwrite=True)
        assert (output / "cutout.mp4").exists()
        assert json.loads((output / "run.json").read_text())["complete"] is False
    tracked(root, output, "masks", overwrite=True)

    names = {path.name for path in output.iterdir()}
    assert names == {"masks", "run.json", "tracks.jsonl", "prompts", "prompts.json"}
    assert "earlier_exports" not in json.loads((output / "run.json").read_text())


def test_the_rate_is_without_loading_the_model(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(settings: Settings) -> FakeEngine:
        time.sleep(1)
        return engine_of(settings)

    monkeypatch.setattr(run, "Engine", slow)
    outcome = tracked(root, tmp_path / "out", "masks")

    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["frames_per_second"] == pytest.approx(4 / outcome.seconds, abs=1e-3)
    assert record["seconds"] > outcome.seconds + 0.9


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
    run.run_video(source, Prompting((first,)), output, Settings(export=("overlay",)), NoProgress(), overwrite=True)
    assert first.path.exists()

    tracked(root, output, "masks", overwrite=True)
    (output / "masks" / "notes.txt").write_text("mine")
    tracked(root, output, "overlay", overwrite=True)
    assert (output / "masks" / "notes.txt").read_text() == "mine"


def test_a_painted_mask_of_the_output_is_read_and_stays(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of it beside another object is written under another name, and a run of that is the same."""
    monkeypatch.setattr(run, "Engine", engine_of)
    output, source = tmp_path / "out", str(root / "JPEGImages" / "480p" / "alpha")
    painted, other = output / "prompts" / "00000_1.png", tmp_path / "other.png"
    painted.parent.mkdir(parents=True)
    Image.fromarray(np.full((HEIGHT, WIDTH), 255, np.uint8)).save(painted)
    half = np.zeros((HEIGHT, WIDTH), np.uint8)
    half[:, :20] = 255
    Image.fromarray(half).save(other)
    before = painted.read_bytes()
    said = [Prompt(0, 1, ObjectPrompt(mask=painted)), Prompt(0, 2, ObjectPrompt(mask=other))]
    for _ in range(2):
        sources = (GivenPrompts(VideoPrompts(tuple(said))),)
        run.run_video(source, Prompting(sources), output, Settings(export=("masks",)), NoProgress(), overwrite=True)

        named = read_prompts(output / "prompts.json").prompts
        assert [each.says.mask and each.says.mask.name for each in named] == ["00000_1-2.png", "00000_2.png"]
        assert painted.read_bytes() == before
        assert json.loads((output / "run.json").read_text())["complete"] is True


def test_a_model_that_cannot_be_loaded_leaves_no_folder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(settings: Settings) -> None:
        raise OutputError("no model")

    monkeypatch.setattr(run, "Engine", fail)

    with pytest.raises(OutputError, match="no model"):
        tracked(root, tmp_path / "out", "masks")

    assert not (tmp_path / "out").exists()


class Heard(NoProgress):
    """Notes warnings and starts."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def warn(self, message: str) -> None:
        self.seen.append(message)

    def start(self, name: str, frames: int | None, done: int = 0) -> None:
        self.seen.append("start")


def test_doubts_about_the_annotation_are_on_record(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Engine", engine_of)
    Image.fromarray(np.ones((HEIGHT, WIDTH), np.uint8)).save(root / "Annotations" / "480p" / "alpha" / "00000.png")

    seen: list[str] = []

    outcome = tracked(root, tmp_path / "out", "masks", progress=Heard(seen))

    [doubt] = [text for text in outcome.warnings if "too many to be told from the rest" in text]
    assert seen[:2] == [doubt, "start"], "it is told before anything is tracked"
    assert json.loads((tmp_path / "out" / "run.json").read_text())["warnings"] == list(outcome.warnings)
