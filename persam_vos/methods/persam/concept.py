"""Annotated frames go in; out comes a concept, the target feature of PerSAM (arXiv 2305.03048, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.sam.encoder import ImageEmbedding

Pooling = Literal["mean", "max_mean"]


@dataclass(frozen=True, slots=True)
class Concept:
    """The target feature of one object, with its usual similarity (PerSAM, arXiv 2305.03048, section 3.1).

    Attributes:
        target: float, C, of unit length: what each cell of a new frame is compared with.
        embedding: float, C: the same before normalisation, for target-semantic prompting.
        similarity: Mean cosine similarity, -1..1, of ``target`` with the target's own cells in the annotated frame.
    """

    target: Tensor
    embedding: Tensor
    similarity: float


def mask_cells(mask: Tensor, embedding: ImageEmbedding, *, share: float = 0.5) -> Tensor:
    """Return the cells of the grid whose middle a mask covers.

    Args:
        mask: bool, H x W in pixels of the frame, not empty.
        embedding: The frame's embedding.
        share: Share of a cell's middle that must be covered.

    Returns:
        bool, h x w with at least one cell set: a mask that covers no middle gets the cell it covers most of, so that
        there is always a feature.
    """
    geometry, cells = embedding.geometry, embedding.cells
    chosen = geometry.to_grid(mask[None], cells)[0] > share
    if not chosen.any():
        y, x = mask.nonzero(as_tuple=True)
        points = geometry.points_to_input(torch.stack([x, y], dim=1)) * cells / geometry.input_size
        columns, rows = points.long().clamp(max=cells - 1).T
        chosen.view(-1)[torch.bincount(rows * cells + columns).argmax()] = True
    return chosen


def learn_concept(
    references: Sequence[tuple[ImageEmbedding, Tensor]], pooling: Pooling, *, share: float = 0.5
) -> Concept:
    """Pool the features of the cells under the mask.

    Args:
        references: Embeddings of annotated frames, at least one, and the masks, bool, H x W, not empty. Their cells
            count alike, whichever frame they are of.
        pooling: ``mean`` as PerSAM on photos; ``max_mean`` for (max + mean) / 2, as PerSAM-F and both on video.
        share: Share of a cell's middle that must be covered for the cell to count.
    """
    own = [embedding.features[:, mask_cells(mask, embedding, share=share)] for embedding, mask in references]
    features = torch.cat(own, dim=1)
    pooled = features.mean(dim=1)
    if pooling == "max_mean":
        pooled = (pooled + features.amax(dim=1)) / 2
    target = functional.normalize(pooled, dim=0)
    similarity = float((target @ functional.normalize(features, dim=0)).mean())
    return Concept(target, pooled, similarity)


def update_concept(concept: Concept, newer: Concept, rate: float) -> Concept:
    """Move the target feature towards a newer one.

    Args:
        concept: The concept so far.
        newer: The concept learnt from a frame that was segmented well.
        rate: Share of the newer feature, 0..1.
    """
    target = functional.normalize(torch.lerp(concept.target, newer.target, rate), dim=0)
    embedding = torch.lerp(concept.embedding, newer.embedding, rate)
    return replace(concept, target=target, embedding=embedding)
