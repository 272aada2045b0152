"""Cells of a frame are matched with cells of an earlier one: the most similar ones tell what a cell is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Most similar cells that vote, and the temperature of their votes.
_NEIGHBOURS = 15
_TEMPERATURE = 0.05
# Columns of a row of similarities that are looked through by their maximum at first.
_GROUP = 4
# Share of a cell that an object may cover while the cell counts as background.
_NEARLY_NONE = 0.1


def read_out(similarity: Tensor, coverage: Tensor) -> Tensor:
    """Let the most similar cells vote.

    Args:
        similarity: float, queries x cells in -1..1.
        coverage: float, N x cells: share of each object in these cells.

    Returns:
        float, N x queries: its share among the cells most similar to each query.
    """
    return _weighed(*_most_similar(similarity), coverage)


def _most_similar(similarity: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest similarities of each row, ``_NEIGHBOURS`` at most, and their columns, in no order.

    To select from a long row is slow. What is sought lies in as many groups of columns at most, those of the highest
    maxima: only these are looked through.
    """
    length = similarity.shape[1]
    count = min(_NEIGHBOURS, length)
    if length % _GROUP or length // _GROUP < count:
        return _highest(similarity, count)
    # A group's columns lie apart, so that the maxima are taken of whole stretches of the row at once.
    _, groups = _most_similar(similarity.unflatten(1, (_GROUP, length // _GROUP)).amax(dim=1))
    members = torch.arange(0, length, length // _GROUP, device=similarity.device)
    columns = (groups[:, :, None] + members).flatten(1)
    nearest, index = _highest(similarity.gather(1, columns), count)
    return nearest, columns.gather(1, index)


def _highest(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the highest numbers of each row, and their columns, in no order."""
    if rows.device.type != "cpu":
        highest, columns = rows.topk(count, dim=1, sorted=False)
        return highest, columns
    # Twice as fast as PyTorch on a thread, and about as fast as on two: that sorts pairs.
    order = torch.from_numpy(np.argpartition(rows.numpy(), rows.shape[1] - count, axis=1))
    columns = order[:, rows.shape[1] - count :].contiguous()
    return rows.gather(1, columns), columns


def _weighed(nearest: Tensor, index: Tensor, coverage: Tensor) -> Tensor:
    """Weigh the votes of the cells ``index``, queries x k, by their similarity: N x queries."""
    votes = (nearest / _TEMPERATURE).softmax(dim=1)
    won: Tensor = (coverage[:, index] * votes).sum(dim=-1)
    return won


@dataclass(frozen=True, slots=True)
class LocalMatching:
    """Cells near any object of an earlier frame, matched with that frame's cells within a radius.

    Attributes:
        similarity: float, queries x reach^2 in -1..1: of every query to the cells of its neighbourhood, of ``reach``
            cells along the side; -1 to what lies outside the picture.
        coverage: float, N x (rows + reach - 1) x (columns + reach - 1): of each object in the queries' neighbourhoods.
        grid: Rows and columns of the picture.
        queries: Which of these are matched.
    """

    similarity: Tensor
    coverage: Tensor
    grid: tuple[int, int]
    queries: tuple[slice, slice]

    @classmethod
    def match(cls, keys: Tensor, earlier: Tensor, coverage: Tensor, *, radius: int) -> LocalMatching:
        """Match a frame of rows x columns cells.

        Args:
            keys: float, cells x k, of unit length: of the frame.
            earlier: float, cells x k, of unit length: of the earlier one.
            coverage: float, N x rows x columns: of each object in the cells of the earlier frame.
            radius: How far apart, in rows or columns, two cells may lie.
        """
        rows, columns = grid = int(coverage.shape[1]), int(coverage.shape[2])
        known, reach = (coverage > 0).any(dim=0), 2 * radius + 1
        y, x = (_around(known.any(dim=dimension), radius) for dimension in (1, 0))
        beyond = slice(y.start, y.stop + 2 * radius), slice(x.start, x.stop + 2 * radius)
        # One more number for every cell makes the similarity to what lies outside the picture -1.
        asked = functional.pad(keys, (0, 1), value=1.0).unflatten(0, grid)[y, x]
        known_keys = keys.new_zeros(rows + 2 * radius, columns + 2 * radius, keys.shape[1] + 1)
        known_keys[..., -1] = -1
        known_keys[radius:-radius, radius:-radius] = functional.pad(earlier, (0, 1)).unflatten(0, grid)
        # Every row of queries against the rows of cells around it; of these products, those of the columns around.
        strips = known_keys[beyond].contiguous().unfold(0, reach, 1).permute(0, 3, 1, 2).flatten(1, 2)
        products = (asked @ strips.transpose(1, 2)).unflatten(2, (reach, -1))
        similarity = products.unfold(3, reach, 1).diagonal(dim1=1, dim2=3).movedim(-1, 1)
        if not bool(known.any()):
            similarity = similarity.new_full(similarity.shape, -1.0)
        padded = functional.pad(coverage, (radius,) * 4)[:, beyond[0], beyond[1]].contiguous()
        return cls(similarity.reshape(-1, reach**2), padded, grid, (y, x))

    def read_out(self) -> Tensor:
        """Return the share of each object among the most similar cells: float, N x cells, 0 far from every object."""
        nearest, index = _most_similar(self.similarity)
        reach, width = self._reach, self.coverage.shape[2]
        places = torch.arange(self.coverage[0].numel(), device=index.device).unflatten(0, (-1, width))
        corners = places[: 1 - reach, : 1 - reach].reshape(-1, 1)
        cells = corners + index // reach * width + index % reach
        return self._onto_grid(_weighed(nearest, cells, self.coverage.flatten(1)), 0.0)

    def background(self) -> Tensor:
        """Return how like what was not the object each cell is: float, N x cells; -1 far from every object.

        Cells beside an object see some of it, and may be hidden by it in this frame: they are left out.
        """
        others = functional.max_pool2d(self.coverage[None], 3, stride=1, padding=1)[0] < _NEARLY_NONE
        best = [self.similarity.masked_fill(~self._flat(free), -1.0).amax(dim=1) for free in others]
        return self._onto_grid(torch.stack(best), -1.0)

    @property
    def _reach(self) -> int:
        return math.isqrt(self.similarity.shape[1])

    def _flat(self, around: Tensor) -> Tensor:
        """Return the neighbourhood of every query, queries x reach^2, of what lies around them all."""
        reach = self._reach
        return around.unfold(0, reach, 1).unfold(1, reach, 1).reshape(-1, reach**2)

    def _onto_grid(self, found: Tensor, elsewhere: float) -> Tensor:
        """Lay what was found of the queries, N x queries, onto the picture: N x cells."""
        y, x = self.queries
        result = found.new_full((len(found), *self.grid), elsewhere)
        result[:, y, x] = found.unflatten(1, (y.stop - y.start, x.stop - x.start))
        return result.flatten(1)


def _around(held: Tensor, margin: int) -> slice:
    """Return the stretch of a line that reaches so far beyond what is held; the first cell if that is nothing."""
    places = held.nonzero()[:, 0].tolist()
    if not places:
        return slice(0, 1)
    return slice(max(places[0] - margin, 0), min(places[-1] + margin + 1, len(held)))
