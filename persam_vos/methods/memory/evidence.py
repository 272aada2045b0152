"""Masks and the memory that found them go in; out comes the evidence by which the masks are judged."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from persam_vos.methods.calibrations import MEMORY_PHOTOS, MEMORY_VIDEO
from persam_vos.methods.memory.memory import Memory, object_cells
from persam_vos.methods.memory.prior import Query
from persam_vos.methods.score import Evidence

# Cells of a mask, and softness of 0..1, below which logarithms no longer fall.
_MIN_CELLS, _MIN_SOFTNESS = 1e-2, 1e-2
# Similarity from which all of the object counts as shown. What lies above tells films apart, and not masks: the fit of
# ``scripts/experiments/score.py`` is as good from 0.7 to 0.8, and worse without this bound.
_SHOWN = 0.75


def video_evidence(
    decoded: Mapping[str, Tensor], coverage: Tensor, there: Tensor, query: Query, memory: Memory
) -> Evidence:
    """Collect the evidence on the masks of a frame.

    Args:
        decoded: The decoder's share of it: ``Decoded.features``.
        coverage: float, N x rows x columns in 0..1: of the cells by the masks.
        there: bool, N: whether there is a mask.
        query: The frame.
        memory: Of N objects, before this frame.

    Returns:
        ``predicted_iou``; ``annotated_shown``, mean similarity of the object's cells in the annotated frame to the most
        similar cell of the mask, at most ``_SHOWN``: low where parts are missing, or something else is taken for it;
        ``log_softness`` and ``log_prior_softness``; ``changed``, the absolute logarithm of the mask's area over the
        decoder's: what the prior, the colours and the other objects have made of it.
    """
    own = torch.stack([object_cells(each) for each in coverage.flatten(1)])
    cells = coverage.sum(dim=(1, 2)).clamp(min=_MIN_CELLS)
    features = {
        "predicted_iou": decoded["predicted_iou"],
        "annotated_shown": _annotated_shown(query.view.keys, own & there[:, None], memory).clamp(max=_SHOWN),
        "log_softness": decoded["softness"].clamp(min=_MIN_SOFTNESS).log(),
        "log_prior_softness": decoded["prior_softness"].clamp(min=_MIN_SOFTNESS).log(),
        "changed": (cells / decoded["cells"].clamp(min=_MIN_CELLS)).log().abs(),
    }
    return Evidence.of(features, MEMORY_VIDEO, missing=~there)


def photo_evidence(decoded: Mapping[str, Tensor], usual: Tensor, similarity: Tensor) -> Evidence:
    """Collect the evidence on the masks of a photo.

    Args:
        decoded: The decoder's share of it: ``Decoded.features``.
        usual: float, N: ``PhotoMethod.reference_similarity``.
        similarity: float, N: of the masks to their objects; NaN where there is no mask.

    Returns:
        ``predicted_iou``; ``similarity_share``, the similarity as a share of the usual one, by which presence is
        decided as well; ``log_prior_softness``.
    """
    features = {
        "predicted_iou": decoded["predicted_iou"],
        "similarity_share": similarity / usual,
        "log_prior_softness": decoded["prior_softness"].clamp(min=_MIN_SOFTNESS).log(),
    }
    return Evidence.of(features, MEMORY_PHOTOS, missing=similarity.isnan())


def _annotated_shown(keys: Tensor, own: Tensor, memory: Memory) -> Tensor:
    """Return the mean similarity of each object's annotated cells to the most similar cell under its mask.

    Args:
        keys: float, cells x k, of unit length: of the frame.
        own: bool, N x cells: under each mask.
        memory: Of the objects.

    Returns:
        float, N, -1..1; NaN where there is no mask.
    """
    shown = keys.new_full((len(own),), torch.nan)
    for i, (held, (annotated, _)) in enumerate(zip(own, memory.object_keys, strict=True)):
        if len(inside := keys[held]):
            shown[i] = (inside @ annotated.T).amax(dim=0).mean()
    return shown
