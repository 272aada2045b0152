"""Features and true J of masks go in; out come a logistic function, and how far its scores can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BINS = 10
"""Of a reliability diagram; each holds the same weight of masks."""
# The worst masks that are looked for, as a share of all.
_WORST = 0.1
# Strength of the prior that weights are 0, in masks; it only keeps features that say the same from growing apart.
_RIDGE = 1e-3
_STEPS = 50


@dataclass(frozen=True, slots=True)
class Logistic:
    """J as a logistic function of features: ``sigmoid(constant + features @ weights)``."""

    constant: float
    weights: Floats

    def __call__(self, features: Floats) -> Floats:
        """Return the predicted J, float, n, of features, float, n x k."""
        return _sigmoid(self.constant + features @ self.weights)


def _sigmoid(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def fit(features: Floats, j: Floats, weight: Floats) -> Logistic:
    """Fit by cross-entropy, whose least is where predictions are right on average; Newton's method.

    Args:
        features: float, n x k.
        j: float, n in 0..1: the truth.
        weight: float, n: of each mask.
    """
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-12
    inputs = np.column_stack([np.ones(len(j)), (features - mean) / scale])
    share = weight / weight.sum()
    ridge = _RIDGE * np.diag([0.0, *np.ones(features.shape[1])])
    found = np.zeros(inputs.shape[1])
    for _ in range(_STEPS):
        predicted = _sigmoid(inputs @ found)
        gradient = inputs.T @ (share * (predicted - j)) + ridge @ found
        curvature = (inputs * (share * predicted * (1 - predicted))[:, None]).T @ inputs + ridge
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(found)), gradient)
        # A logistic function is nearly flat far out, where a whole step would leap.
        found -= step * min(1.0, 4.0 / (np.abs(step).max() + 1e-12))
    weights = found[1:] / scale
    return Logistic(float(found[0] - mean @ weights), weights)


def left_out(features: Floats, j: Floats, weight: Floats, groups: Sequence[str]) -> Floats:
    """Predict the masks of each group by a function that is fitted on all other groups: float, n."""
    names, predicted = np.array(groups), np.empty(len(j))
    for name in np.unique(names):
        out = names == name
        predicted[out] = fit(features[~out], j[~out], weight[~out])(features[out])
    return predicted


@dataclass(frozen=True, slots=True)
class Bin:
    """Masks of about the same score: their mean score, their mean J, and their share of all."""

    score: float
    j: float
    share: float


def bins(score: Floats, j: Floats, weight: Floats, count: int = BINS) -> list[Bin]:
    """Sort masks by score into bins of equal weight; fewer bins where scores are the same."""
    order = np.argsort(score, kind="stable")
    edges = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    # Masks of the same score lie in the same bin.
    _, same = np.unique(score[order], return_inverse=True)
    first = np.minimum((edges * count).astype(int), count - 1)
    first = np.array([first[same == k].min() for k in range(same.max() + 1)])[same]
    return [
        Bin(_mean(score[inside], weight[inside]), _mean(j[inside], weight[inside]), weight[inside].sum() / weight.sum())
        for inside in (order[first == k] for k in np.unique(first))
    ]


def calibration_error(score: Floats, j: Floats, weight: Floats, count: int = BINS) -> float:
    """Return the expected calibration error: the mean distance of score and J over bins of equal weight."""
    return sum(each.share * abs(each.score - each.j) for each in bins(score, j, weight, count))


def worst_found(score: Floats, j: Floats, weight: Floats) -> float:
    """Return the share of the masks of the lowest scores whose J is among the lowest, as many of each.

    All masks whose J is that of the last one among the lowest count as such.
    """
    suspected, limit = _lowest(score, weight, _WORST), j[_lowest(j, weight, _WORST) > 0].max()
    return float((suspected * (j <= limit) * weight).sum() / (suspected * weight).sum())


def _lowest(values: Floats, weight: Floats, share: float) -> Floats:
    """Return which masks are of the lowest values, float, n in 0..1; those at the edge are in by an equal part."""
    order = np.argsort(values, kind="stable")
    room = np.clip(share * weight.sum() - (np.cumsum(weight[order]) - weight[order]), 0, weight[order])
    taken = np.empty_like(room)
    taken[order] = room
    _, same = np.unique(values, return_inverse=True)
    return np.asarray((np.bincount(same, taken) / np.bincount(same, weight))[same])


def ranking(score: Floats, bad: npt.NDArray[np.bool_], weight: Floats) -> float:
    """Return the chance that a bad mask has a lower score than a good one (AUC); NaN if there are none of either."""
    if bad.all() or not bad.any():
        return float("nan")
    values, same = np.unique(score, return_inverse=True)
    of_bad, of_good = (np.bincount(same, weight * each, len(values)) for each in (bad, ~bad))
    below = np.cumsum(of_bad) - of_bad / 2
    return float((below * of_good).sum() / (of_bad.sum() * of_good.sum()))


def _mean(values: Floats, weight: Floats) -> float:
    return float(np.average(values, weights=weight))


def summary(score: Floats, j: Floats, weight: Floats) -> Iterator[tuple[str, float]]:
    """Yield the name and value of each figure."""
    yield "ECE", calibration_error(score, j, weight)
    yield "worst tenth found", worst_found(score, j, weight)
    yield "AUC of J < 0.5", ranking(score, j < 0.5, weight)
    yield "mean absolute error", _mean(np.abs(score - j), weight)
