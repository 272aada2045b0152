"""Which of the decoder's nested candidates goes on from the first pass."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from persam_vos.sam.geometry import Geometry
from persam_vos.sam.prompts import Candidates

Rule = Literal["largest", "predicted_iou", "agreement", "single"]


def choose(candidates: Candidates, geometry: Geometry, *, rule: Rule, last: Tensor, seen: Tensor) -> Tensor:
    """Choose one candidate of each object.

    Args:
        candidates: Of N objects.
        geometry: Of the frame.
        rule: ``largest`` by the pixels of the picture, as PerSAM's authors intend; the best ``predicted_iou``; or the
            best ``agreement``, that is IoU with ``last``, for an object that was there to agree with: one of the three
            nested ones. Or the ``single`` one beside them.
        last: bool, N x H x W in pixels of the frame: where each object was last seen.
        seen: bool, N: whether that was in the last frame.

    Returns:
        float, N x 256 x 256: the chosen logits.
    """
    if rule == "single":
        return candidates.logits[:, 0]
    logits, quality = candidates.logits[:, 1:], candidates.predicted_iou[:, 1:]
    if rule == "largest":
        quality = _areas(logits, geometry)
    elif rule == "agreement":
        quality = torch.where(seen[:, None], _agreement(logits, last, geometry), quality)
    return logits[torch.arange(len(logits), device=logits.device), quality.argmax(dim=1)]


def _areas(logits: Tensor, geometry: Geometry) -> Tensor:
    rows, columns = geometry.valid(logits.shape[-1])
    return (logits[..., :rows, :columns] > 0).sum(dim=(2, 3))


def _agreement(logits: Tensor, last: Tensor, geometry: Geometry) -> Tensor:
    rows, columns = geometry.valid(logits.shape[-1])
    masks = logits[..., :rows, :columns] > 0
    prior = (geometry.to_grid(last, logits.shape[-1])[:, None] > 0.5)[..., :rows, :columns]
    shared = (masks & prior).sum(dim=(2, 3))
    either = (masks | prior).sum(dim=(2, 3))
    return shared / either.clamp(min=1)
