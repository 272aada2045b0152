"""Runs with keyframes after the first frame: written as every run, and gone on with after a stop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cells import PriorAsMask
from fakes import Watch
from moving import SeeingEngine, film, keyframe
from PIL import Image

from persam_vos.exports.masks import MaskWriter
from persam_vos.masks import LabelMap
from persam_vos.media.readers import open_random_access
from persam_vos.pipeline.progress import NoProgress
from persam_vos.pipeline.writing import Outcome
from persam_vos.video.prompting.keyframes import Keyframes
from persam_vos.video.propagation import propagated as propagated_module
from persam_vos.video.propagation.kept import KEPT, MASKS, open_kept
from persam_vos.video.propagation.keyframed import propagate_video
from persam_vos.video.propagation.propagation import Propagation

COUNT = 12


class Stopped(NoProgress):
    """Stops the propagation as a kill would, but for what is in memory."""

    def __init__(self, after: int) -> None:
        self.walked, self._after = 0, after

    def prepare(self, done: int, expected: int) -> None:
        self.walked = done
        assert done <= expected
        if done == self._after:
            raise MemoryError("killed")


@pytest.fixture(autouse=True)
def _priors_as_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_decoder(method: object, *args: object, **options: object) -> Propagation:
        method._decoder = PriorAsMask()  # type: ignore[attr-defined]
        return Propagation(method, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(propagated_module, "Propagation", without_decoder)
    monkeypatch.setattr("persam_vos.video.propagation.saved_walk.EVERY", 3)


def run(folder: Path, output: Path, progress: NoProgress, *, resume: bool = False) -> Outcome:
    video = open_random_access(str(folder / "*.png"))
    truths = film({1: lambda i: 8 + 8 * i, 2: lambda i: 150 - 8 * i}, COUNT)[1]
    said = Keyframes((keyframe(truths, 4, 1), keyframe(truths, 7, 2), keyframe(truths, 9, 1)))
    output.mkdir(exist_ok=True)
    writers = [MaskWriter(output / "masks")]
    open_kept(output, anew=not resume)
    return propagate_video(SeeingEngine(), video, video.info, said, writers, progress, output)


def masks(output: Path) -> list[LabelMap]:
    return [np.asarray(Image.open(path)) for path in sorted((output / "masks").iterdir())]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "film"
    folder.mkdir()
    for index, rgb in enumerate(film({1: lambda i: 8 + 8 * i, 2: lambda i: 150 - 8 * i}, COUNT)[0]):
        Image.fromarray(rgb).save(folder / f"{index:05d}.png")
    return folder


def test_every_frame_is_written_and_only_masks_stay(images: Path, tmp_path: Path) -> None:
    done: list[int] = []

    outcome = run(images, tmp_path / "out", Watch(lambda result: done.append(result.index)))

    assert outcome.frames == len(masks(tmp_path / "out")) == COUNT
    assert outcome.encoded == COUNT
    assert done == list(range(COUNT))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"masks", KEPT}
    assert [path.name for path in (tmp_path / "out" / KEPT).iterdir()] == [MASKS]
    assert all(set(np.unique(each)) == {0, 1, 2} for each in masks(tmp_path / "out"))


@pytest.mark.parametrize("after", [2, 9, 13])
def test_a_run_that_was_stopped_goes_on_to_the_same_masks(images: Path, tmp_path: Path, after: int) -> None:
    run(images, tmp_path / "whole", NoProgress())
    with pytest.raises(MemoryError):
        run(images, tmp_path / "out", Stopped(after))
    assert (tmp_path / "out" / KEPT).is_dir()
    assert not (tmp_path / "out" / "masks").exists()
    left = Stopped(-1)

    outcome = run(images, tmp_path / "out", left, resume=True)

    everything = Stopped(-1)
    run(images, tmp_path / "anew", everything)
    assert left.walked <= everything.walked - after + 5
    assert outcome.encoded < COUNT
    for one, other in zip(masks(tmp_path / "whole"), masks(tmp_path / "out"), strict=True):
        assert (one == other).all()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"masks", KEPT}
    assert [path.name for path in (tmp_path / "out" / KEPT).iterdir()] == [MASKS]


def test_a_run_that_is_not_resumed_begins_anew(images: Path, tmp_path: Path) -> None:
    with pytest.raises(MemoryError):
        run(images, tmp_path / "out", Stopped(5))

    assert run(images, tmp_path / "out", NoProgress()).encoded == COUNT
