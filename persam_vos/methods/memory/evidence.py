"""Masks and the memory that found them go in; out comes the evidence by which the masks are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from persam_vos.methods.calibrations import MEMORY_PHOTOS, MEMORY_VIDEO
from persam_vos.methods.memory.memory import Memory, object_cells
from persam_vos.methods.memory.prior import Query
from persam_vos.methods.score import Evidence
from persam_vos.settings.video import TrackerSettings

# Quantile of the similarity of a mask's cells: a mask that has taken in something else has a few unlike cells.
_LOW_QUANTILE = 0.1
# Cells of a mask, and share of them, below which logarithms no longer fall.
_LEAST = 1e-2


@dataclass(frozen=True, slots=True)
class Finding:
    """The masks of N objects on a frame, and what the memory knew before.

    Attributes:
        coverage: float, N x rows x columns in 0..1: of the cells by the masks.
        similarity: float, N: mean similarity of each mask to its memory; NaN where there is no mask.
        query: The frame, and where the objects were before.
        memory: Of the objects, before this frame.
        age: Frames since the annotated one.
    """

    coverage: Tensor
    similarity: Tensor
    query: Query
    memory: Memory
    age: int


def video_evidence(decoded: Mapping[str, Tensor], finding: Finding, settings: TrackerSettings) -> Evidence:
    """Collect the evidence on the masks of a frame.

    Args:
        decoded: The decoder's share of it: ``Decoded.features``.
        finding: The masks.
        settings: The similarity that is usual for a new object.
    """
    coverage, query, memory = finding.coverage, finding.query, finding.memory
    there = ~finding.similarity.isnan()
    own = torch.stack([object_cells(each) for each in coverage.flatten(1)]) & there[:, None]
    cells, before = coverage.sum(dim=(1, 2)), query.last.sum(dim=(1, 2))
    like_annotated, shown = _annotated_similarity(query.view.keys, own, memory)
    features = {
        **decoded,
        "similarity": finding.similarity,
        "similarity_excess": finding.similarity - memory.expected_similarity(settings.initial_similarity),
        "low_similarity": query.similarity.masked_fill(~own, torch.nan).nanquantile(_LOW_QUANTILE, dim=1),
        "like_annotated": like_annotated,
        "annotated_shown": shown,
        "ridge": (query.view.ridge * coverage.flatten(1)).sum(dim=1) / cells,
        "growth": (cells.clamp(min=_LEAST) / before.clamp(min=_LEAST)).log(),
        "overlap_with_last": _soft_iou(coverage, query.last),
        "log_cells": cells.clamp(min=_LEAST).log(),
        "changed": (cells.clamp(min=_LEAST) / decoded["cells"].clamp(min=_LEAST)).log().abs(),
        "log_age": torch.full_like(cells, finding.age).log(),
        "seen": query.seen.to(cells.dtype),
    }
    return Evidence.of(features, MEMORY_VIDEO, missing=~there)


@dataclass(frozen=True, slots=True)
class PhotoFinding:
    """A photo as the memory of N objects sees it.

    Attributes:
        nearest: float, N x cells, -1..1: similarity of each cell to the most similar cell of each object.
        ridge: float, N x cells: the ridge regression, about +1 on the object and -1 elsewhere.
        usual: float, N: ``PhotoMethod.reference_similarity``.
    """

    nearest: Tensor
    ridge: Tensor
    usual: Tensor


def photo_evidence(
    decoded: Mapping[str, Tensor], finding: PhotoFinding, coverage: Tensor, similarity: Tensor
) -> Evidence:
    """Collect the evidence on the masks of a photo.

    Args:
        decoded: The decoder's share of it: ``Decoded.features``.
        finding: The photo.
        coverage: float, N x rows x columns in 0..1: of the cells by the masks.
        similarity: float, N: of the masks to their objects; NaN where there is no mask.
    """
    share, cells = coverage.flatten(1), coverage.sum(dim=(1, 2))
    inside = (finding.nearest * share).sum(dim=1) / cells
    elsewhere = finding.nearest.masked_fill(share > 0, torch.nan).nanquantile(1 - _LOW_QUANTILE, dim=1)
    features = {
        **decoded,
        "similarity": similarity,
        "similarity_share": similarity / finding.usual,
        "similarity_inside": inside,
        "contrast": (inside - elsewhere).nan_to_num(0.0),
        "ridge": (finding.ridge * share).sum(dim=1) / cells,
        "log_cells": cells.clamp(min=_LEAST).log(),
        "changed": (cells.clamp(min=_LEAST) / decoded["cells"].clamp(min=_LEAST)).log().abs(),
    }
    return Evidence.of(features, MEMORY_PHOTOS, missing=similarity.isnan())


def _annotated_similarity(keys: Tensor, own: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
    """Compare masks with the annotated frame's cells of their objects, both ways.

    Args:
        keys: float, cells x k, of unit length: of the frame.
        own: bool, N x cells: under each mask.
        memory: Of the objects.

    Returns:
        float, N: mean similarity of the mask's cells to the most similar annotated cell; float, N: of the annotated
        cells to the most similar cell of the mask. NaN where there is no mask.
    """
    there, back = keys.new_full((len(own),), torch.nan), keys.new_full((len(own),), torch.nan)
    for i, (held, (annotated, _)) in enumerate(zip(own, memory.object_keys, strict=True)):
        if len(inside := keys[held]):
            similarity = inside @ annotated.T
            there[i], back[i] = similarity.amax(dim=1).mean(), similarity.amax(dim=0).mean()
    return there, back


def _soft_iou(a: Tensor, b: Tensor) -> Tensor:
    return torch.minimum(a, b).sum(dim=(1, 2)) / torch.maximum(a, b).sum(dim=(1, 2)).clamp(min=_LEAST)
