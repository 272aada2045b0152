"""The objects of a video's first frame found by photos of them, with the shipped weights, and then tracked."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FakeEngine
from pictures import frame_of, iou, scene
from PIL import Image

from persam_vos.errors import EmptyMaskError, MaskSizeError, PhotoError, SettingsError
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.array_reader import ArrayReader
from persam_vos.media.reference_files import ReferenceFile
from persam_vos.methods.prompted import PromptedMasks
from persam_vos.pipeline.progress import NoProgress
from persam_vos.pipeline.writing import Outcome
from persam_vos.prompts import Box, ObjectPrompt, Prompt, VideoPrompts
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.first_reference import FirstReference, reference_settings
from persam_vos.video.prompting.given_prompts import GivenPrompts
from persam_vos.video.prompting.label_maps import AnnotationArray, AnnotationFile
from persam_vos.video.prompting.prompting import Prompting
from persam_vos.video.run import run_video

pytestmark = pytest.mark.usefixtures("networks_are_shared")

FAST: dict[str, Any] = {"backend": "torch", "precision": "float32", "mask_token": False, "export": ("masks",)}
AWAY = None


def save_reference(folder: Path, name: str, rgb: Rgb, label_map: LabelMap) -> ReferenceFile:
    Image.fromarray(rgb).save(folder / f"{name}.png")
    Image.fromarray(label_map).save(folder / f"{name}_mask.png")
    return ReferenceFile(folder / f"{name}.png", folder / f"{name}_mask.png")


def save_video(folder: Path, *frames: Rgb) -> str:
    folder.mkdir()
    for index, rgb in enumerate(frames):
        Image.fromarray(rgb).save(folder / f"{index:05d}.png")
    return str(folder)


@pytest.fixture
def both(tmp_path: Path) -> ReferenceFile:
    """The cat, object 1, and the cup, object 2."""
    return save_reference(tmp_path, "both", *scene([(60, 80), (300, 100)]))


@pytest.fixture
def cat(tmp_path: Path) -> ReferenceFile:
    rgb, label_map = scene([(60, 80), (300, 100)])
    return save_reference(tmp_path, "cat", rgb, (label_map == 1).astype(np.uint8))


def track(source: str, output: Path, *references: ReferenceFile, method: str = "memory", **flags: Any) -> Outcome:
    settings = Settings(method=method, **FAST)
    first = FirstReference(references, reference_settings(settings, method, **flags))
    return run_video(source, Prompting((first,)), output, settings, NoProgress())


def mask_of(output: Path, frame: int = 0) -> LabelMap:
    return np.asarray(Image.open(output / "masks" / f"{frame:05d}.png"))


@pytest.mark.parametrize("method", ["memory", "persam"])
def test_objects_of_a_photo_are_found_and_tracked(tmp_path: Path, both: ReferenceFile, method: str) -> None:
    frames = [scene([(320 - 12 * i, 100), (70 + 8 * i, 60)]) for i in range(2)]
    source = save_video(tmp_path / "video", *(rgb for rgb, _ in frames))

    outcome = track(source, tmp_path / "out", both, method=method)

    assert (outcome.frames, outcome.warnings) == (2, ())
    for index, (_, labels) in enumerate(frames):
        found = mask_of(tmp_path / "out", index)
        assert iou(found == 1, labels == 1) > 0.8
        assert iou(found == 2, labels == 2) > 0.8
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["first_refs"] == [both.record()]
    assert record["first_ref_settings"]["method"] == method
    assert [each["object"] for each in record["found_in_first_frame"]] == record["objects"] == [1, 2]
    assert "first_mask" not in record


def test_the_search_runs_on_the_model_of_the_run(tmp_path: Path) -> None:
    settings = Settings(method="persam", model="vit_b", device="cpu", batch_size=3, checkpoint=tmp_path / "w.pth")

    found = reference_settings(settings, "persam", all_instances=True, max_objects=None)

    assert (found.model, found.device, found.batch_size, found.checkpoint) == ("vit_b", "cpu", 3, tmp_path / "w.pth")
    assert (found.method, found.all_instances, found.max_objects, found.target) == ("persam", True, 20, "mean")
    with pytest.raises(SettingsError, match="--max-objects is 0"):
        reference_settings(settings, "persam", max_objects=0)


def test_what_the_first_frame_does_not_show_is_an_error_and_leaves_nothing(tmp_path: Path, cat: ReferenceFile) -> None:
    source = save_video(tmp_path / "video", scene([AWAY, (200, 60)])[0])

    with pytest.raises(EmptyMaskError, match=r"video: nothing in its first frame is like what .*cat\.png shows"):
        track(source, tmp_path / "out", cat)

    assert not (tmp_path / "out").exists()


def test_one_object_of_two_is_tracked_and_the_other_is_told(tmp_path: Path, both: ReferenceFile) -> None:
    rgb, labels = scene([(200, 60), AWAY])
    source = save_video(tmp_path / "video", rgb)

    outcome = track(source, tmp_path / "out", both)

    assert len(outcome.warnings) == 1
    assert "object 2 of" in outcome.warnings[0]
    assert set(np.unique(mask_of(tmp_path / "out"))) == {0, 1}
    assert iou(mask_of(tmp_path / "out") == 1, labels == 1) > 0.8
    assert json.loads((tmp_path / "out" / "run.json").read_text())["warnings"] == list(outcome.warnings)


def test_every_instance_gets_a_number_of_its_own(tmp_path: Path, cat: ReferenceFile) -> None:
    rgb, labels = scene([(40, 60), AWAY])
    other, others = scene([(300, 110), AWAY])
    rgb[others == 1] = other[others == 1]
    source = save_video(tmp_path / "video", rgb)

    track(source, tmp_path / "all", cat, all_instances=True)
    track(source, tmp_path / "one", cat, all_instances=True, max_objects=1)

    found = mask_of(tmp_path / "all")
    assert set(np.unique(found)) == {0, 1, 2}
    for truth in (labels == 1, others == 1):
        assert max(iou(found == 1, truth), iou(found == 2, truth)) > 0.8
    assert set(np.unique(mask_of(tmp_path / "one"))) == {0, 1}


def test_a_mask_that_was_found_is_not_called_badly_drawn(cat: ReferenceFile) -> None:
    first = FirstReference((cat,), reference_settings(Settings(), "memory", all_instances=True))
    label_map = np.zeros((480, 854), np.uint8)
    label_map[100:200, 100:200] = label_map[100:200, 500:580] = 1
    found = ObjectResult(id=1, present=True, score=0.9, similarity=0.9, area=18000, box=(100, 100, 579, 199))

    assert not first._keyframes(FrameResult(0, 0, Fraction(1), label_map, (found,)), {}).warnings


def test_a_mask_of_a_prompt_is_not_called_badly_drawn_either(monkeypatch: pytest.MonkeyPatch) -> None:
    label_map = np.zeros((480, 854), np.uint8)
    label_map[100:200, 100:200] = label_map[100:200, 500:580] = 1
    frame = np.zeros((480, 854, 3), np.uint8)
    first = GivenPrompts(VideoPrompts((Prompt(None, 1, ObjectPrompt(Box(100, 100, 579, 199))),)))
    first.check(ArrayReader([frame], frame_rate=Fraction(25)))
    found = PromptedMasks(torch.from_numpy(label_map), (0.9,))
    monkeypatch.setattr("persam_vos.video.prompting.keyframes.masks_of_prompts", lambda *_: found)

    assert not first.find(FakeEngine(), lambda _: frame_of(frame)).warnings


def test_several_photos_each_show_an_object(tmp_path: Path, cat: ReferenceFile) -> None:
    rgb, labels = scene([AWAY, (30, 30)])
    cup = save_reference(tmp_path, "cup", rgb, labels)
    frame, truth = scene([(320, 100), (70, 60)])
    source = save_video(tmp_path / "video", frame)

    track(source, tmp_path / "out", cat, cup)

    assert iou(mask_of(tmp_path / "out") == 1, truth == 1) > 0.8
    assert iou(mask_of(tmp_path / "out") == 2, truth == 2) > 0.8


def test_faults_of_the_photos_are_found_before_the_model_is_loaded(
    tmp_path: Path, cat: ReferenceFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_engine(settings: Settings) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("persam_vos.video.run.Engine", no_engine)
    source = save_video(tmp_path / "video", scene([(40, 60), AWAY])[0])
    Image.new("L", (7, 5), 1).save(tmp_path / "small.png")

    with pytest.raises(PhotoError, match=r"none\.jpg"):
        track(source, tmp_path / "out", ReferenceFile(tmp_path / "none.jpg", cat.mask))
    with pytest.raises(MaskSizeError, match=r"small\.png"):
        track(source, tmp_path / "out", ReferenceFile(cat.photo, tmp_path / "small.png"))

    assert not (tmp_path / "out").exists()


def test_no_run_removes_what_it_learns_from(cat: ReferenceFile) -> None:
    settings = Settings()
    assert FirstReference((cat,), reference_settings(settings, "memory")).files == (cat.photo, cat.mask)
    assert AnnotationFile(cat.mask).files == (cat.mask,)


def test_white_beside_grey_is_warned_of(tmp_path: Path) -> None:
    labels = np.zeros((120, 160), np.uint8)
    labels[10:40, 10:40], labels[60:100, 60:120] = 100, 255
    Image.fromarray(labels).save(tmp_path / "mask.png")
    engine: Any = None
    no_frame: Any = None

    for first in (AnnotationFile(tmp_path / "mask.png"), AnnotationArray(labels)):
        first.check(ArrayReader([np.zeros((120, 160, 3), np.uint8)], frame_rate=Fraction(25)))
        assert "white, 255, is void beside other values" in first.find(engine, no_frame).warnings[0]
