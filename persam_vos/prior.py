"""A memory meets a new frame: where each object probably is, on the grid of cells, before the decoder is asked."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.config import TrackerSettings
from persam_vos.memory import Memory, View
from persam_vos.objects import Mask

# Steepness of the ridge's answer as a probability.
_RIDGE_SLOPE = 4.0
# Nearest cells that vote in the matching, their temperature, and how far a cell may have moved since the last frame.
_NEIGHBOURS = 15
_TEMPERATURE = 0.05
_RADIUS = 8
# What another object has better claim to keeps this share of its probability.
_OUTDONE = 0.5
# Cells that any object may move in a frame, and the share of a cell from which the object was there.
_LEAST_REACH = 2
_WAS_THERE = 0.3
# Probability of what lies elsewhere while the object is found where it was.
_ELSEWHERE = 1e-3


def foreground_prior(
    memory: Memory, view: View, seen: Tensor, rows: int, columns: int, settings: TrackerSettings
) -> Tensor:
    """Combine the ridge regression with the matching of cells.

    Args:
        memory: Of N objects.
        view: Of the frame, rows x columns cells.
        seen: bool, N: whether each object was in the last frame; if not, it may be anywhere.
        rows: Of cells that hold picture.
        columns: Of cells that hold picture.
        settings: Of the tracker.

    Returns:
        float, N x rows x columns in 0..1.
    """
    prior = torch.sigmoid(_RIDGE_SLOPE * memory.score(view))
    if settings.matching:
        first, shares = memory.first
        matched = _vote(view.keys @ first.keys.T, shares)
        if settings.local_matching:
            local = _match_nearby(memory, view, rows, columns)
            blended = torch.lerp(matched, local, settings.local_matching)
            matched = torch.where(seen[:, None], blended, matched)
        prior = torch.lerp(prior, matched, settings.matching)
    best = prior.amax(dim=0)
    prior = torch.where(prior >= best, prior, _OUTDONE * prior)
    result: Tensor = prior.unflatten(1, (rows, columns))
    return result


def _vote(similarity: Tensor, shares: Tensor) -> Tensor:
    """Let the most similar cells vote: ``similarity`` queries x cells, ``shares`` N x cells -> N x queries."""
    nearest, index = similarity.topk(min(_NEIGHBOURS, similarity.shape[1]), dim=1)
    votes = (nearest / _TEMPERATURE).softmax(dim=1)
    won: Tensor = (shares[:, index] * votes).sum(dim=-1)
    return won


def _match_nearby(memory: Memory, view: View, rows: int, columns: int) -> Tensor:
    """Match with the last frame, only cells within ``_RADIUS`` of each other: N x cells, 0 far from every object."""
    last, shares = memory.last
    result = torch.zeros_like(shares)
    known = shares.amax(dim=0).unflatten(0, (rows, columns)) > 0
    if not bool(known.any()):
        return result
    grid = torch.arange(rows * columns, device=shares.device).unflatten(0, (rows, columns))
    (top, bottom), (left, right) = (
        (int(line[0]), int(line[-1])) for line in (known.any(dim=d).nonzero()[:, 0] for d in (1, 0))
    )

    def around(margin: int) -> Tensor:
        reach = slice(max(top - margin, 0), bottom + margin + 1), slice(max(left - margin, 0), right + margin + 1)
        cells: Tensor = grid[reach].flatten()
        return cells

    queries, keys = around(_RADIUS), around(2 * _RADIUS)
    far = ((queries[:, None] // columns - keys // columns).abs() > _RADIUS) | (
        (queries[:, None] % columns - keys % columns).abs() > _RADIUS
    )
    similarity = (view.keys[queries] @ last.keys[keys].T).masked_fill(far, -1.0)
    result[:, queries] = _vote(similarity, shares[:, keys])
    return result


def keep_near(prior: Tensor, last: Tensor, seen: Tensor, *, margin: float, enough: float) -> Tensor:
    """Drop what lies away from where an object was, as long as enough of it is found there: look-alikes elsewhere.

    An object that moved too fast to be found nearby, or was out of sight, is looked for everywhere.

    Args:
        prior: float, N x rows x columns in 0..1.
        last: float, N x rows x columns in 0..1: share of the cells when last seen.
        seen: bool, N: whether that was in the last frame.
        margin: How far the object may move in a frame, in square roots of its area.
        enough: Share of its area that must be found within that margin.
    """
    kept = prior.clone()
    for i in seen.nonzero()[:, 0].tolist():
        where, was = prior[i].cpu().numpy(), last[i].cpu().numpy()
        area = float(was.sum())
        reach = max(_LEAST_REACH, round(margin * math.sqrt(max(area, 1.0))))
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
