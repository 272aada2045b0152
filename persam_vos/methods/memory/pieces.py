"""A mask in pieces goes in; out comes the piece that is one thing."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import Mask
from persam_vos.methods.base import Proposal
from persam_vos.sam.encoder import ImageEmbedding


def keep_most_similar_pieces(
    label_map: Tensor,
    object_ids: Sequence[int],
    similarity: Tensor,
    proposal: Proposal,
    embedding: ImageEmbedding,
    min_share: float,
) -> Tensor:
    """Reduce each mask, in place, to its most similar piece, if that is as similar to its object as the whole mask.

    Args:
        label_map: uint8, H x W.
        object_ids: N ids.
        similarity: float, N: of the masks.
        proposal: The masks before they competed.
        embedding: Of the photo.
        min_share: Area of a piece, as a share of the largest one's, from which it counts.

    Returns:
        float, N: similarity of what is left.
    """
    geometry, similarity = embedding.geometry, similarity.clone()
    for k, object_id in enumerate(object_ids):
        pieces = _pieces((label_map == object_id).cpu().numpy(), min_share)
        if len(pieces) < 2:
            continue
        coverage = torch.zeros(len(object_ids), *geometry.valid(embedding.cells), device=similarity.device)
        alone = []
        for piece in pieces:
            coverage[k] = geometry.to_cells(torch.from_numpy(piece)[None].to(similarity.device), embedding.cells)[0]
            alone.append(float(proposal.similarity_of(coverage)[k]))
        best = int(np.argmax(alone))
        if alone[best] >= float(similarity[k]):
            for piece in (*pieces[:best], *pieces[best + 1 :]):
                label_map[torch.from_numpy(piece).to(label_map.device)] = 0
            similarity[k] = alone[best]
    return similarity


def largest_piece(mask: Tensor, min_share: float) -> Tensor:
    """Take the other pieces out of a mask, bool H x W, if they have ``min_share`` of the largest one's area."""
    pieces = sorted(_pieces(mask.cpu().numpy(), min_share), key=np.count_nonzero)
    for other in pieces[:-1]:
        mask = mask & ~torch.from_numpy(other).to(mask.device)
    return mask


def _pieces(mask: Mask, min_share: float) -> list[Mask]:
    """Return a mask's connected components of at least ``min_share`` of the largest one's area: bool, H x W each."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    return [parts == n for n in range(1, count) if areas[n] >= min_share * areas[1:].max()]
