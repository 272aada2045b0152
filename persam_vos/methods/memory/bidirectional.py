"""Cells of references and of a photo go in; out comes the bidirectional similarity of masks to their objects.

The measure is that of Simakov et al., "Summarizing visual data using bidirectional similarity" (CVPR 2008), on cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.methods.memory.memory import object_cells
from persam_vos.settings.photos import PhotoSettings


@dataclass(frozen=True, slots=True)
class BidirectionalSimilarity:
    """The cells of objects in their references, with all features of the encoder.

    A mask is similar to an object if its cells are similar to some of the object's, and the object's cells to some of
    the mask's: an object of many kinds of cells has a similar one for anything, but nothing else has all of them.

    Attributes:
        own: Per object and reference that shows it: the object's cells, float, m x D, of unit length.
        within_reference: float, N: mean similarity, -1..1, of each object's cells within a reference.
    """

    own: tuple[tuple[Tensor, ...], ...]
    within_reference: Tensor

    @classmethod
    def learn(
        cls, cells: Sequence[Tensor], coverage: Sequence[Tensor], settings: PhotoSettings
    ) -> BidirectionalSimilarity:
        """Learn from references, each with its cells, float, n x D, and the objects' coverage of them, float, N x n.

        Each object covers a cell in at least one reference.
        """
        unit = [functional.normalize(each, dim=1) for each in cells]
        own = tuple(
            tuple(
                each[object_cells(share[k])] for each, share in zip(unit, coverage, strict=True) if bool(share[k].any())
            )
            for k in range(len(coverage[0]))
        )
        return cls(own, torch.stack([_mean_within(kinds, settings) for kinds in own]))

    def nearest(self, cells: Tensor) -> Tensor:
        """Return the similarity of cells, float n x D, to the most similar cell of each object: float, N x n."""
        unit = functional.normalize(cells, dim=1)
        return torch.stack([(unit @ torch.cat(kinds).T).amax(dim=1) for kinds in self.own])

    def of_masks(self, cells: Tensor, nearest: Tensor, coverage: Tensor) -> Tensor:
        """Return the similarity of each mask to its object.

        The most similar of several references counts, since another may show another side of the object.

        Args:
            cells: float, n x D, of the photo.
            nearest: float, N x n: by ``nearest``.
            coverage: float, N x rows x columns in 0..1: of the cells by the masks.

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


def _mean_within(references: Sequence[Tensor], settings: PhotoSettings) -> Tensor:
    known = [self_similarity(cells) for cells in references if len(cells) >= settings.min_reference_cells]
    return torch.cat(known).mean() if known else references[0].new_tensor(settings.assumed_similarity)


def self_similarity(cells: Tensor) -> Tensor:
    """Return the similarity of each cell, float m x D, to the most similar other one: float, m."""
    # A single cell is compared with itself.
    return (cells @ cells.T).topk(min(2, len(cells)), dim=1).values[:, -1]
