"""Scores: the function that predicts the IoU, its numbers, and what it says of right and wrong masks."""

from __future__ import annotations

import math

import pytest
import torch

from persam_vos.methods import calibrations
from persam_vos.methods.score import Calibration, Evidence

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
    good = {"predicted_iou", "agreement", "consensus", "similarity_share", "similarity_excess", "overlap_with_last"}
    bad = {"softness", "prior_softness"}

    assert all(weights[each] > 0 for each in good & set(weights))
    assert all(weights[each] < 0 for each in bad & set(weights))
