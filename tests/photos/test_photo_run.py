"""Whole jobs on photos, with the shipped weights: what is found, what is refused, and going on after a stop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fakes import FEWER_STEPS
from pictures import iou, scene
from PIL import Image

from persam_vos.errors import MaskError, OutputError, PhotoError, SettingsError
from persam_vos.media.reference_files import ReferenceFile
from persam_vos.photos.run import run_photos
from persam_vos.pipeline.progress import NoProgress
from persam_vos.results import FrameResult
from persam_vos.sam.checkpoints.registry import resolve_checkpoint
from persam_vos.settings.photos import PhotoSettings

pytestmark = pytest.mark.usefixtures("networks_are_shared")

CAT, CUP = (60, 80), (300, 100)
FAST = {"backend": "torch", "precision": "float32", "mask_token": False, "passes": 1}


class Silence(NoProgress):
    """Progress that nobody watches."""

    def __init__(self) -> None:
        self.done, self.failures = 0, []

    def advance(self, result: FrameResult) -> None:
        self.done += 1

    def fail(self, message: str) -> None:
        self.failures.append(message)


def save(folder: Path, name: str, *places: tuple[int, int] | None) -> tuple[Path, np.ndarray]:
    """Write a scene with the cat and the cup; return the file and the label map."""
    rgb, labels = scene(places)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(folder / f"{name}.png")
    return folder / f"{name}.png", labels


@pytest.fixture
def reference(tmp_path: Path) -> ReferenceFile:
    """The cat, beside a cup that is not marked."""
    photo, labels = save(tmp_path, "reference", CAT, CUP)
    Image.fromarray((labels == 1).astype(np.uint8)).save(tmp_path / "mask.png")
    return ReferenceFile(photo, tmp_path / "mask.png")


@pytest.mark.cuda
@pytest.mark.parametrize(("method", "more"), [("memory", {}), ("persam", {}), ("persam-f", FEWER_STEPS)])
def test_the_object_is_found_elsewhere(
    tmp_path: Path, reference: ReferenceFile, method: str, more: dict[str, float]
) -> None:
    _, labels = save(tmp_path / "in", "a", (330, 120), (90, 60))
    settings = PhotoSettings(method=method, **FAST, **more)

    outcome = run_photos([reference], [str(tmp_path / "in")], tmp_path / "out", settings, Silence())

    assert (outcome.frames, outcome.failed) == (1, 0)
    found = np.asarray(Image.open(tmp_path / "out" / "masks" / "a.png"))
    assert iou(found == 1, labels == 1) > 0.8
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "cutouts" / "a.png"))[..., 3] > 0, found > 0)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["complete"] is True


@pytest.mark.cuda
def test_what_is_not_there_is_not_found(tmp_path: Path, reference: ReferenceFile) -> None:
    save(tmp_path / "in", "empty", None, None)

    run_photos([reference], [str(tmp_path / "in")], tmp_path / "out", PhotoSettings(**FAST), Silence())

    (line,) = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    assert [entry["present"] for entry in json.loads(line)["objects"]] == [False]


def test_resuming_does_only_the_rest(tmp_path: Path, reference: ReferenceFile) -> None:
    save(tmp_path / "in", "a", (330, 120), None)
    settings, out = PhotoSettings(**FAST), tmp_path / "out"
    run_photos([reference], [str(tmp_path / "in")], out, settings, Silence())
    save(tmp_path / "in", "b", (100, 60), None)
    progress = Silence()

    run_photos([reference], [str(tmp_path / "in")], out, settings, progress, resume=True)

    assert progress.done == 1
    names = [json.loads(line)["name"] for line in (out / "results.jsonl").read_text().splitlines()]
    assert names == ["a", "b"]


def test_weights_are_told_by_what_they_hold_and_exports_may_be_added(tmp_path: Path, reference: ReferenceFile) -> None:
    save(tmp_path / "in", "a", (330, 120), None)
    sources, out = [str(tmp_path / "in")], tmp_path / "out"
    run_photos([reference], sources, out, PhotoSettings(export=("masks",), **FAST), Silence())
    copy = tmp_path / "mobile_sam.safetensors"
    copy.write_bytes(resolve_checkpoint("mobile_sam").read_bytes())

    elsewhere = PhotoSettings(checkpoint=copy, export=("masks", "cutout"), **FAST)
    outcome = run_photos([reference], sources, out, elsewhere, Silence(), resume=True)

    assert outcome.frames == 1
    assert (out / "cutouts" / "a.png").exists()
    record = json.loads((out / "run.json").read_text())
    record["checkpoint"]["sha256"] = "0" * 64
    (out / "run.json").write_text(json.dumps(record))
    with pytest.raises(OutputError, match="made with other weights"):
        run_photos([reference], sources, out, elsewhere, Silence(), resume=True)


def test_results_of_other_settings_or_references_are_not_resumed(tmp_path: Path, reference: ReferenceFile) -> None:
    save(tmp_path / "in", "a", (330, 120), None)
    sources, out = [str(tmp_path / "in")], tmp_path / "out"
    run_photos([reference], sources, out, PhotoSettings(**FAST), Silence())

    other = PhotoSettings(**FAST | {"prior_share": 0.5})
    with pytest.raises(OutputError, match="made with prior_share"):
        run_photos([reference], sources, out, other, Silence(), resume=True)
    Image.fromarray((scene([CAT, CUP])[1] == 2).astype(np.uint8)).save(reference.mask)
    with pytest.raises(OutputError, match="made with other references"):
        run_photos([reference], sources, out, PhotoSettings(**FAST), Silence(), resume=True)


def test_results_that_no_record_explains_are_not_resumed(tmp_path: Path, reference: ReferenceFile) -> None:
    save(tmp_path / "in", "a", (330, 120), None)
    sources, out, settings = [str(tmp_path / "in")], tmp_path / "out", PhotoSettings(**FAST)
    run_photos([reference], sources, out, settings, Silence(), resume=True)  # nothing is there yet
    record = json.loads((out / "run.json").read_text())

    (out / "run.json").write_text(json.dumps(record | {"versions": record["versions"] | {"persam-vos": "0.0.1"}}))
    with pytest.raises(OutputError, match="made with version"):
        run_photos([reference], sources, out, settings, Silence(), resume=True)
    (out / "run.json").unlink()
    with pytest.raises(OutputError, match=r"holds results\.jsonl but no run\.json"):
        run_photos([reference], sources, out, settings, Silence(), resume=True)


def test_a_photo_that_cannot_be_read_stops_or_is_left_out(tmp_path: Path, reference: ReferenceFile) -> None:
    save(tmp_path / "in", "a", (330, 120), None)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no photo")
    sources, progress = [str(tmp_path / "in")], Silence()

    with pytest.raises(PhotoError, match=r"broken\.jpg"):
        run_photos([reference], sources, tmp_path / "x", PhotoSettings(**FAST), Silence())
    outcome = run_photos([reference], sources, tmp_path / "y", PhotoSettings(**FAST), progress, keep_going=True)

    assert (outcome.frames, outcome.failed, len(progress.failures)) == (1, 1, 1)
    lines = [json.loads(line) for line in (tmp_path / "y" / "results.jsonl").read_text().splitlines()]
    assert [line["photo"] for line in lines if "error" in line] == [str(tmp_path / "in" / "broken.jpg")]


def test_a_mask_of_everything_is_refused(tmp_path: Path, reference: ReferenceFile) -> None:
    Image.fromarray(np.ones((270, 480), np.uint8)).save(reference.mask)

    with pytest.raises(MaskError, match=r"mask\.png: covers all of"):
        run_photos([reference], [str(reference.photo)], tmp_path / "out", PhotoSettings(**FAST), Silence())


@pytest.mark.parametrize("erase", ["similarity", "pixels"])
def test_the_same_thing_twice_is_found_twice(tmp_path: Path, erase: str) -> None:
    rgb, labels = scene([CAT, None])
    rgb[:, 240:], left = rgb[:, :240].copy(), labels == 1
    right = np.roll(left, 240, axis=1)
    Image.fromarray(rgb).save(tmp_path / "two.png")
    Image.fromarray(left.astype(np.uint8)).save(tmp_path / "mask.png")
    pair = ReferenceFile(tmp_path / "two.png", tmp_path / "mask.png")
    settings = PhotoSettings(all_instances=True, erase=erase, **FAST)

    run_photos([pair], [str(pair.photo)], tmp_path / "out", settings, Silence())

    found = np.asarray(Image.open(tmp_path / "out" / "masks" / "two.png"))
    for truth in (left, right):
        assert max(iou(found == k, truth) for k in range(1, int(found.max()) + 1)) > 0.8


def test_instances_are_of_one_object(tmp_path: Path, reference: ReferenceFile) -> None:
    Image.fromarray(scene([CAT, CUP])[1]).save(reference.mask)

    with pytest.raises(SettingsError, match="the masks show 2 objects"):
        run_photos(
            [reference], [str(reference.photo)], tmp_path / "out", PhotoSettings(all_instances=True, **FAST), Silence()
        )
