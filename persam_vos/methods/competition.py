"""Objects compete for pixels: N masks go in, one exclusive label map comes out, without the objects that are absent.

SAM answers every prompt, whether or not the object is there. The mask that is least similar to its object is therefore
withdrawn, and the others compete anew for its pixels, until every mask that is left passes a test of presence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import LabelMap
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import EMPTY_REGION, Region, bounding_region
from persam_vos.soft_edges import Alpha, Logits, alpha_of_logits, edge_reach

# Pixels that compete at once, so that what is known of them stays in the processor's cache.
_CONTESTED_STRIP_PIXELS = 500_000
# Logits are as those of probabilities at least this far from 0 and 1.
_SURE = 1e-6

Aggregation = Callable[[Sequence[Patch], Sequence[int], Region], Tensor]
"""Turns N masks and their ids into the label map, uint8 h x w, of a region of the frame."""


class PresenceTest(Protocol):
    """Whether masks show their objects."""

    def surplus(self, label_map: Tensor, changed: Sequence[int]) -> Tensor:
        """Rate the masks of a label map.

        Args:
            label_map: uint8, H x W.
            changed: Indices of the objects whose masks are not the same as at the last call; all of them at the first.

        Returns:
            float, N: similarity beyond what is needed; negative for a mask that shows something else; 0 where there is
            no mask.
        """
        ...


def resolve_overlaps(
    patches: Sequence[Patch],
    object_ids: Sequence[int],
    geometry: Geometry,
    aggregate: Aggregation,
    presence: PresenceTest,
) -> Tensor:
    """Give each pixel to one of the objects that are there.

    Args:
        patches: Masks of N objects on the frame.
        object_ids: N ids, 1..255.
        geometry: Of the frame.
        aggregate: Who gets which pixel: ``soft_aggregation`` or ``hard_argmax``.
        presence: Which objects are there; it has rated the masks of the returned label map last.

    Returns:
        uint8, H x W: the label map.
    """
    left = list(patches)
    label_map = aggregate(left, object_ids, Region.whole(geometry.height, geometry.width))
    changed: Sequence[int] = range(len(left))
    while True:
        surplus = presence.surplus(label_map, changed)
        worst = int(surplus.argmin())
        if float(surplus[worst]) >= 0:
            return label_map
        changed = _withdraw(worst, left, object_ids, label_map, aggregate)


def soft_aggregation(patches: Sequence[Patch], object_ids: Sequence[int], region: Region) -> Tensor:
    """Give each pixel to the most probable object (Oh et al., arXiv 1904.00607, section 3.4).

    Background is as probable as the absence of all objects, so that two objects of 0.45 and 0.4 beat it.

    Args:
        patches: N, of a frame.
        object_ids: N ids, 1..255.
        region: h x w pixels of the frame.

    Returns:
        uint8, h x w.
    """
    device = patches[0].logits.device
    label_map = torch.zeros((region.height, region.width), dtype=torch.uint8, device=device)
    for strip in region.row_strips(_CONTESTED_STRIP_PIXELS):
        windows = [strip.intersection(patch.window) for patch in patches]
        if (around := bounding_region(windows)) == EMPTY_REGION:
            continue
        best = torch.zeros((around.height, around.width), device=device)
        winner, background = torch.zeros_like(best, dtype=torch.uint8), torch.ones_like(best)
        for patch, object_id, window in zip(patches, object_ids, windows, strict=True):
            if window != EMPTY_REGION:
                here, probability = window.relative_to(around), patch.probability(window)
                winner[here].masked_fill_(probability > best[here], object_id)
                best[here].clamp_(min=probability)
                background[here] *= 1 - probability
        label_map[around.relative_to(region)] = winner.masked_fill_(best <= background, 0)
    return label_map


def hard_argmax(patches: Sequence[Patch], object_ids: Sequence[int], region: Region) -> Tensor:
    """Give each pixel to the object of the highest logit; background has a logit of 0.

    For the arguments see ``soft_aggregation``.
    """
    best = torch.zeros((region.height, region.width), device=patches[0].logits.device)
    label_map = torch.zeros_like(best, dtype=torch.uint8)
    for patch, object_id in zip(patches, object_ids, strict=True):
        if (window := region.intersection(patch.window)) != EMPTY_REGION:
            here, logits = window.relative_to(region), patch.logits[window.relative_to(patch.window)]
            label_map[here].masked_fill_(logits > best[here], object_id)
            best[here].clamp_(min=logits)
    return label_map


def soft_alpha(patches: Sequence[Patch], object_ids: Sequence[int], label_map: LabelMap) -> Alpha:
    """Return how much of each pixel the objects cover together, soft at their edges as their logits are.

    Where two objects touch, their probabilities add up, so that no seam is seen.

    Args:
        patches: N, of a frame.
        object_ids: N ids, 1..255.
        label_map: uint8, H x W, what came of them; an object without a pixel in it, as one withdrawn, covers nothing.
            Pixels of other objects count as outside.

    Returns:
        uint8, H x W; see ``FrameResult.alpha``.
    """
    alpha = np.zeros_like(label_map)
    pixels = np.bincount(label_map.ravel(), minlength=256)
    held = [patch for patch, number in zip(patches, object_ids, strict=True) if pixels[number]]
    around = bounding_region([patch.window for patch in held])
    if around == EMPTY_REGION:
        return alpha
    inside = np.isin(label_map[around], np.array(object_ids, np.uint8))
    alpha[around] = alpha_of_logits(_joint_logits(held, around), inside, edge_reach(label_map.shape))
    return alpha


def _joint_logits(patches: Sequence[Patch], around: Region) -> Logits:
    """Return the logits, float32 h x w, of the sum of the probabilities of masks in a region that holds them."""
    if len(patches) == 1 and patches[0].window == around:
        return np.asarray(patches[0].logits.float().cpu().numpy())
    total = torch.zeros((around.height, around.width), device=patches[0].logits.device)
    for patch in patches:
        total[patch.window.relative_to(around)] += patch.probability(patch.window).float()
    return np.asarray(total.logit(eps=_SURE).cpu().numpy())


class CellPresence:
    """Tests masks by the cells under them.

    Attributes:
        coverage: float, N x rows x columns in 0..1: share of each cell of the picture that the masks fill.
        similarity: float, N: of each mask to its object; NaN where there is no mask.
    """

    def __init__(
        self,
        patches: Sequence[Patch],
        object_ids: Sequence[int],
        embedding: ImageEmbedding,
        similarity_of: Callable[[Tensor], Tensor],
        *,
        needed: Tensor,
        min_cells: Tensor | float = 0.0,
    ) -> None:
        """Say what a mask needs.

        Args:
            patches: Of N objects: each mask lies within its patch.
            object_ids: N ids.
            embedding: Of the frame.
            similarity_of: Given ``coverage``, returns ``similarity``.
            needed: float, N: similarity that a mask needs; -inf accepts every mask.
            min_cells: float, N: cells that a mask must cover; a smaller one is a remnant of the competition.
        """
        self._windows = [patch.window for patch in patches]
        self._object_ids = object_ids
        self._embedding = embedding
        self._similarity_of = similarity_of
        self._needed = needed
        self._min_cells = min_cells
        geometry = embedding.geometry
        self.coverage = needed.new_zeros(len(patches), *geometry.valid(embedding.cells))
        self.similarity = torch.full_like(needed, torch.nan)

    def surplus(self, label_map: Tensor, changed: Sequence[int]) -> Tensor:
        """Rate the masks; see ``PresenceTest``."""
        ids, windows = [self._object_ids[k] for k in changed], [self._windows[k] for k in changed]
        embedding = self._embedding
        self.coverage[list(changed)] = cell_coverage(label_map, ids, windows, embedding.geometry, embedding.cells)
        self.similarity = self._similarity_of(self.coverage)
        surplus = (self.similarity - self._needed).nan_to_num(0.0)
        too_small = self.coverage.sum(dim=(1, 2)) < self._min_cells
        return surplus.masked_fill(too_small & ~self.similarity.isnan(), -1.0)


def cell_coverage(
    label_map: Tensor, object_ids: Sequence[int], windows: Sequence[Region], geometry: Geometry, cells: int
) -> Tensor:
    """Return the share of each cell's picture that the objects fill.

    Args:
        label_map: uint8, H x W.
        object_ids: N ids.
        windows: N regions of the frame, each of which holds all pixels of an object.
        geometry: Of the frame.
        cells: Side of the grid over the padded square.

    Returns:
        float, N x rows x columns in 0..1, of the cells that hold picture.
    """
    return torch.cat(
        [
            geometry.to_cells((label_map[window] == object_id)[None], cells, window)
            for object_id, window in zip(object_ids, windows, strict=True)
        ]
    )


def mean_similarity(similarity: Tensor, coverage: Tensor) -> Tensor:
    """Return the mean similarity of the cells under each mask, float N; NaN where there is no mask.

    Args:
        similarity: float, N x rows x columns: of each cell to each object.
        coverage: float, N x rows x columns: share of each cell that the masks fill.
    """
    return (similarity * coverage).sum(dim=(1, 2)) / coverage.sum(dim=(1, 2))


def no_threshold(count: int, device: torch.device) -> Tensor:
    """Return float, N, the similarity needed where every mask is accepted."""
    return torch.full((count,), -torch.inf, device=device)


def _withdraw(
    which: int, patches: list[Patch], object_ids: Sequence[int], label_map: Tensor, aggregate: Aggregation
) -> list[int]:
    """Withdraw a mask, in place, and return the indices of its object and of those that won its pixels."""
    withdrawn = patches[which]
    patches[which] = Patch(EMPTY_REGION, withdrawn.logits[EMPTY_REGION])
    here = label_map[withdrawn.window]
    freed = here == object_ids[which]
    won = aggregate(patches, object_ids, withdrawn.window)[freed]
    here[freed] = won
    pixels = won.bincount(minlength=256).tolist()
    return [k for k, object_id in enumerate(object_ids) if k == which or pixels[object_id]]
