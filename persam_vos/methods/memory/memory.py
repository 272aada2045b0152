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
LIKENESS_BEFORE = 0.85
_LIKENESS_RATE = 0.1


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
        looked_at: D x (k + N), of the type of the features: the directions onto which every frame is projected, for its
            keys and for what the ridge multiplies.
        first: Keys (cells x k) and shares (N x cells) of the annotated frame, of its ``telling_cells``.
        last: Keys and shares of the last frame in which any object was seen.
        own_keys: Of each object, the keys of its cells in the annotated frame, and in the last one where it was seen.
        likeness: float, N: running mean of how like its memory each object is while seen, -1..1; NaN before the first.
        waiting: Frames since the running moments have taken one in.
    """

    basis: Basis
    annotated: Moments
    recent: Moments
    weights: Tensor
    looked_at: Tensor
    first: tuple[Tensor, Tensor]
    last: tuple[Tensor, Tensor]
    own_keys: tuple[tuple[Tensor, Tensor], ...]
    likeness: Tensor
    waiting: int = 0

    @classmethod
    def learn(cls, features: Tensor, shares: Tensor, regularisation: float) -> Memory:
        """Learn the objects of the annotated frame.

        Args:
            features: float32 or bfloat16, cells x D.
            shares: float, N x cells in 0..1, of each object; each has some cell.
            regularisation: Of the ridge regression.
        """
        basis = Basis.of(features)
        inputs = basis.inputs(features)
        moments = Moments.of(inputs, shares)
        weights = moments.solve(regularisation)
        kept = telling_cells(shares)
        keys = functional.normalize(inputs[:, :-1][:, :_KEY_DIMENSIONS], dim=1)
        return cls(
            basis=basis,
            annotated=moments,
            recent=moments,
            weights=weights,
            looked_at=_looked_at(basis, weights),
            first=(keys[kept], shares[:, kept]),
            last=(keys, shares),
            own_keys=tuple((keys[own], keys[own]) for own in map(own_cells, shares)),
            likeness=torch.full((len(shares),), torch.nan, device=features.device),
        )

    def view(self, features: Tensor) -> View:
        """See a frame, cells x D, of the type of what was learnt from."""
        numbers = self.first[0].shape[1], len(self.weights)
        projected, ridge = (features @ self.looked_at).float().split(numbers, dim=1)
        return View(features, functional.normalize(projected, dim=1), ridge.T + self.weights[:, -1:])

    def nearest(self, keys: Tensor) -> Tensor:
        """Say how like the cell of the object that it is most like each cell is.

        Returns:
            float, N x cells: the best cosine similarity, -1..1, with the object's cells in the annotated frame and in
            the last one where it was seen. It is absolute: of something that the frame before did not show, it is low
            even where the ridge and the matching, which only compare, have nothing better to offer.
        """
        return torch.stack([(keys @ torch.cat(own).T).amax(dim=1) for own in self.own_keys])

    def update(self, view: View, shares: Tensor, seen: Tensor, likeness: Tensor, settings: TrackerSettings) -> Memory:
        """Return the memory after one more frame.

        Args:
            view: Of the frame.
            shares: float, N x cells: where each object was found.
            seen: bool, N: the memory of the others stays as it is.
            likeness: float, N: mean of ``nearest`` over the object's cells.
            settings: Of the tracker: the rates at which it learns.
        """
        if not bool(seen.any()):
            return self
        recent, weights, looked_at, waiting = self.recent, self.weights, self.looked_at, self.waiting + 1
        if settings.memory_rate and waiting == _LEARN_EVERY:
            rate = 1 - (1 - settings.memory_rate) ** waiting
            kept = telling_cells(shares)
            moments = Moments.of(self.basis.inputs(view.features[kept]), shares[:, kept])
            recent = self.recent.lerp(moments, rate * seen.float())
            weights = recent.lerp(self.annotated, settings.first_share).solve(settings.regularisation)
            looked_at, waiting = _looked_at(self.basis, weights), 0
        usual = torch.where(self.likeness.isnan(), likeness, torch.lerp(self.likeness, likeness, _LIKENESS_RATE))
        return Memory(
            basis=self.basis,
            annotated=self.annotated,
            recent=recent,
            weights=weights,
            looked_at=looked_at,
            first=self.first,
            last=(view.keys, shares),
            own_keys=tuple(
                (first, view.keys[own_cells(share)] if now else last)
                for (first, last), share, now in zip(self.own_keys, shares, seen.tolist(), strict=True)
            ),
            likeness=torch.where(seen, usual, self.likeness),
            waiting=waiting,
        )


def _looked_at(basis: Basis, weights: Tensor) -> Tensor:
    """Return D x (k + N): the keys' directions, and a combination of all of them in place of the ridge's weights."""
    combined = basis.directions.float() @ weights[:, :-1].T
    return torch.cat([basis.key_directions, combined.to(basis.directions.dtype)], dim=1)


def telling_cells(shares: Tensor) -> Tensor:
    """Return the indices of all cells that hold some of an object, and of every other one of the rest, in no order.

    The rest is most of the frame, and neighbours look alike: on nine sequences, forwards, backwards and at every third
    frame, and three composites J&F is within 0.1 of that of all cells.

    Args:
        shares: float, N x cells in 0..1: of each object.
    """
    held = (shares > 0).any(dim=0)
    own, rest = held.nonzero()[:, 0], (~held).nonzero()[::2, 0]
    # So many, if there are as many, that the most similar ones can be found by groups of them; see ``vote``.
    surplus = (len(own) + len(rest)) % _IN_GROUPS
    return torch.cat([own, rest[: max(len(rest) - surplus, 0)]])


def own_cells(shares: Tensor) -> Tensor:
    """Return bool, cells: the object's own; for one smaller than half a cell, the cell that it covers most of."""
    own = shares >= _MAJORITY
    own[shares.argmax()] = True
    return own
