"""A memory meets a new frame: where each object probably is, on the grid of cells, before the decoder is asked."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.config import TrackerSettings
from persam_vos.matching import Nearby, vote
from persam_vos.memory import Memory, View
from persam_vos.objects import Mask

# Steepness of the ridge's answer as a probability.
_RIDGE_SLOPE = 4.0
# How far a cell may have moved since the last frame.
_RADIUS = 8
# By how much, in cosine similarity, a cell must be more like the last frame's background nearby than like the object to
# count as background, and how gradually.
_CLEARLY = 0.1
_DOUBT = 0.03
# A probability above this is taken for the object.
_LIKELY = 0.5
# What another object has better claim to keeps this share of its probability.
_OUTDONE = 0.5
# A probability is kept off 0 and 1 by this, for its log-odds to be finite.
SHARPEST = 1e-4
# Share of an object's area that must be found where it was for look-alikes elsewhere to be dropped.
_ENOUGH = 0.6
# Cells that any object may move in a frame, and the share of a cell from which the object was there.
_LEAST_REACH = 2
_WAS_THERE = 0.3
# Probability of what lies elsewhere while the object is found where it was.
_ELSEWHERE = 1e-3


def foreground_prior(
    memory: Memory,
    view: View,
    nearest: Tensor,
    last: Tensor,
    seen: Tensor,
    settings: TrackerSettings,
    *,
    scale: int = 1,
) -> Tensor:
    """Combine the ridge regression with the matching of cells, near where the objects were.

    Args:
        memory: Of N objects.
        view: Of the frame, rows x columns cells.
        nearest: float, N x cells: how like each object the frame's cells are, by ``memory.nearest``.
        last: float, N x rows x columns in 0..1: share of the cells that each object covered when last seen.
        seen: bool, N: whether that was in the last frame, which is then the memory's last one as well; if not, the
            object may be anywhere.
        settings: Of the tracker.
        scale: How many of the cells lie along the side of one of the whole frame's.

    Returns:
        float, N x rows x columns in 0..1.
    """
    ridge = ridge_probability(memory, view)
    rows, columns = last.shape[1:]
    earlier, covered = memory.last
    nearby = Nearby.match(view.keys, earlier.keys, covered.unflatten(1, (rows, columns)), radius=scale * _RADIUS)
    everywhere = torch.arange(rows * columns, device=last.device)
    if not settings.gate:
        return _compare(memory, view, nearest, seen, settings, ridge, nearby, everywhere)
    near = near_where_it_was(last, seen, margin=settings.gate, least=scale * _LEAST_REACH)
    cells = _undecided(ridge.unflatten(1, (rows, columns)), near, settings.matching)
    while True:
        prior = _compare(memory, view, nearest, seen, settings, ridge, nearby, cells)
        found = found_there(prior, last, near)
        # Who is not found nearby is looked for everywhere, which takes the cells that were left out.
        if len(cells) == len(everywhere) or bool(found.all()):
            return keep_near(prior, near, found)
        cells = everywhere


def ridge_probability(memory: Memory, view: View) -> Tensor:
    """Return the ridge's answer as a probability: float, N x cells."""
    return torch.sigmoid(_RIDGE_SLOPE * memory.score(view))


def _compare(
    memory: Memory,
    view: View,
    nearest: Tensor,
    seen: Tensor,
    settings: TrackerSettings,
    ridge: Tensor,
    nearby: Nearby,
    cells: Tensor,
) -> Tensor:
    """Add the matching to the ridge's answer.

    Args:
        memory: Of N objects.
        view: Of the frame.
        nearest: float, N x cells; see ``foreground_prior``.
        seen: bool, N; see there.
        settings: Of the tracker.
        ridge: float, N x cells: the ridge's answers as probabilities.
        nearby: The frame matched with the memory's last one.
        cells: int: indices of those that are matched with the annotated frame; elsewhere it has no vote.

    Returns:
        float, N x rows x columns.
    """
    prior = ridge
    if settings.matching:
        first, shares = memory.first
        matched = torch.zeros_like(ridge)
        matched[:, cells] = vote(view.keys[cells] @ first.keys.T, shares)
        if settings.local_matching:
            blended = torch.lerp(matched, nearby.vote(), settings.local_matching)
            matched = torch.where(seen[:, None], blended, matched)
        prior = torch.lerp(prior, matched, settings.matching)
    if settings.background_matching:
        was_background = torch.sigmoid((nearby.background() - nearest - _CLEARLY) / _DOUBT)
        prior = torch.where(seen[:, None], prior * (1 - settings.background_matching * was_background), prior)
    best = prior.amax(dim=0)
    compared: Tensor = torch.where(prior >= best, prior, _OUTDONE * prior).unflatten(1, nearby.grid)
    return compared


def _undecided(ridge: Tensor, near: Tensor, matching: float) -> Tensor:
    """Return the indices of the cells where it matters how the annotated frame's cells vote.

    Elsewhere, away from where any object was, even all votes together would not make it likely, and what is unlikely
    there is next to nothing afterwards, whatever its value, unless it lies beside something likely.

    Args:
        ridge: float, N x rows x columns: the ridge's answers as probabilities.
        near: bool, N x rows x columns; see ``near_where_it_was``.
        matching: Share of the matching in the prior.
    """
    likely = (1 - matching) * ridge + matching > _LIKELY
    worth = (near | likely).any(dim=0)
    return functional.max_pool2d(worth[None].float(), 3, stride=1, padding=1).flatten().nonzero()[:, 0]


def near_where_it_was(last: Tensor, seen: Tensor, *, margin: float, least: int = _LEAST_REACH) -> Tensor:
    """Say where an object may be by now: bool, N x rows x columns; everywhere if it was out of sight.

    Args:
        last: float, N x rows x columns in 0..1: share of the cells when last seen.
        seen: bool, N: whether that was in the last frame.
        margin: How far the object may move in a frame, in square roots of its area.
        least: Cells that any object may move.
    """
    near = torch.ones_like(last, dtype=torch.bool)
    for i in seen.nonzero()[:, 0].tolist():
        was = last[i].cpu().numpy()
        reach = max(least, round(margin * math.sqrt(max(float(was.sum()), 1.0))))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        # A small object nowhere fills so much of a cell.
        allowed = cv2.dilate(was, disc) > min(_WAS_THERE, 0.5 * float(was.max()))
        near[i] = torch.from_numpy(allowed).to(near.device)
    return near


def found_there(prior: Tensor, last: Tensor, near: Tensor) -> Tensor:
    """Say whether enough of each object is found near where it was.

    Args:
        prior: float, N x rows x columns in 0..1.
        last: float, N x rows x columns in 0..1: share of the cells when last seen.
        near: bool, N x rows x columns; see ``near_where_it_was``.

    Returns:
        bool, N.
    """
    found = (prior * (near & (prior > _LIKELY))).sum(dim=(1, 2))
    return found >= _ENOUGH * last.sum(dim=(1, 2))


def keep_near(prior: Tensor, near: Tensor, found: Tensor) -> Tensor:
    """Drop what lies away from where an object was, if it is found there: look-alikes elsewhere.

    An object that moved too fast to be found nearby, or was out of sight, is looked for everywhere.

    Args:
        prior: float, N x rows x columns in 0..1.
        near: bool, N x rows x columns; see ``near_where_it_was``.
        found: bool, N; see ``found_there``.
    """
    kept = prior.clone()
    for i in found.nonzero()[:, 0].tolist():
        here = near[i].cpu().numpy()
        allowed = torch.from_numpy(here | _parts_mostly_in(here, prior[i].cpu().numpy() > _LIKELY)).to(prior.device)
        kept[i] = torch.where(allowed, prior[i], prior[i].clamp(max=_ELSEWHERE))
    return kept


def _parts_mostly_in(near: Mask, found: Mask) -> Mask:
    """Return the connected parts of ``found`` of which at least half lies in ``near``, grown by a cell."""
    count, parts = cv2.connectedComponents(found.astype(np.uint8), connectivity=4)
    sizes = np.bincount(parts.ravel(), minlength=count)
    inside = np.bincount(parts[near], minlength=count)
    chosen = 2 * inside >= sizes
    chosen[0] = False
    return cv2.dilate(chosen[parts].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
