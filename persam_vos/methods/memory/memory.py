"""The concept of the ``memory`` method: what tells each object from everything else, learnt while it is followed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.methods.memory.ridge import _KEY_DIMENSIONS, Basis, Moments
from persam_vos.settings.video import TrackerSettings

# Frames of which one is learnt from: neighbours look alike. On nine sequences and three composites J&F is within 0.1 of
# that of every frame, and within 0.2 with every fifth; so it is on eight of them backwards, and at a third of the rate.
_LEARN_EVERY = 3
# Cells of the annotated frame are kept by so many.
_IN_GROUPS = 16
# Cells with at least this share of the object are taken for the object.
_MAJORITY = 0.5
# How like its memory an object is taken to be until it is seen again: low enough for nearly any object. After that, the
# weight of a frame in the running mean.
USUAL_SIMILARITY = 0.85
_SIMILARITY_RATE = 0.1


@dataclass(frozen=True, slots=True)
class View:
    """The cells of one frame as the memory of N objects sees them.

    Attributes:
        features: float32 or bfloat16, cells x D: what is seen.
        keys: float, cells x k, of unit length: what is matched.
        ridge: float, N x cells: the ridge's answer, about +1 on the object and -1 elsewhere.
    """

    features: Tensor
    keys: Tensor
    ridge: Tensor


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of N objects.

    Attributes:
        basis: Of the annotated frame.
        annotated: Moments of the annotated frame; they never change.
        recent: Running moments of the frames since.
        weights: float, N x (d + 1): the ridge regression of both.
        projection: D x (k + N), of the type of the features: directions that yield keys and the ridge regression.
        first: Keys (cells x k) and coverage (N x cells) of the annotated frame, of its ``sample_cells``.
        last: Keys and coverage of the last frame in which any object was seen.
        object_keys: Of each object, keys of its cells in the annotated frame and in the last one where it was seen.
        usual_similarity: float, N: running mean of each object's similarity to its memory, -1..1; NaN before the first.
        waiting: Frames since the running moments have taken one in.
    """

    basis: Basis
    annotated: Moments
    recent: Moments
    weights: Tensor
    projection: Tensor
    first: tuple[Tensor, Tensor]
    last: tuple[Tensor, Tensor]
    object_keys: tuple[tuple[Tensor, Tensor], ...]
    usual_similarity: Tensor
    waiting: int = 0

    @classmethod
    def learn(cls, features: Tensor, coverage: Tensor, regularisation: float) -> Memory:
        """Learn the objects of the annotated frame.

        Args:
            features: float32 or bfloat16, cells x D.
            coverage: float, N x cells in 0..1, of each object; each has some cell.
            regularisation: Of the ridge regression.
        """
        basis = Basis.of(features)
        inputs = basis.inputs(features)
        moments = Moments.of(inputs, coverage)
        weights = moments.solve(regularisation)
        kept = sample_cells(coverage)
        keys = functional.normalize(inputs[:, :-1][:, :_KEY_DIMENSIONS], dim=1)
        return cls(
            basis=basis,
            annotated=moments,
            recent=moments,
            weights=weights,
            projection=_projection(basis, weights),
            first=(keys[kept], coverage[:, kept]),
            last=(keys, coverage),
            object_keys=tuple((keys[own], keys[own]) for own in map(object_cells, coverage)),
            usual_similarity=torch.full((len(coverage),), torch.nan, device=features.device),
        )

    def view(self, features: Tensor) -> View:
        """See a frame, cells x D, of the type of what was learnt from."""
        numbers = self.first[0].shape[1], len(self.weights)
        projected, ridge = (features @ self.projection).float().split(numbers, dim=1)
        return View(features, functional.normalize(projected, dim=1), ridge.T + self.weights[:, -1:])

    def similarity(self, keys: Tensor) -> Tensor:
        """Say how like the cell of the object that it is most like each cell is.

        Returns:
            float, N x cells: the best cosine similarity, -1..1, with the object's cells in the annotated frame and in
            the last one where it was seen. It is absolute: of something that the frame before did not show, it is low
            even where the ridge and the matching, which only compare, have nothing better to offer.
        """
        return torch.stack([(keys @ torch.cat(own).T).amax(dim=1) for own in self.object_keys])

    def update(
        self, view: View, coverage: Tensor, seen: Tensor, similarity: Tensor, settings: TrackerSettings
    ) -> Memory:
        """Return the memory after one more frame.

        Args:
            view: Of the frame.
            coverage: float, N x cells: where each object was found.
            seen: bool, N: the memory of the others stays as it is.
            similarity: float, N: mean of ``similarity`` over the object's cells.
            settings: Of the tracker: the rates at which it learns.
        """
        if not bool(seen.any()):
            return self
        recent, weights, projection, waiting = self.recent, self.weights, self.projection, self.waiting + 1
        if settings.memory_rate and waiting == _LEARN_EVERY:
            rate = 1 - (1 - settings.memory_rate) ** waiting
            kept = sample_cells(coverage)
            moments = Moments.of(self.basis.inputs(view.features[kept]), coverage[:, kept])
            recent = self.recent.lerp(moments, rate * seen.float())
            weights = recent.lerp(self.annotated, settings.first_share).solve(settings.regularisation)
            projection, waiting = _projection(self.basis, weights), 0
        usual = torch.where(
            self.usual_similarity.isnan(), similarity, torch.lerp(self.usual_similarity, similarity, _SIMILARITY_RATE)
        )
        return Memory(
            basis=self.basis,
            annotated=self.annotated,
            recent=recent,
            weights=weights,
            projection=projection,
            first=self.first,
            last=(view.keys, coverage),
            object_keys=tuple(
                (first, view.keys[object_cells(share)] if now else last)
                for (first, last), share, now in zip(self.object_keys, coverage, seen.tolist(), strict=True)
            ),
            usual_similarity=torch.where(seen, usual, self.usual_similarity),
            waiting=waiting,
        )


def _projection(basis: Basis, weights: Tensor) -> Tensor:
    """Return D x (k + N): the keys' directions, and a combination of all of them in place of the ridge's weights."""
    combined = basis.directions.float() @ weights[:, :-1].T
    return torch.cat([basis.key_directions, combined.to(basis.directions.dtype)], dim=1)


def sample_cells(coverage: Tensor) -> Tensor:
    """Return the indices of all cells that hold some of an object, and of every other one of the rest, in no order.

    The rest is most of the frame, and neighbours look alike: on nine sequences, forwards, backwards and at every third
    frame, and three composites J&F is within 0.1 of that of all cells.

    Args:
        coverage: float, N x cells in 0..1: of each object.
    """
    held = (coverage > 0).any(dim=0)
    own, rest = held.nonzero()[:, 0], (~held).nonzero()[::2, 0]
    # So many, if there are as many, that the most similar ones can be found by groups of them; see ``read_out``.
    surplus = (len(own) + len(rest)) % _IN_GROUPS
    return torch.cat([own, rest[: max(len(rest) - surplus, 0)]])


def object_cells(coverage: Tensor) -> Tensor:
    """Return bool, cells: the object's own; for one smaller than half a cell, the cell that it covers most of."""
    own = coverage >= _MAJORITY
    own[coverage.argmax()] = True
    return own
