"""A memory meets a new frame: where each object probably is, on the grid of cells, before the decoder is asked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.methods.memory.gate import _LEAST_REACH, _LIKELY, found_there, keep_near, near_where_it_was
from persam_vos.methods.memory.matching import LocalMatching, read_out
from persam_vos.methods.memory.memory import Memory, View
from persam_vos.settings.video import TrackerSettings

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
# What another object has better claim to keeps this share of its probability.
_OUTDONE = 0.5
# A probability is kept off 0 and 1 by this, for its logit to be finite.
MIN_PROBABILITY = 1e-4


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
        nearest: float, N x cells: how like each object the frame's cells are, by ``memory.similarity``.
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
        nearby = LocalMatching.match(view.keys, earlier, covered.unflatten(1, grid), radius=radius)
        # Not asked, it rules nothing out.
        recent = nearby.read_out() if settings.matching and settings.local_matching else torch.ones_like(ridge)
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
        first, coverage = memory.first
        matched = torch.zeros_like(prior)
        matched[:, cells] = read_out(view.keys[cells] @ first.T, coverage)
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
