"""Objects compete for the pixels of a frame, and those leave that are not there: SAM answers for them as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import EMPTY_REGION, Region, bounding_region

# Pixels that are shared out at once, so that what is known of them stays in the processor's cache.
_AT_ONCE = 500_000


def soft_aggregation(patches: Sequence[Patch], object_ids: Sequence[int], region: Region) -> Tensor:
    """Share the pixels out by soft aggregation (Oh et al., arXiv 1904.00607, section 3.4): the largest logit wins.

    Background is as probable as that no object is there, so that two halves of a doubt are more than none.

    Args:
        patches: N, of a frame.
        object_ids: N ids, 1..254.
        region: h x w pixels of the frame, which are shared out.

    Returns:
        uint8, h x w.
    """
    size, device = (region.height, region.width), patches[0].logits.device
    label_map = torch.zeros(size, dtype=torch.uint8, device=device)
    for strip in region.row_strips(_AT_ONCE):
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


def cell_coverage(
    label_map: Tensor, object_ids: Sequence[int], windows: Sequence[Region], geometry: Geometry, cells: int
) -> Tensor:
    """Say which share of the picture in each cell the objects cover.

    Args:
        label_map: uint8, H x W.
        object_ids: N ids.
        windows: N parts of the frame that hold all pixels of each object.
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


def resolve_overlaps(
    patches: Sequence[Patch],
    object_ids: Sequence[int],
    embedding: ImageEmbedding,
    similarity_of: Callable[[Tensor], Tensor],
    *,
    needed: Tensor,
    least: Tensor | float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Share the pixels out among the objects that are there.

    The object whose mask is least like it leaves, and its patch; the others compete anew for what it had won.

    Args:
        patches: Of N objects.
        object_ids: N ids, 1..254.
        embedding: Of the frame.
        similarity_of: Given the coverage, float, N x rows x columns, returns the similarity of each mask to its object,
            float, N; NaN where there is no mask.
        needed: float, N: what that must be at least; -inf takes every mask for its object.
        least: float, N: cells that an object must cover; what is less is left over from the competition, not seen.

    Returns:
        uint8, H x W: the label map; float, N x rows x columns: share of each cell that the masks cover; float, N: how
        like its object each mask is, NaN where there is none.
    """
    geometry, cells, left = embedding.geometry, embedding.cells, list(patches)
    label_map = soft_aggregation(left, object_ids, Region.whole(geometry.height, geometry.width))
    coverage = cell_coverage(label_map, object_ids, [patch.window for patch in left], geometry, cells)
    while True:
        covered = coverage.sum(dim=(1, 2))
        similarity = similarity_of(coverage)
        surplus = (similarity - needed).nan_to_num(0.0)
        surplus[(covered < least) & ~similarity.isnan()] = -1
        worst = int(surplus.argmin())
        if float(surplus[worst]) >= 0:
            return label_map, coverage, similarity
        changed = _withdraw(worst, left, object_ids, label_map)
        windows = [left[k].window for k in changed]
        coverage[changed] = cell_coverage(label_map, [object_ids[k] for k in changed], windows, geometry, cells)


def mean_under(similarity: Tensor, coverage: Tensor) -> Tensor:
    """Return the mean of how like each object the cells under its mask are, as ``similarity_of``.

    Args:
        similarity: float, N x rows x columns, of each cell.
        coverage: The same: share of each cell that the masks cover.
    """
    return (similarity * coverage).sum(dim=(1, 2)) / coverage.sum(dim=(1, 2))


def _withdraw(which: int, patches: list[Patch], object_ids: Sequence[int], label_map: Tensor) -> list[int]:
    """Take an object out of the competition, in place, and return whose masks that changes: its own, others'."""
    leaves = patches[which]
    patches[which] = Patch(EMPTY_REGION, leaves.logits[EMPTY_REGION])
    here = label_map[leaves.window]
    freed = here == object_ids[which]
    won = soft_aggregation(patches, object_ids, leaves.window)[freed]
    here[freed] = won
    pixels = won.bincount(minlength=256).tolist()
    return [k for k, object_id in enumerate(object_ids) if k == which or pixels[object_id]]


def no_threshold(count: int, device: torch.device) -> Tensor:
    """Return float, N, as ``needed``, with which nobody leaves."""
    return torch.full((count,), -torch.inf, device=device)
