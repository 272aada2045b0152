"""A memory meets a new frame: where each object probably is, on the grid of cells, before the decoder is asked."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import Mask

# A probability above this is taken for the object.
_LIKELY = 0.5
# Share of an object's area that must be found where it was for look-alikes elsewhere to be dropped.
_ENOUGH = 0.6
# Cells that any object may move in a frame, and the share of a cell from which the object was there.
_LEAST_REACH = 2
_WAS_THERE = 0.3
# Probability of what lies elsewhere while the object is found where it was.
_ELSEWHERE = 1e-3


def near_where_it_was(last: Tensor, seen: Tensor, *, margin: float, least: int = _LEAST_REACH) -> Tensor:
    """Say where an object may be by now: bool, N x rows x columns; everywhere if it was out of sight.

    Args:
        last: float, N x rows x columns in 0..1: share of the cells when last seen.
        seen: bool, N: whether that was in the last frame.
        margin: How far the object may move in a frame, in square roots of its area.
        least: Cells that any object may move.
    """
    near = torch.ones_like(last, dtype=torch.bool)
    for i in seen.nonzero()[:, 0].tolist():
        was = last[i].cpu().numpy()
        reach = max(least, round(margin * math.sqrt(max(float(was.sum()), 1.0))))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        # A small object nowhere fills so much of a cell.
        allowed = cv2.dilate(was, disc) > min(_WAS_THERE, 0.5 * float(was.max()))
        near[i] = torch.from_numpy(allowed).to(near.device)
    return near


def found_there(prior: Tensor, last: Tensor, near: Tensor) -> Tensor:
    """Say whether enough of each object is found near where it was.

    Args:
        prior: float, N x rows x columns in 0..1.
        last: float, N x rows x columns in 0..1: share of the cells when last seen.
        near: bool, N x rows x columns; see ``near_where_it_was``.

    Returns:
        bool, N.
    """
    found = (prior * (near & (prior > _LIKELY))).sum(dim=(1, 2))
    return found >= _ENOUGH * last.sum(dim=(1, 2))


def keep_near(prior: Tensor, near: Tensor, found: Tensor) -> Tensor:
    """Drop what lies away from where an object was, if it is found there: look-alikes elsewhere.

    An object that moved too fast to be found nearby, or was out of sight, is looked for everywhere.

    Args:
        prior: float, N x rows x columns in 0..1.
        near: bool, N x rows x columns; see ``near_where_it_was``.
        found: bool, N; see ``found_there``.
    """
    kept = prior.clone()
    for i in found.nonzero()[:, 0].tolist():
        here = near[i].cpu().numpy()
        allowed = torch.from_numpy(here | _parts_mostly_in(here, prior[i].cpu().numpy() > _LIKELY)).to(prior.device)
        kept[i] = torch.where(allowed, prior[i], prior[i].clamp(max=_ELSEWHERE))
    return kept


def _parts_mostly_in(near: Mask, found: Mask) -> Mask:
    """Return the connected parts of ``found`` of which at least half lies in ``near``, grown by a cell."""
    count, parts = cv2.connectedComponents(found.astype(np.uint8), connectivity=4)
    sizes = np.bincount(parts.ravel(), minlength=count)
    inside = np.bincount(parts[near], minlength=count)
    chosen = 2 * inside >= sizes
    chosen[0] = False
    return cv2.dilate(chosen[parts].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
