"""A memory meets a new frame: where each object probably is, on the grid of cells, before the decoder is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
# A cell to which ridge and last frame both give less is no object's, whatever the annotated frame may say: on nine
# sequences and three composites J&F is the same, with two thirds of the questions.
_RULED_OUT = 0.05
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
    rows, columns = last.shape[1:]
    evidence = _Evidence.of(memory, view, nearest, (rows, columns), seen, settings, radius=scale * _RADIUS)
    everywhere = torch.arange(rows * columns, device=last.device)
    if not settings.gate:
        prior: Tensor = _compare(memory, view, evidence, settings, everywhere).unflatten(1, (rows, columns))
        return prior
    near = near_where_it_was(last, seen, margin=settings.gate, least=scale * _LEAST_REACH)
    cells = _undecided(evidence, near.flatten(1), settings, columns)
    while True:
        prior = _compare(memory, view, evidence, settings, cells).unflatten(1, (rows, columns))
        found = found_there(prior, last, near)
        # Who is not found nearby is looked for everywhere, which takes the cells that were left out.
        if len(cells) == len(everywhere) or bool(found.all()):
            return keep_near(prior, near, found)
        cells = everywhere


def ridge_probability(view: View) -> Tensor:
    """Return the ridge's answer as a probability: float, N x cells."""
    return torch.sigmoid(_RIDGE_SLOPE * view.ridge)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What is known of a frame's cells before those of the annotated frame are asked.

    Attributes:
        ridge: float, N x cells: the ridge's answers as probabilities.
        recent: float, N x cells in 0..1: how the cells vote that were nearby in the last frame; 0 far from all objects.
        background: float, N x cells in 0..1: how surely a cell is what was background nearby in the last frame.
        seen: bool, N x 1: whether the object was in that frame, without which it says nothing.
    """

    ridge: Tensor
    recent: Tensor
    background: Tensor
    seen: Tensor

    @classmethod
    def of(
        cls,
        memory: Memory,
        view: View,
        nearest: Tensor,
        grid: tuple[int, int],
        seen: Tensor,
        settings: TrackerSettings,
        *,
        radius: int,
    ) -> _Evidence:
        """Collect it; for the arguments see ``foreground_prior``."""
        earlier, covered = memory.last
        ridge = ridge_probability(view)
        nearby = Nearby.match(view.keys, earlier, covered.unflatten(1, grid), radius=radius)
        # Not asked, it rules nothing out.
        recent = nearby.vote() if settings.matching and settings.local_matching else torch.ones_like(ridge)
        background = torch.zeros_like(ridge)
        if settings.background_matching:
            background = torch.sigmoid((nearby.background() - nearest - _CLEARLY) / _DOUBT)
        return cls(ridge, recent, background, seen[:, None])


def _compare(memory: Memory, view: View, evidence: _Evidence, settings: TrackerSettings, cells: Tensor) -> Tensor:
    """Let the cells of the annotated frame vote, and weigh all that is known.

    Args:
        memory: Of N objects.
        view: Of the frame.
        evidence: Of it.
        settings: Of the tracker.
        cells: int: indices of those that the annotated frame is asked about; of the others it says no.

    Returns:
        float, N x cells in 0..1.
    """
    prior, seen = evidence.ridge, evidence.seen
    if settings.matching:
        first, shares = memory.first
        matched = torch.zeros_like(prior)
        matched[:, cells] = vote(view.keys[cells] @ first.T, shares)
        matched = torch.where(seen, torch.lerp(matched, evidence.recent, settings.local_matching), matched)
        prior = torch.lerp(prior, matched, settings.matching)
    prior = torch.where(seen, prior * (1 - settings.background_matching * evidence.background), prior)
    best = prior.amax(dim=0)
    return torch.where(prior >= best, prior, _OUTDONE * prior)


def _undecided(evidence: _Evidence, near: Tensor, settings: TrackerSettings, columns: int) -> Tensor:
    """Return the indices of the cells where it matters how the annotated frame's cells vote.

    Elsewhere all votes together would not make an object likely; and either ridge and last frame agree that it is not
    there, or it was nowhere near: what is unlikely there is next to nothing afterwards, whatever its value, unless it
    lies beside something likely.

    Args:
        evidence: Of the frame.
        near: bool, N x cells; see ``near_where_it_was``.
        settings: Of the tracker.
        columns: Of the grid of cells.
    """
    matching, local = settings.matching, settings.local_matching
    likely = (1 - matching) * evidence.ridge + matching > _LIKELY
    worth = (near | likely).any(dim=0).unflatten(0, (-1, columns))
    around = functional.max_pool2d(worth[None].float(), 3, stride=1, padding=1).flatten() > 0
    at_most = (1 - matching) * evidence.ridge + matching * (1 - local + local * evidence.recent)
    possible = (evidence.ridge > _RULED_OUT) | (evidence.recent > _RULED_OUT) | (at_most > _LIKELY) | ~evidence.seen
    return (around & possible.any(dim=0)).nonzero()[:, 0]


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
