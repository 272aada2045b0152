"""The decoder's nested candidates go in; out comes the one of each object that is refined further."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from persam_vos.sam.geometry import Geometry
from persam_vos.sam.prompts import Candidates

Rule = Literal["largest", "predicted_iou", "agreement", "single"]


def choose_candidate(
    candidates: Candidates, geometry: Geometry, rule: Rule, *, last: Tensor | None = None, seen: Tensor | None = None
) -> Tensor:
    """Choose one candidate of each object.

    Args:
        candidates: Of N objects.
        geometry: Of the frame.
        rule: ``largest`` by the pixels of the picture, as PerSAM's authors intend; the best ``predicted_iou``; or the
            best ``agreement``, the IoU with ``last``, for an object that was seen; of the three nested candidates. Or
            the ``single`` one beside them.
        last: bool, N x H x W in pixels of the frame: masks when last seen; None if there is no frame before.
        seen: bool, N: whether that was in the last frame; None if there is no frame before.

    Returns:
        float, N x 256 x 256: the chosen logits.
    """
    if rule == "single":
        return candidates.logits[:, 0]
    logits, quality = candidates.logits[:, 1:], candidates.predicted_iou[:, 1:]
    if rule == "largest":
        quality = _areas(logits, geometry)
    elif rule == "agreement" and last is not None and seen is not None:
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
