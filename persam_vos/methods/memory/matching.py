"""Keys of a frame meet keys and values of an earlier one; out comes the value of the most similar cells.

Global matching reads out of all cells of the annotated frame (Oh et al., arXiv 1904.00607), with a top-k softmax (Cheng
et al., arXiv 2106.05210). Local matching reads out of a neighbourhood in the last frame (Voigtlaender et al., arXiv
1902.09513).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Columns of a row of similarities that the top-k search represents by their maximum.
_GROUP_COLUMNS = 4
# The search groups columns twice where their number is a multiple of this.
GROUPED_TWICE = _GROUP_COLUMNS**2


@dataclass(frozen=True, slots=True)
class TopK:
    """How values are read out: of the ``count`` most similar cells, by a softmax over cosine similarity."""

    count: int
    temperature: float


def read_out(similarity: Tensor, values: Tensor, top_k: TopK) -> Tensor:
    """Return the mean value of the most similar cells (global matching).

    Args:
        similarity: float, queries x cells in -1..1.
        values: float, N x cells: coverage of these cells.
        top_k: Which cells count, and how much.

    Returns:
        float, N x queries.
    """
    return _weighted_values(*_most_similar(similarity, top_k.count), values, top_k.temperature)


def _most_similar(similarity: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the ``count`` highest similarities of each row, fewer of a shorter row, and their columns, in no order.

    Selecting from a long row is slow. The highest ``count`` numbers lie in at most as many groups of columns, those of
    the highest maxima: only these groups are searched.
    """
    length = similarity.shape[1]
    count = min(count, length)
    if length % _GROUP_COLUMNS or length // _GROUP_COLUMNS < count:
        return _highest(similarity, count)
    # The columns of a group lie apart, so that one reduction over whole stretches of the row gives all maxima.
    _, groups = _most_similar(similarity.unflatten(1, (_GROUP_COLUMNS, length // _GROUP_COLUMNS)).amax(dim=1), count)
    members = torch.arange(0, length, length // _GROUP_COLUMNS, device=similarity.device)
    columns = (groups[:, :, None] + members).flatten(1)
    nearest, index = _highest(similarity.gather(1, columns), count)
    return nearest, columns.gather(1, index)


def _highest(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the highest numbers of each row, and their columns, in no order."""
    if rows.device.type != "cpu":
        highest, columns = rows.topk(count, dim=1, sorted=False)
        return highest, columns
    # Twice as fast as PyTorch's topk on one thread, and about as fast as on two.
    order = torch.from_numpy(np.argpartition(rows.numpy(), rows.shape[1] - count, axis=1))
    columns = order[:, rows.shape[1] - count :].contiguous()
    return rows.gather(1, columns), columns


def _weighted_values(nearest: Tensor, index: Tensor, values: Tensor, temperature: float) -> Tensor:
    """Return the means of the values of the cells ``index``, queries x k, weighted by similarity: N x queries."""
    weights = (nearest / temperature).softmax(dim=1)
    means: Tensor = (values[:, index] * weights).sum(dim=-1)
    return means


@dataclass(frozen=True, slots=True)
class LocalMatching:
    """Cells near any object of the last frame, matched with that frame's cells within a radius.

    Attributes:
        similarity: float, queries x reach^2 in -1..1: of every query to the cells of its neighbourhood, of ``reach``
            cells along the side; -1 to what lies outside the picture.
        values: float, N x (rows + reach - 1) x (columns + reach - 1): coverage in the queries' neighbourhoods.
        grid: Rows and columns of the picture.
        queries: Which of these are matched.
    """

    similarity: Tensor
    values: Tensor
    grid: tuple[int, int]
    queries: tuple[slice, slice]

    @classmethod
    def match(cls, keys: Tensor, earlier: Tensor, values: Tensor, *, radius: int) -> LocalMatching:
        """Match a frame of rows x columns cells.

        Args:
            keys: float, cells x k, of unit length: of the frame.
            earlier: float, cells x k, of unit length: of the earlier one.
            values: float, N x rows x columns: coverage of the earlier frame's cells.
            radius: How far apart, in rows or columns, two cells may lie.
        """
        rows, columns = grid = int(values.shape[1]), int(values.shape[2])
        known, reach = (values > 0).any(dim=0), 2 * radius + 1
        y, x = (_stretch_around(known.any(dim=dimension), radius) for dimension in (1, 0))
        beyond = slice(y.start, y.stop + 2 * radius), slice(x.start, x.stop + 2 * radius)
        # One more dimension makes the similarity to cells outside the picture -1.
        asked = functional.pad(keys, (0, 1), value=1.0).unflatten(0, grid)[y, x]
        known_keys = keys.new_zeros(rows + 2 * radius, columns + 2 * radius, keys.shape[1] + 1)
        known_keys[..., -1] = -1
        known_keys[radius:-radius, radius:-radius] = functional.pad(earlier, (0, 1)).unflatten(0, grid)
        # Multiply every row of queries with the rows of cells around it; keep the products of the columns around.
        strips = known_keys[beyond].contiguous().unfold(0, reach, 1).permute(0, 3, 1, 2).flatten(1, 2)
        products = (asked @ strips.transpose(1, 2)).unflatten(2, (reach, -1))
        similarity = products.unfold(3, reach, 1).diagonal(dim1=1, dim2=3).movedim(-1, 1)
        if not bool(known.any()):
            similarity = similarity.new_full(similarity.shape, -1.0)
        padded = functional.pad(values, (radius,) * 4)[:, beyond[0], beyond[1]].contiguous()
        return cls(similarity.reshape(-1, reach**2), padded, grid, (y, x))

    def read_out(self, top_k: TopK) -> Tensor:
        """Return the mean value of the most similar cells: float, N x cells, 0 far from every object."""
        nearest, index = _most_similar(self.similarity, top_k.count)
        reach, width = self._reach, self.values.shape[2]
        places = torch.arange(self.values[0].numel(), device=index.device).unflatten(0, (-1, width))
        corners = places[: 1 - reach, : 1 - reach].reshape(-1, 1)
        cells = corners + index // reach * width + index % reach
        return self._onto_grid(_weighted_values(nearest, cells, self.values.flatten(1), top_k.temperature), 0.0)

    def background_similarity(self, max_coverage: float) -> Tensor:
        """Return the similarity to the most similar background cell: float, N x cells; -1 far from every object.

        A cell beside one of ``max_coverage`` or more does not count: its features mix with the object's.
        """
        others = functional.max_pool2d(self.values[None], 3, stride=1, padding=1)[0] < max_coverage
        best = [self.similarity.masked_fill(~self._flat(free), -1.0).amax(dim=1) for free in others]
        return self._onto_grid(torch.stack(best), -1.0)

    @property
    def _reach(self) -> int:
        return math.isqrt(self.similarity.shape[1])

    def _flat(self, around: Tensor) -> Tensor:
        """Return the neighbourhood of every query: queries x reach^2."""
        reach = self._reach
        return around.unfold(0, reach, 1).unfold(1, reach, 1).reshape(-1, reach**2)

    def _onto_grid(self, found: Tensor, elsewhere: float) -> Tensor:
        """Return N x queries laid onto the picture: N x cells."""
        y, x = self.queries
        result = found.new_full((len(found), *self.grid), elsewhere)
        result[:, y, x] = found.unflatten(1, (y.stop - y.start, x.stop - x.start))
        return result.flatten(1)


def _stretch_around(held: Tensor, margin: int) -> slice:
    """Return the held stretch of a line, ``margin`` longer at both ends; the first cell if nothing is held."""
    places = held.nonzero()[:, 0].tolist()
    if not places:
        return slice(0, 1)
    return slice(max(places[0] - margin, 0), min(places[-1] + margin + 1, len(held)))
