"""Concepts and a frame go in; out come similarity maps, PerSAM's location prior, and the guidance of attention.

See arXiv 2305.03048, equation 2 and sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.methods.persam.concept import Concept
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry

Alignment = Literal["padded", "squashed"]


def similarity_maps(concepts: Sequence[Concept], embedding: ImageEmbedding) -> Tensor:
    """Compare every cell of a frame with each concept (PerSAM, equation 2).

    Returns:
        float, N x h x w: cosine similarity, -1..1, over the padded square.
    """
    targets = torch.stack([concept.target for concept in concepts])
    return torch.einsum("nc,chw->nhw", targets, functional.normalize(embedding.features, dim=0))


def location_prior(similarity: Tensor, geometry: Geometry, *, positive: int, negative: int) -> tuple[Tensor, Tensor]:
    """Pick the pixels most and least like the target (PerSAM, section 3.1, "positive-negative location prior").

    With several objects, a cell is only a place for the object that it is most similar to.

    Args:
        similarity: float, N x h x w over the padded square.
        geometry: Of the frame; the padding is never picked.
        positive: Number of points of highest similarity.
        negative: Number of points of lowest similarity.

    Returns:
        Points, float N x (positive + negative) x 2, (x, y) in pixels of the frame; labels, int, 1 and 0.
    """
    rows, columns = geometry.valid(similarity.shape[-1])
    owned = similarity >= similarity.amax(dim=0)
    # An object that is nowhere the most similar one may get points anywhere.
    outdone = ~owned[:, :rows, :columns].flatten(1).any(dim=1)
    own = torch.where(owned | outdone[:, None, None], similarity, -1.0)
    count = geometry.height * geometry.width
    index = _pixels(own, geometry).topk(min(positive, count)).indices
    labels = [1] * index.shape[1]
    if negative:
        worst = _pixels(similarity, geometry).topk(min(negative, count), largest=False).indices
        index, labels = torch.cat([index, worst], dim=1), labels + [0] * worst.shape[1]
    points = torch.stack([index % geometry.width, index // geometry.width], dim=-1).float()
    return points, torch.tensor(labels, device=similarity.device).expand(len(similarity), -1)


def _pixels(similarity: Tensor, geometry: Geometry) -> Tensor:
    """N x HW similarities of the frame's pixels, by way of the decoder's grid of 256 x 256 as published."""
    fine = functional.interpolate(similarity[None], scale_factor=4, mode="bilinear")[0]
    return geometry.to_frame(fine).flatten(1)


def attention_bias(similarity: Tensor, geometry: Geometry, *, alignment: Alignment = "padded") -> Tensor:
    """Turn similarity into the confidence that guides attention (PerSAM, section 3.2).

    The map is standardised over the picture and squashed by a sigmoid.

    Args:
        similarity: float, N x h x w over the padded square.
        geometry: Of the frame.
        alignment: Where it is laid: ``padded``, where the picture lies in the square; the padding gets the lowest value
            there is in the picture, so that attention is not drawn to it. Or ``squashed`` to the whole square at the
            picture's aspect ratio, as in the published script, off its place in pictures that are not square.

    Returns:
        float, N x h x w in 0..1.
    """
    if alignment == "squashed":
        pixels = _pixels(similarity, geometry).unflatten(1, (geometry.height, geometry.width))
        squashed = functional.interpolate(_standardised(pixels)[None], size=similarity.shape[1:], mode="bilinear")
        return squashed[0].sigmoid()
    rows, columns = geometry.valid(similarity.shape[-1])
    confidence = _standardised(similarity[:, :rows, :columns]).sigmoid()
    bias = confidence.amin(dim=(1, 2), keepdim=True).expand_as(similarity).clone()
    bias[:, :rows, :columns] = confidence
    return bias


def _standardised(maps: Tensor) -> Tensor:
    """Return N x h x w of mean 0 and deviation 1 each."""
    std, mean = torch.std_mean(maps, dim=(1, 2), keepdim=True)
    return (maps - mean) / std.nan_to_num(0.0).clamp(min=1e-6)
