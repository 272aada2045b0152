"""The fit of scores and its figures, on cases whose outcome is known."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import calibration
import numpy as np
import pytest
from calibration import bins, calibration_error, fit, left_out, ranking, worst_found
from diagram import reliability_svg


def ones(count: int) -> np.ndarray:
    return np.ones(count)


def test_the_calibration_error_is_the_mean_distance_over_bins_of_equal_weight() -> None:
    score = np.array([0.1, 0.1, 0.9, 0.9])
    j = np.array([0.0, 0.4, 0.8, 0.6])

    assert calibration_error(score, j, ones(4), 2) == pytest.approx((0.1 + 0.2) / 2)
    # Two masks of weight 3 count as six masks.
    assert calibration_error(score, j, np.array([3.0, 3.0, 1.0, 1.0]), 2) == pytest.approx((6 * 0.1 + 2 * 0.2) / 8)


def test_a_score_that_is_right_on_average_has_no_calibration_error() -> None:
    assert calibration_error(np.full(8, 0.5), np.tile([0.0, 1.0], 4), ones(8)) == pytest.approx(0)


def test_masks_of_the_same_score_share_a_bin() -> None:
    found = bins(np.array([0.2] * 6 + [0.7] * 4), np.array([0.0] * 5 + [1.0] * 5), ones(10))

    assert [(round(each.score, 9), round(each.j, 9), round(each.share, 9)) for each in found] == [
        (0.2, pytest.approx(1 / 6), 0.6),
        (0.7, 1.0, 0.4),
    ]


def test_the_worst_masks_are_found_or_not() -> None:
    j = np.arange(20) / 20

    assert worst_found(j, j, ones(20)) == pytest.approx(1)
    assert worst_found(-j, j, ones(20)) == pytest.approx(0)
    # All are suspected alike: as many are found as by guessing.
    assert worst_found(np.zeros(20), j, ones(20)) == pytest.approx(0.1)


def test_ranking_is_the_chance_of_the_right_order() -> None:
    bad = np.array([True, True, False, False])

    assert ranking(np.array([0.1, 0.2, 0.3, 0.4]), bad, ones(4)) == 1
    assert ranking(np.array([0.1, 0.35, 0.3, 0.4]), bad, ones(4)) == pytest.approx(0.75)
    assert ranking(np.full(4, 0.5), bad, ones(4)) == pytest.approx(0.5)
    assert np.isnan(ranking(np.full(4, 0.5), np.zeros(4, bool), ones(4)))


def test_a_logistic_function_is_found_again() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(2000, 3)) * [1.0, 5.0, 0.2]
    j = 1 / (1 + np.exp(-(0.5 + features @ [1.0, -0.3, 2.0])))

    found = fit(features, j, ones(2000))

    assert found(features) == pytest.approx(j, abs=0.02)
    assert found.weights == pytest.approx([1.0, -0.3, 2.0], rel=0.1)


def test_a_group_is_predicted_by_the_others_alone() -> None:
    features = np.array([[0.0], [1.0], [0.0], [1.0]])

    predicted = left_out(features, np.array([0.1, 0.9, 0.9, 0.1]), ones(4), ["a", "a", "b", "b"])

    assert (predicted[:2] > 0.5).tolist() == [True, False]
    assert (predicted[2:] > 0.5).tolist() == [False, True]


def test_a_diagram_shows_every_bin() -> None:
    drawn = {"one": [calibration.Bin(0.2, 0.3, 0.5), calibration.Bin(0.8, 0.7, 0.5)], "other": []}

    root = ElementTree.fromstring(reliability_svg(drawn))

    circles = [each for each in root if each.tag.endswith("circle")]
    assert len(circles) == 2 + 2
    assert float(circles[0].get("cx", 0)) < float(circles[1].get("cx", 0))
    assert float(circles[0].get("cy", 0)) > float(circles[1].get("cy", 0))
