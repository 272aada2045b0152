"""A memory and a query go in; out comes the prior: where each object probably is, before the decoder is asked.

The ridge regression, global matching with the annotated frame and local matching with the last frame are mixed; then
the gate drops look-alikes elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.methods.memory.gate import OBJECT_PROBABILITY, found_nearby, keep_near, reachable_cells
from persam_vos.methods.memory.matching import LocalMatching, TopK, read_out
from persam_vos.methods.memory.memory import Memory, View
from persam_vos.settings.common import MemorySettings
from persam_vos.settings.video import TrackerSettings

# Probabilities are kept off 0 and 1 by this, so that their logits are finite.
MIN_PROBABILITY = 1e-4


@dataclass(frozen=True, slots=True)
class Query:
    """A frame to be searched for N objects, and where they were before.

    Attributes:
        view: Of the frame's rows x columns cells.
        similarity: float, N x cells: of each cell to each object, by ``Memory.similarity``.
        last: float, N x rows x columns in 0..1: coverage by each object when last seen.
        seen: bool, N: whether that was in the last frame, which is then the memory's recent one as well; if not, the
            object may be anywhere.
        scale: Cells along the side of one cell of the whole frame.
    """

    view: View
    similarity: Tensor
    last: Tensor
    seen: Tensor
    scale: int = 1

    @classmethod
    def of(cls, memory: Memory, features: Tensor, last: Tensor, seen: Tensor, *, scale: int = 1) -> Query:
        """Look at the cells of a frame, float cells x D; for the other arguments see the attributes."""
        view = memory.view(features)
        return cls(view, memory.similarity(view.keys), last, seen, scale)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.last.shape[1]), int(self.last.shape[2])

    def on_grid(self, cells: Tensor) -> Tensor:
        """Return N x cells as N x rows x columns."""
        laid_out: Tensor = cells.unflatten(1, self.grid)
        return laid_out


def foreground_prior(memory: Memory, query: Query, settings: TrackerSettings) -> Tensor:
    """Return the probability of each object: float, N x rows x columns in 0..1.

    Args:
        memory: Of N objects.
        query: The frame.
        settings: Shares of ridge regression, matching and gate.
    """
    evidence = _Evidence.of(memory, query, settings)
    every_cell = torch.arange(query.view.ridge.shape[1], device=query.last.device)
    if not settings.gate:
        return query.on_grid(_probability(memory, query, evidence, settings, every_cell))
    near = reachable_cells(
        query.last,
        query.seen,
        margin=settings.gate,
        min_cells=query.scale * settings.gate_cells,
        coverage=settings.gate_coverage,
    )
    cells = _undecided_cells(query, evidence, near, settings)
    while True:
        prior = query.on_grid(_probability(memory, query, evidence, settings, cells))
        found = found_nearby(prior, query.last, near, settings.gate_found_share)
        # An object that is not found nearby is searched everywhere, which takes the cells that were left out.
        if len(cells) == len(every_cell) or bool(found.all()):
            return keep_near(prior, near, found)
        cells = every_cell


def ridge_probability(view: View, settings: MemorySettings) -> Tensor:
    """Return the ridge regression as a probability: float, N x cells."""
    return torch.sigmoid(settings.ridge_slope * view.ridge)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What is known of a frame's cells before global matching.

    Attributes:
        ridge: float, N x cells: the ridge regression as a probability.
        local: float, N x cells in 0..1: readout of local matching; 0 far from all objects.
        background: float, N x cells in 0..1: how surely a cell was background nearby in the last frame.
    """

    ridge: Tensor
    local: Tensor
    background: Tensor

    @classmethod
    def of(cls, memory: Memory, query: Query, settings: TrackerSettings) -> _Evidence:
        """Collect it."""
        ridge = ridge_probability(query.view, settings)
        radius = query.scale * settings.matching_radius
        recent = memory.recent
        matched = LocalMatching.match(query.view.keys, recent.keys, query.on_grid(recent.values), radius=radius)
        # Where local matching is off, ones rule no cell out.
        local = torch.ones_like(ridge)
        if settings.matching and settings.local_matching:
            local = matched.read_out(TopK(settings.top_k, settings.matching_temperature))
        background = torch.zeros_like(ridge)
        if settings.background_matching:
            excess = (
                matched.background_similarity(settings.background_coverage)
                - query.similarity
                - settings.background_margin
            )
            background = torch.sigmoid(excess / settings.background_softness)
        return cls(ridge, local, background)


def _probability(memory: Memory, query: Query, evidence: _Evidence, settings: TrackerSettings, cells: Tensor) -> Tensor:
    """Add global matching to the evidence, and mix.

    Args:
        memory: Of N objects.
        query: The frame.
        evidence: Of the frame.
        settings: Shares of the mix.
        cells: int: indices of the cells that are matched globally; the readout of the others is 0.

    Returns:
        float, N x cells in 0..1.
    """
    prior, seen = evidence.ridge, query.seen[:, None]
    if settings.matching:
        annotated, top_k = memory.annotated, TopK(settings.top_k, settings.matching_temperature)
        matched = torch.zeros_like(prior)
        matched[:, cells] = read_out(query.view.keys[cells] @ annotated.keys.T, annotated.values, top_k)
        matched = torch.where(seen, torch.lerp(matched, evidence.local, settings.local_matching), matched)
        prior = torch.lerp(prior, matched, settings.matching)
    prior = torch.where(seen, prior * (1 - settings.background_matching * evidence.background), prior)
    return outdone(prior, prior.amax(dim=0), settings)


def outdone(prior: Tensor, best: Tensor, settings: TrackerSettings) -> Tensor:
    """Lower the probability of an object where another one is more probable.

    Args:
        prior: float, N x ... in 0..1.
        best: float, ... in 0..1: the highest probability of an object.
        settings: What is left.
    """
    return torch.where(prior >= best, prior, settings.outdone_share * prior)


def _undecided_cells(query: Query, evidence: _Evidence, near: Tensor, settings: TrackerSettings) -> Tensor:
    """Return the indices of the cells whose global matching matters.

    Skip it where even the highest readout cannot make an object likely and the ridge regression and the last frame both
    give less than ``global_matching_probability``. Skip it also where the gate would drop the cell.

    Args:
        query: The frame.
        evidence: Of the frame.
        near: bool, N x rows x columns; see ``reachable_cells``.
        settings: Shares of the mix.
    """
    matching, share = settings.matching, settings.local_matching
    likely = query.on_grid((1 - matching) * evidence.ridge + matching > OBJECT_PROBABILITY)
    matters = (near | likely).any(dim=0)
    beside = functional.max_pool2d(matters[None].float(), 3, stride=1, padding=1).flatten() > 0
    at_most = (1 - matching) * evidence.ridge + matching * (1 - share + share * evidence.local)
    possible = (evidence.ridge > settings.global_matching_probability) | (
        evidence.local > settings.global_matching_probability
    )
    possible |= (at_most > OBJECT_PROBABILITY) | ~query.seen[:, None]
    return (beside & possible.any(dim=0)).nonzero()[:, 0]
