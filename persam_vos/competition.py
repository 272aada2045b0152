"""Objects compete for the pixels of a frame, and those leave that are not there: SAM answers for them as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from persam_vos.encoder import ImageEmbedding
from persam_vos.objects import cell_shares, soft_aggregation
from persam_vos.patches import Patch
from persam_vos.region import NOWHERE


def compete(
    patches: Sequence[Patch],
    object_ids: Sequence[int],
    embedding: ImageEmbedding,
    likeness_of: Callable[[Tensor], Tensor],
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
        likeness_of: Says how like its object each mask is, float, N, NaN where there is none; given what share of each
            cell that holds picture the masks cover, float, N x rows x columns.
        needed: float, N: what that must be at least; -inf takes every mask for its object.
        least: float, N: cells that an object must cover; what is less is left over from the competition, not seen.

    Returns:
        uint8, H x W: the label map; float, N x rows x columns: share of each cell that the masks cover; float, N: how
        like its object each mask is, NaN where there is none.
    """
    geometry, cells, left = embedding.geometry, embedding.cells, list(patches)
    label_map = soft_aggregation(left, object_ids, (slice(0, geometry.height), slice(0, geometry.width)))
    shares = cell_shares(label_map, object_ids, [patch.window for patch in left], geometry, cells)
    while True:
        covered = shares.sum(dim=(1, 2))
        likeness = likeness_of(shares)
        surplus = (likeness - needed).nan_to_num(0.0)
        surplus[(covered < least) & ~likeness.isnan()] = -1
        worst = int(surplus.argmin())
        if float(surplus[worst]) >= 0:
            return label_map, shares, likeness
        changed = _withdraw(worst, left, object_ids, label_map)
        windows = [left[k].window for k in changed]
        shares[changed] = cell_shares(label_map, [object_ids[k] for k in changed], windows, geometry, cells)


def mean_under(similarity: Tensor, shares: Tensor) -> Tensor:
    """Return the mean of how like each object the cells under its mask are, as ``likeness_of``.

    Args:
        similarity: float, N x rows x columns, of each cell.
        shares: The same: share of each cell that the masks cover.
    """
    return (similarity * shares).sum(dim=(1, 2)) / shares.sum(dim=(1, 2))


def _withdraw(which: int, patches: list[Patch], object_ids: Sequence[int], label_map: Tensor) -> list[int]:
    """Take an object out of the competition, in place, and return whose masks that changes: its own, others'."""
    leaves = patches[which]
    patches[which] = Patch(NOWHERE, leaves.log_odds[NOWHERE])
    here = label_map[leaves.window]
    freed = here == object_ids[which]
    won = soft_aggregation(patches, object_ids, leaves.window)[freed]
    here[freed] = won
    pixels = won.bincount(minlength=256).tolist()
    return [k for k, object_id in enumerate(object_ids) if k == which or pixels[object_id]]


def everyone(count: int, device: torch.device) -> Tensor:
    """Return float, N, as ``needed``, with which nobody leaves."""
    return torch.full((count,), -torch.inf, device=device)
