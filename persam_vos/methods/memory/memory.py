"""Annotated frames and recognised ones go in; out comes the memory of N objects, and how a frame looks to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.methods.memory.annotated_cells import AnnotatedCells, SecondView
from persam_vos.methods.memory.matching import GROUPED_TWICE
from persam_vos.methods.memory.ridge import Basis, Moments
from persam_vos.settings.common import MemorySettings
from persam_vos.settings.video import TrackerSettings

# Coverage from which an object holds a cell; above a half, no other one can.
_HELD_COVERAGE = 0.5


@dataclass(frozen=True, slots=True)
class View:
    """The cells of one frame as the memory of N objects sees them.

    Attributes:
        features: float32 or bfloat16, cells x D, by ``cell_features``.
        keys: float, cells x k, of unit length.
        ridge: float, N x cells: the ridge regression, about +1 on the object and -1 elsewhere.
    """

    features: Tensor
    keys: Tensor
    ridge: Tensor


@dataclass(frozen=True, slots=True)
class KeyValues:
    """Stored cells.

    Attributes:
        keys: float, cells x k, of unit length.
        values: float, N x cells in 0..1: coverage of the cells by each object.
    """

    keys: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of N objects: a ridge regression and stored cells, as keys and values.

    Attributes:
        basis: Directions of the annotated frame.
        annotated_moments: Moments of the annotated frames and of their second views; frames since never change them.
        running_moments: Running mean of the moments of the frames since.
        weights: float, N x (d + 1): the ridge regression of both.
        projection: D x (k + N), of the type of the features: directions that yield a view's keys and ridge regression.
        annotated: Stored cells of the annotated frames, of their ``sample_cells``.
        recent: All cells of the last frame in which any object was seen.
        object_keys: Of each object, keys of its cells in the annotated frames and in the last frame where it was seen.
        usual_similarity: float, N: running mean of each object's similarity to its memory, -1..1; of no meaning before
            the object has been ``rated``.
        rated: bool, N: whether the object has been seen since the annotated frame.
        waiting: Frames since the running moments took one in.
    """

    basis: Basis
    annotated_moments: Moments
    running_moments: Moments
    weights: Tensor
    projection: Tensor
    annotated: KeyValues
    recent: KeyValues
    object_keys: tuple[tuple[Tensor, Tensor], ...]
    usual_similarity: Tensor
    rated: Tensor
    waiting: int = 0

    @classmethod
    def learn(
        cls,
        features: Tensor,
        coverage: Tensor,
        settings: MemorySettings,
        *,
        view: SecondView | None = None,
        basis: Basis | None = None,
    ) -> Memory:
        """Learn the objects of the annotated frame.

        Args:
            features: float32 or bfloat16, cells x D.
            coverage: float, N x cells in 0..1, of each object; each covers a cell.
            settings: Numbers of directions, and the regularisation of the ridge regression.
            view: More cells of the annotated objects, for the ridge regression only; None for none.
            basis: Of the features, if it is known already.
        """
        basis = basis or Basis.of(features, settings.ridge_dimensions, settings.key_dimensions)
        moments, of_frame = AnnotatedCells(features, coverage, view).moments(basis)
        weights = moments.solve(settings.regularisation)
        inputs = basis.inputs(features)
        kept = sample_cells(coverage)
        keys = keys_of(inputs, settings.key_dimensions)
        return cls(
            basis=basis,
            annotated_moments=moments,
            running_moments=of_frame,
            weights=weights,
            projection=projection_of(basis, weights),
            annotated=KeyValues(keys[kept], coverage[:, kept]),
            recent=KeyValues(keys, coverage),
            object_keys=tuple((keys[own], keys[own]) for own in map(object_cells, coverage)),
            usual_similarity=coverage.new_zeros(len(coverage)),
            rated=torch.zeros(len(coverage), dtype=torch.bool, device=coverage.device),
        )

    def learn_also(self, others: Sequence[AnnotatedCells], settings: MemorySettings) -> Memory:
        """Learn the same objects from more annotated frames; all annotated frames count alike.

        How similar their looks are to each other is how similar each object is expected to be in other frames.

        Args:
            others: Frames that show each of the objects.
            settings: As for ``learn``.
        """
        if not others:
            return self
        moments, running = self.annotated_moments, self.running_moments
        stored, own = [self.annotated], [[annotated] for annotated, _ in self.object_keys]
        for count, frame in enumerate(others, start=2):
            with_view, of_frame = frame.moments(self.basis)
            moments, running = moments.lerp(with_view, 1 / count), running.lerp(of_frame, 1 / count)
            keys = keys_of(self.basis.inputs(frame.features), settings.key_dimensions)
            kept = sample_cells(frame.coverage)
            stored.append(KeyValues(keys[kept], frame.coverage[:, kept]))
            for known, covered in zip(own, frame.coverage, strict=True):
                known.append(keys[object_cells(covered)])
        weights = moments.solve(settings.regularisation)
        values = torch.cat([each.values for each in stored], dim=1)
        return replace(
            self,
            usual_similarity=torch.stack([_mean_similarity(looks) for looks in own]),
            rated=torch.ones_like(self.rated),
            annotated_moments=moments,
            running_moments=running,
            weights=weights,
            projection=projection_of(self.basis, weights),
            annotated=KeyValues(torch.cat([each.keys for each in stored]), values),
            object_keys=tuple(
                (torch.cat(known), latest) for known, (_, latest) in zip(own, self.object_keys, strict=True)
            ),
        )

    def as_after(self, features: Tensor, coverage: Tensor) -> Memory:
        """Return the memory as if a frame, cells x D with a coverage of N x cells, had been the last one."""
        return replace(self, recent=KeyValues(self.view(features).keys, coverage))

    def view(self, features: Tensor) -> View:
        """Project the cells of a frame, cells x D, of the type that was learnt from."""
        sizes = self.annotated.keys.shape[1], len(self.weights)
        keys, ridge = (features @ self.projection).float().split(sizes, dim=1)
        return View(features, functional.normalize(keys, dim=1), ridge.T + self.weights[:, -1:])

    def similarity(self, keys: Tensor) -> Tensor:
        """Return the similarity of each cell to the most similar cell of each object.

        Returns:
            float, N x cells: cosine similarity, -1..1, over the object's cells in the annotated frame and in the last
            frame where it was seen. It is absolute: low for things never seen, where ridge regression and matching only
            compare.
        """
        return torch.stack([(keys @ torch.cat(own).T).amax(dim=1) for own in self.object_keys])

    def expected_similarity(self, initial: float) -> Tensor:
        """Return float, N: the usual similarity of each object; ``initial`` where it has not been rated."""
        return torch.where(self.rated, self.usual_similarity, initial)

    def update(
        self, view: View, coverage: Tensor, seen: Tensor, similarity: Tensor, settings: TrackerSettings
    ) -> Memory:
        """Return the memory after one more frame.

        Args:
            view: Of the frame.
            coverage: float, N x cells: where each object was found.
            seen: bool, N: the memory of the others stays as it is.
            similarity: float, N: mean of ``similarity`` over the object's cells.
            settings: Rates at which it learns.
        """
        if not bool(seen.any()):
            return self
        usual = torch.lerp(self.usual_similarity, similarity, settings.similarity_rate)
        usual = torch.where(self.rated, usual, similarity)
        learnt = self._learn_ridge(view, coverage, seen, settings)
        return replace(
            learnt,
            recent=KeyValues(view.keys, coverage),
            object_keys=tuple(
                (annotated, view.keys[object_cells(covered)] if now else latest)
                for (annotated, latest), covered, now in zip(self.object_keys, coverage, seen.tolist(), strict=True)
            ),
            usual_similarity=torch.where(seen, usual, self.usual_similarity),
            rated=self.rated | seen,
        )

    def _learn_ridge(self, view: View, coverage: Tensor, seen: Tensor, settings: TrackerSettings) -> Memory:
        """Take every ``learn_every``-th frame into the ridge regression, with the share of all frames since."""
        waiting = self.waiting + 1
        if not settings.memory_rate or waiting < settings.learn_every:
            return replace(self, waiting=waiting)
        rate = 1 - (1 - settings.memory_rate) ** waiting
        kept = sample_cells(coverage)
        moments = Moments.of(self.basis.inputs(view.features[kept]), coverage[:, kept])
        running = self.running_moments.lerp(moments, rate * seen.float())
        weights = running.lerp(self.annotated_moments, settings.first_share).solve(settings.regularisation)
        projection = projection_of(self.basis, weights)
        return replace(self, running_moments=running, weights=weights, projection=projection, waiting=0)


def _mean_similarity(looks: Sequence[Tensor]) -> Tensor:
    """Return the mean similarity of the cells of each look, float cells x k, to the most similar ones of the others."""
    pairs = [(one @ other.T).amax(dim=1).mean() for one in looks for other in looks if other is not one]
    return torch.stack(pairs).mean()


def keys_of(inputs: Tensor, dimensions: int) -> Tensor:
    """Return the keys, cells x k of unit length, of ``Basis.inputs``, whose last column is a constant."""
    return functional.normalize(inputs[:, :-1][:, :dimensions], dim=1)


def projection_of(basis: Basis, weights: Tensor) -> Tensor:
    """Return D x (k + N): the directions of the keys, and the ridge regression as one direction per object."""
    combined = basis.directions.float() @ weights[:, :-1].T
    return torch.cat([basis.key_directions, combined.to(basis.directions.dtype)], dim=1)


def sample_cells(coverage: Tensor) -> Tensor:
    """Return the indices of all cells that hold some of an object, and of every other background cell, in no order.

    Background is most of the frame, and neighbours look alike: on nine sequences, forwards, backwards and at every
    third frame, and three composites J&F is within 0.1 of that of all cells.

    Args:
        coverage: float, N x cells in 0..1: of each object.
    """
    held = (coverage > 0).any(dim=0)
    own, rest = held.nonzero()[:, 0], (~held).nonzero()[::2, 0]
    # Up to 15 background cells fewer let the top-k search group the cells twice; see ``matching``.
    surplus = (len(own) + len(rest)) % GROUPED_TWICE
    return torch.cat([own, rest[: max(len(rest) - surplus, 0)]])


def object_cells(coverage: Tensor) -> Tensor:
    """Return bool, cells: those that the object mostly fills; if it fills none, the one that it fills most."""
    own = coverage >= _HELD_COVERAGE
    own[coverage.argmax()] = True
    return own
