"""Scores: the function that predicts the IoU, its numbers, and what it says of right and wrong masks."""

from __future__ import annotations

import math

import pytest
import torch
from cells import as_grid, scene_of_colours
from pictures import frame_of, scene

from persam_vos.methods import calibrations
from persam_vos.methods.memory.evidence import video_evidence
from persam_vos.methods.memory.memory import Memory
from persam_vos.methods.memory.prior import Query
from persam_vos.methods.score import Calibration, Evidence
from persam_vos.photos.finder import PhotoFinder
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import SamEncoder
from persam_vos.settings.common import MemorySettings
from persam_vos.settings.photos import PhotoSettings
from persam_vos.settings.video import TrackerSettings
from persam_vos.video.tracker import Tracker

CALIBRATIONS = {name: each for name, each in vars(calibrations).items() if isinstance(each, Calibration)}


def test_a_score_is_a_logistic_function_of_its_features() -> None:
    features = {"a": torch.tensor([0.0, 1.0, torch.nan]), "b": torch.tensor([0.5, -1.0, torch.nan])}

    score = Evidence(features, Calibration(1.0, {"a": 2.0, "b": -2.0})).score

    assert score.tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-5)), 0.0])


def test_features_that_have_no_weight_are_not_needed() -> None:
    evidence = Evidence.of(
        {"a": torch.tensor([3.0, 3.0]), "unused": torch.tensor([torch.nan, torch.nan])},
        Calibration(0.0, {"a": 1.0}),
        missing=torch.tensor([False, True]),
    )

    assert evidence.score.tolist() == pytest.approx([1 / (1 + math.exp(-3)), 0.0])


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_the_fitted_numbers_give_scores(name: str) -> None:
    """Finite numbers, and scores that stay within 0..1 for features far from all that was seen."""
    calibration = CALIBRATIONS[name]
    assert math.isfinite(calibration.constant)
    assert calibration.weights
    assert all(math.isfinite(weight) and weight for weight in calibration.weights.values())
    far = torch.tensor([-1e4, -1.0, 0.0, 1.0, 1e4])

    score = Evidence(dict.fromkeys(calibration.weights, far), calibration).score

    assert score.dtype == torch.float32
    assert bool(((score >= 0) & (score <= 1)).all())


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_what_speaks_for_a_mask_never_lowers_its_score(name: str) -> None:
    """Whatever the fit says of the other features, these may not count against a mask."""
    weights = CALIBRATIONS[name].weights
    good = {"predicted_iou", "annotated_shown", "similarity_share"}
    bad = {"log_softness", "log_prior_softness", "changed"}

    assert set(weights) <= good | bad
    assert all(weights[each] > 0 for each in good & set(weights))
    assert all(weights[each] < 0 for each in bad & set(weights))


def evidence_of(part: slice) -> Evidence:
    """What is said of a mask that covers ``part`` of the columns of an object with two colours."""
    features = scene_of_colours(20, 28)
    both = (features[:, 1] + features[:, 2])[None]
    memory = Memory.learn(features, both, MemorySettings())
    coverage = torch.zeros(1, 36, 64)
    coverage[:, :, part] = as_grid(both)[:, :, part]
    decoded = {name: torch.full((1,), 0.5) for name in ("predicted_iou", "softness", "prior_softness")}
    decoded["cells"] = torch.full((1,), 160.0)
    query = Query.of(memory, features, as_grid(both), torch.ones(1, dtype=torch.bool))
    return video_evidence(decoded, coverage, coverage.sum(dim=(1, 2)) > 0, query, memory)


def test_a_mask_without_a_part_of_the_object_is_doubted() -> None:
    whole, half, none = (evidence_of(part) for part in (slice(0, 64), slice(0, 28), slice(0, 1)))

    assert float(whole.features["annotated_shown"]) > float(half.features["annotated_shown"]) + 0.1
    assert float(whole.features["changed"]) == pytest.approx(0, abs=1e-5)
    assert float(half.features["changed"]) == pytest.approx(math.log(2), abs=1e-5)
    assert float(whole.score) > float(half.score) > 0
    assert all(bool(each.isnan()) for each in none.features.values())
    assert float(none.score) == 0


def test_the_wrong_thing_scores_lower_than_the_right_one(encoder: SamEncoder, decoder: Decoder) -> None:
    """A cup stands where the cat was; PerSAM is made to accept it."""
    settings = TrackerSettings(method="persam", presence=0.0)
    start, cat, cup = (scene(places) for places in ([(100, 60), None], [(106, 60), None], [None, (106, 60)]))
    scores = []
    for rgb, _ in (cat, cup):
        tracker = Tracker.from_parts(encoder, decoder, settings)
        tracker.start(frame_of(start[0]), start[1])
        scores.append(tracker.step(frame_of(rgb, 1)).objects[0].score)

    assert scores[1] < scores[0] - 0.2
    assert scores[1] < 0.5


def test_a_photo_of_something_else_scores_lower(encoder: SamEncoder, decoder: Decoder) -> None:
    finder = PhotoFinder.from_parts(encoder, decoder, PhotoSettings(presence=0.0))
    finder.learn([scene([(100, 60), None])])

    (cat,), (cup,) = (finder.find(scene(places)[0]).objects for places in ([(260, 90), None], [None, (260, 90)]))

    assert cat.present
    assert cup.present
    assert cat.score > 0.8
    assert cup.score < 0.5
