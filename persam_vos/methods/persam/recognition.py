"""Per-object logits become one exclusive label map; what is known of each object in a frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from persam_vos.masks import LabelMap
from persam_vos.methods.persam.concept import Concept, mask_cells
from persam_vos.sam.encoder import ImageEmbedding

# In cosine similarity. On the annotated objects of real two-object clips no other object ever came closer; twins may.
_RIVAL_MARGIN = 0.02


def exclusive_label_map(logits: Tensor, object_ids: Sequence[int]) -> LabelMap:
    """Let the objects compete for each pixel: the highest logit wins, background counts as 0.

    Args:
        logits: float, N x H x W, one map per object.
        object_ids: N ids, 1..254.

    Returns:
        uint8, H x W.
    """
    best, winner = logits.max(dim=0)
    ids = torch.tensor(object_ids, dtype=torch.uint8, device=logits.device)
    return torch.where(best > 0, ids[winner], 0).to(torch.uint8).cpu().numpy()


def recognise(
    masks: Tensor, concepts: Sequence[Concept], similarity: Tensor, embedding: ImageEmbedding, share: float
) -> Tensor:
    """Say how surely each mask shows its object: SAM finds something for every prompt, whether it is there or not.

    A mask must be like enough to its object, and not clearly more like another object.

    Args:
        masks: bool, N x H x W in pixels of the frame, exclusive: an object must not be judged by what another won.
        concepts: N concepts.
        similarity: float, N x h x w over the padded square: of each concept with the frame.
        embedding: The frame's.
        share: Of the similarity that the annotation had, 0..1, which a mask needs.

    Returns:
        float, N: cosine similarity beyond what is needed; negative where the mask shows something else, 0 where it is
        empty.
    """
    found = masks.flatten(1).any(dim=1)
    cells = torch.zeros_like(similarity, dtype=torch.bool)
    for i in found.nonzero()[:, 0].tolist():
        cells[i] = mask_cells(masks[i], embedding)
    flat = cells.flatten(1).float()
    # mask_similarity[i, k]: how like object k the mask of object i is
    mask_similarity = flat @ similarity.flatten(1).T / flat.sum(dim=1).clamp(min=1)[:, None]
    own = mask_similarity.diagonal()
    annotated = torch.tensor([concept.similarity for concept in concepts], device=similarity.device)
    # Of an object alone the best rival is the object itself, which never outdoes it.
    needed = torch.maximum(share * annotated, mask_similarity.amax(dim=1) - _RIVAL_MARGIN)
    return torch.where(found, own - needed, 0.0)
