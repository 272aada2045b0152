"""How like the objects of annotated photos the masks on another photo are, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.methods.memory.memory import object_cells

# Of so few cells nobody can say how like one another they usually are; then this is taken for it, which is little: at a
# border, cells are half something else.
_FEW = 8
_USUAL_OF_FEW = 0.6


@dataclass(frozen=True, slots=True)
class BidirectionalSimilarity:
    """The cells of objects in their references, with all that the encoder says of them.

    A mask is like an object if its cells are like some of the object's, and the object's are like some of the mask's: a
    thing of many kinds of cells has one for anything, but nothing else has all of them.

    Attributes:
        own: Of each object, of each reference that shows it, float, m x D: its cells, of unit length.
        within_reference: float, N: how like one another the cells of each object are within a reference, -1..1.
    """

    own: tuple[tuple[Tensor, ...], ...]
    within_reference: Tensor

    @classmethod
    def learn(cls, cells: Sequence[Tensor], coverage: Sequence[Tensor]) -> BidirectionalSimilarity:
        """Learn from references, each with its cells, float, n x D, and the objects' coverage of them, float, N x n.

        Each object has some cell in some reference.
        """
        unit = [functional.normalize(each, dim=1) for each in cells]
        own = tuple(
            tuple(
                each[object_cells(share[k])] for each, share in zip(unit, coverage, strict=True) if bool(share[k].any())
            )
            for k in range(len(coverage[0]))
        )
        return cls(own, torch.stack([_usual(kinds) for kinds in own]))

    def nearest(self, cells: Tensor) -> Tensor:
        """Say how like the cell of each object that it is most like each cell, float, n x D, is: float, N x n."""
        unit = functional.normalize(cells, dim=1)
        return torch.stack([(unit @ torch.cat(kinds).T).amax(dim=1) for kinds in self.own])

    def of_masks(self, cells: Tensor, nearest: Tensor, coverage: Tensor) -> Tensor:
        """Say how like its object each mask is.

        Of several references, the one counts whose object the mask has most of: another may show another side of it.

        Args:
            cells: float, n x D, of the photo.
            nearest: What ``nearest`` says of them.
            coverage: float, N x rows x columns: share of each cell that the masks cover.

        Returns:
            float, N, -1..1: the mean over both directions; NaN where there is no mask.
        """
        found = torch.full((len(coverage),), torch.nan, device=cells.device)
        for k, share in enumerate(coverage.flatten(1)):
            if not bool(share.any()):
                continue
            inside = functional.normalize(cells[object_cells(share)], dim=1)
            there = (nearest[k] * share).sum() / share.sum()
            back = torch.stack([(inside @ own.T).amax(dim=0).mean() for own in self.own[k]]).max()
            found[k] = (there + back) / 2
        return found


def _usual(views: Sequence[Tensor]) -> Tensor:
    known = [self_similarity(each) for each in views if len(each) >= _FEW]
    return torch.cat(known).mean() if known else views[0].new_tensor(_USUAL_OF_FEW)


def self_similarity(cells: Tensor) -> Tensor:
    """Return how like the most similar other one of them cells, float, m x D, are: float, m."""
    # Of an object of one cell, that cell is all there is.
    return (cells @ cells.T).topk(min(2, len(cells)), dim=1).values[:, -1]
