"""A memory meets a new frame: where each object probably is, on the grid of cells, before the decoder is asked."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.config import TrackerSettings
from persam_vos.matching import Nearby, vote
from persam_vos.memory import Memory, View
from persam_vos.objects import Mask

# Steepness of the ridge's answer as a probability.
_RIDGE_SLOPE = 4.0
# How far a cell may have moved since the last frame.
_RADIUS = 8
# By how much, in cosine similarity, a cell must be more like the last frame's background nearby than like the object to
# count as background, and how gradually.
_CLEARLY = 0.1
_DOUBT = 0.03
# What another object has better claim to keeps this share of its probability.
_OUTDONE = 0.5
# A probability is kept off 0 and 1 by this, for its log-odds to be finite.
SHARPEST = 1e-4
# Share of an object's area that must be found where it was for look-alikes elsewhere to be dropped.
_ENOUGH = 0.6
# Cells that any object may move in a frame, and the share of a cell from which the object was there.
_LEAST_REACH = 2
_WAS_THERE = 0.3
# Probability of what lies elsewhere while the object is found where it was.
_ELSEWHERE = 1e-3


def foreground_prior(
    memory: Memory,
    view: View,
    nearest: Tensor,
    last: Tensor,
    seen: Tensor,
    settings: TrackerSettings,
    *,
    scale: int = 1,
) -> Tensor:
    """Combine the ridge regression with the matching of cells, near where the objects were.

    Args:
        memory: Of N objects.
        view: Of the frame, rows x columns cells.
        nearest: float, N x cells: how like each object the frame's cells are, by ``memory.nearest``.
        last: float, N x rows x columns in 0..1: share of the cells that each object covered when last seen.
        seen: bool, N: whether that was in the last frame, which is then the memory's last one as well; if not, the
            object may be anywhere.
        settings: Of the tracker.
        scale: How many of the cells lie along the side of one of the whole frame's.

    Returns:
        float, N x rows x columns in 0..1.
    """
    prior = torch.sigmoid(_RIDGE_SLOPE * memory.score(view))
    rows, columns = last.shape[1:]
    earlier, covered = memory.last
    nearby = Nearby.match(view.keys, earlier.keys, covered.unflatten(1, (rows, columns)), radius=scale * _RADIUS)
    if settings.matching:
        first, shares = memory.first
        matched = vote(view.keys @ first.keys.T, shares)
        if settings.local_matching:
            blended = torch.lerp(matched, nearby.vote(), settings.local_matching)
            matched = torch.where(seen[:, None], blended, matched)
        prior = torch.lerp(prior, matched, settings.matching)
    if settings.background_matching:
        was_background = torch.sigmoid((nearby.background() - nearest - _CLEARLY) / _DOUBT)
        prior = torch.where(seen[:, None], prior * (1 - settings.background_matching * was_background), prior)
    best = prior.amax(dim=0)
    prior = torch.where(prior >= best, prior, _OUTDONE * prior)
    grids: Tensor = prior.unflatten(1, (rows, columns))
    if not settings.gate:
        return grids
    return keep_near(grids, last, seen, margin=settings.gate, least=scale * _LEAST_REACH, enough=_ENOUGH)


def keep_near(
    prior: Tensor, last: Tensor, seen: Tensor, *, margin: float, enough: float, least: int = _LEAST_REACH
) -> Tensor:
    """Drop what lies away from where an object was, as long as enough of it is found there: look-alikes elsewhere.

    An object that moved too fast to be found nearby, or was out of sight, is looked for everywhere.

    Args:
        prior: float, N x rows x columns in 0..1.
        last: float, N x rows x columns in 0..1: share of the cells when last seen.
        seen: bool, N: whether that was in the last frame.
        margin: How far the object may move in a frame, in square roots of its area.
        enough: Share of its area that must be found within that margin.
        least: Cells that any object may move.
    """
    kept = prior.clone()
    for i in seen.nonzero()[:, 0].tolist():
        where, was = prior[i].cpu().numpy(), last[i].cpu().numpy()
        area = float(was.sum())
        reach = max(least, round(margin * math.sqrt(max(area, 1.0))))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        # A small object nowhere fills so much of a cell.
        near = cv2.dilate(was, disc) > min(_WAS_THERE, 0.5 * float(was.max()))
        if where[near & (where > 0.5)].sum() >= enough * area:
            allowed = torch.from_numpy(near | _parts_mostly_in(near, where > 0.5)).to(prior.device)
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
