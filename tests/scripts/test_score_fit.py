"""score.py and judged.py: masks become numbers, tables and pictures, and masks that are kept are those asked for."""

from __future__ import annotations

import argparse
from pathlib import Path

import judged
import numpy as np
import pytest
import score
import torch
from fakes import FakeEncoder
from judged import Judged
from pictures import frame_of

from persam_vos.media.frame import Frame
from persam_vos.methods import Segmentation, step_together
from persam_vos.methods.competition import CellPresence, soft_aggregation
from persam_vos.methods.score import Calibration, Evidence
from persam_vos.sam import ImageEmbedding
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import EMPTY_REGION, Region


def masks_of(kind: str, count: int, constant: float = 0.0) -> list[Judged]:
    """Masks whose J is a logistic function of their evidence, in ten groups."""
    made = []
    for i in range(count):
        features = {name: float(np.sin(7 * i + k)) for k, name in enumerate(ALL_FEATURES)}
        j = 1 / (1 + np.exp(-constant - features["predicted_iou"] + 0.5 * features["log_prior_softness"]))
        made.append(Judged(f"group {i % 10}", kind, frame=i, object_id=1, j=float(j), features=features))
    return made


ALL_FEATURES = sorted({name for subject in score.SUBJECTS.values() for name in subject.features} | {"predicted_iou"})


def test_every_kind_has_the_same_weight_and_the_function_is_found_again() -> None:
    fit = score.fitted(masks_of("many", 90) + masks_of("few", 10), ["predicted_iou", "log_prior_softness"])

    kinds = np.array(fit.kinds)
    assert fit.weight[kinds == "many"].sum() == pytest.approx(fit.weight[kinds == "few"].sum())
    assert fit.function.weights == pytest.approx([1.0, -0.5], abs=0.05)
    assert fit.new == pytest.approx(fit.j, abs=0.05)
    assert fit.old.min() >= 0


def test_the_numbers_are_a_module_that_predicts_what_was_fitted() -> None:
    masks = masks_of("plain", 60, constant=0.7)
    fits = {name: score.fitted(masks, subject.features) for name, subject in score.SUBJECTS.items()}

    written: dict[str, object] = {}
    exec(score.numbers(fits), written)

    for name, fit in fits.items():
        calibration = written[name]
        assert isinstance(calibration, Calibration)
        features = {key: torch.tensor([each.features[key] for each in masks]) for key in calibration.weights}
        inputs = np.array([[each.features[key] for key in score.SUBJECTS[name].features] for each in masks])
        assert calibration.predicted_j(features).numpy() == pytest.approx(fit.function(inputs), abs=1e-3)


def test_numbers_tables_and_diagrams_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, numbers = tmp_path / "docs" / "scores.md", tmp_path / "calibrations.py"
    page.parent.mkdir()
    marks = [f"<!-- {name} -->\nold\n<!-- end of {name} -->\n" for name in ("figures", "kinds")]
    page.write_text("above\n" + "between\n".join(marks) + "below\n")
    for name, path in (("PROJECT", tmp_path), ("PAGE", page), ("NUMBERS", numbers)):
        monkeypatch.setattr(score, name, path)
    fits = {name: score.fitted(masks_of("zoom", 30), subject.features) for name, subject in score.SUBJECTS.items()}

    score.write(fits)

    text = page.read_text()
    assert "old" not in text
    assert [each in text for each in ("above", "between", "below", "| zoom | 30 |", "photos, `persam`")] == [True] * 5
    assert numbers.read_text() == score.numbers(fits)
    pictures = sorted(path.name for path in (tmp_path / "docs" / "images").iterdir())
    assert pictures == ["reliability-memory-photos.svg", "reliability-memory-video.svg"]


def test_kept_masks_are_taken_for_the_same_clips_only(tmp_path: Path) -> None:
    asked: list[str] = []

    def collect(arguments: argparse.Namespace) -> list[Judged]:
        asked.append(arguments.split)
        return masks_of(arguments.split, 2)

    subject = score.Subject("some", collect, ("predicted_iou",))
    command = ["DAVIS", "--cache", str(tmp_path), "--records", str(tmp_path / "kept"), "--split"]
    found = [
        score.collected("SOME", subject, score.parser().parse_args([*command, split]))
        for split in ("development", "held-out", "development")
    ]

    assert asked == ["development", "held-out"]
    assert [masks[0].kind for masks in found] == ["development", "held-out", "development"]
    assert found[0] == found[2]


class Half:
    """A method, and all that comes of it, that finds object 1 in the left half of a frame, and object 2 nowhere."""

    prior, object_ids, aggregate = None, [1, 2], staticmethod(soft_aggregation)

    def study(self, *_: object) -> Half:
        return self

    def start(self, *_: object) -> Half:
        return self

    def look(self, frame: Frame, embedding: ImageEmbedding, /) -> Half:
        self.frame, self.embedding = frame, embedding
        return self

    def masks(self, _: object = None) -> tuple[list[Patch], CellPresence]:
        patches = [Patch(Region.at(0, 0, 4, 4), torch.full((4, 4), 9.0)), Patch(EMPTY_REGION, torch.zeros(0, 0))]
        similarity = lambda coverage: torch.full((2,), 0.9).where(coverage.flatten(1).any(dim=1), torch.nan)  # noqa: E731
        return patches, CellPresence(patches, [1, 2], self.embedding, similarity, needed=torch.zeros(2))

    def settle(self, label_map: torch.Tensor, /) -> tuple[Half, Segmentation]:
        evidence = Evidence({"predicted_iou": torch.tensor([0.9, 0.8])}, Calibration(0.0, {"predicted_iou": 1.0}))
        found = Segmentation(label_map.numpy(), evidence.score, torch.tensor([0.9, torch.nan]), evidence=evidence)
        return self, found


def test_masks_are_judged_by_the_truth_and_an_absent_object_has_none() -> None:
    recorder = judged._Recorder(Half())  # type: ignore[arg-type]
    frame, truth = frame_of(np.zeros((4, 8, 3), np.uint8), 5), np.ones((4, 8), np.uint8)
    (embedding,) = FakeEncoder().encode([frame])
    tracking = recorder.start(recorder.study(frame, embedding, truth, [1, 2]))
    assert recorder.last is None
    step_together([tracking], frame, embedding)
    assert recorder.last is not None

    (mask,) = judged._judged(Judged("cat", "plain"), 5, recorder.last, truth, [1, 2])

    assert (mask.group, mask.kind, mask.frame, mask.object_id, mask.j) == ("cat", "plain", 5, 1, 0.5)
    assert mask.features == {"predicted_iou": pytest.approx(0.9)}
    assert Judged(**mask.record()) == mask
    unknown = Segmentation(truth, torch.ones(2), torch.ones(2))
    assert not list(judged._judged(Judged("cat", "plain"), 5, unknown, truth, [1, 2]))
