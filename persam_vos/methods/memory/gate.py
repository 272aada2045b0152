"""A prior and the last coverage go in; a prior without look-alikes elsewhere comes out: things do not jump."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import Mask

# A probability above this counts as the object.
OBJECT_PROBABILITY = 0.5
# Probability of cells where the object is ruled out: so low that no mask begins there, and the logit is finite.
RULED_OUT_PROBABILITY = 1e-3


def reachable_cells(last: Tensor, seen: Tensor, *, margin: float, min_cells: int, coverage: float) -> Tensor:
    """Return the cells that an object can have reached: bool, N x rows x columns; all if it was out of sight.

    Args:
        last: float, N x rows x columns in 0..1: coverage when last seen.
        seen: bool, N: whether that was in the last frame.
        margin: How far the object may move in a frame, in square roots of its area.
        min_cells: Cells that any object may move in a frame.
        coverage: Coverage above which the object was in a cell; at most half of its highest one.
    """
    near = torch.ones_like(last, dtype=torch.bool)
    for i in seen.nonzero()[:, 0].tolist():
        was = last[i].cpu().numpy()
        reach = max(min_cells, round(margin * math.sqrt(max(float(was.sum()), 1.0))))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        # An object smaller than a cell never reaches that coverage.
        allowed = cv2.dilate(was, disc) > min(coverage, 0.5 * float(was.max()))
        near[i] = torch.from_numpy(allowed).to(near.device)
    return near


def found_nearby(prior: Tensor, last: Tensor, near: Tensor, share: float) -> Tensor:
    """Return whether enough of each object is found near where it was.

    Args:
        prior: float, N x rows x columns in 0..1.
        last: float, N x rows x columns in 0..1: coverage when last seen.
        near: bool, N x rows x columns; see ``reachable_cells``.
        share: Share of the object's area that is enough.

    Returns:
        bool, N.
    """
    found = (prior * (near & (prior > OBJECT_PROBABILITY))).sum(dim=(1, 2))
    return found >= share * last.sum(dim=(1, 2))


def keep_near(prior: Tensor, near: Tensor, found: Tensor) -> Tensor:
    """Drop look-alikes elsewhere of each object that is found near where it was.

    An object that moved too fast to be found nearby, or was out of sight, is searched everywhere.

    Args:
        prior: float, N x rows x columns in 0..1.
        near: bool, N x rows x columns; see ``reachable_cells``.
        found: bool, N; see ``found_nearby``.
    """
    kept = prior.clone()
    for i in found.nonzero()[:, 0].tolist():
        here = near[i].cpu().numpy()
        allowed = torch.from_numpy(here | _components_mostly_in(here, prior[i].cpu().numpy() > OBJECT_PROBABILITY)).to(
            prior.device
        )
        kept[i] = torch.where(allowed, prior[i], prior[i].clamp(max=RULED_OUT_PROBABILITY))
    return kept


def _components_mostly_in(near: Mask, found: Mask) -> Mask:
    """Return the connected components of ``found`` of which at least half lies in ``near``, grown by a cell."""
    count, parts = cv2.connectedComponents(found.astype(np.uint8), connectivity=4)
    sizes = np.bincount(parts.ravel(), minlength=count)
    inside = np.bincount(parts[near], minlength=count)
    chosen = 2 * inside >= sizes
    chosen[0] = False
    return cv2.dilate(chosen[parts].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
