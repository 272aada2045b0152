"""Variants with a rough first mask, as people draw them; the truth of the frames stays."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from persam_vos.masks import LabelMap, Mask

from .clips import Clip, Source

# Points of a polygon, and the share of the area beyond a straight cut.
_POLYGON_POINTS = (8, 12)
_MISSING_SHARE = (0.15, 0.25)
# By how much a mask grows, shrinks or moves, in square roots of its area, and at least.
_GROWTH = 0.06
_SHRINKAGE = 0.04
_SHIFT = 0.08
_MIN_PIXELS = 3


def rough(source: Source) -> Clip:
    """Spoil the first mask: a polygon, grown, shrunk, shifted, or with a piece missing."""
    spoil = ROUGHNESS[source.turn % len(ROUGHNESS)]
    truth = source.label_maps[0]
    first: LabelMap = np.zeros_like(truth)
    random = source.random("rough")
    for number in np.unique(truth[truth > 0]):
        mask = truth == number
        if mask.sum() > 100:
            spoilt = spoil(mask, random)
            mask = spoilt if spoilt.any() else mask
        first[mask & ((truth == 0) | (truth == number))] = number
    return Clip(source.frames, source.label_maps, first)


def polygon(mask: Mask, random: np.random.Generator) -> Mask:
    """Draw around the largest piece with a few points."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=cv2.contourArea)
    most = int(random.integers(_POLYGON_POINTS[0], _POLYGON_POINTS[1] + 1))
    tolerance = 1.0
    while len(points := cv2.approxPolyDP(contour, tolerance, closed=True)) > most:
        tolerance *= 1.1
    drawn = cv2.fillPoly(np.zeros(mask.shape, np.uint8), [points], 1)
    return drawn > 0


def grown(mask: Mask, _: np.random.Generator) -> Mask:
    """Draw too far outside."""
    return cv2.dilate(mask.astype(np.uint8), _disk(_pixels(mask, _GROWTH))) > 0


def shrunk(mask: Mask, _: np.random.Generator) -> Mask:
    """Draw too far inside."""
    padded = np.pad(mask, 1, mode="edge").astype(np.uint8)
    return cv2.erode(padded, _disk(_pixels(mask, _SHRINKAGE)))[1:-1, 1:-1] > 0


def shifted(mask: Mask, random: np.random.Generator) -> Mask:
    """Draw beside the object."""
    angle, distance = random.uniform(0, 2 * np.pi), _pixels(mask, _SHIFT)
    matrix = np.array([[1, 0, round(distance * np.cos(angle))], [0, 1, round(distance * np.sin(angle))]], np.float32)
    return cv2.warpAffine(mask.astype(np.uint8), matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST) > 0


def piece_missing(mask: Mask, random: np.random.Generator) -> Mask:
    """Leave out what lies beyond a straight line."""
    angle = random.uniform(0, 2 * np.pi)
    rows, columns = mask.nonzero()
    along = columns * np.cos(angle) + rows * np.sin(angle)
    cut = np.quantile(along, 1 - random.uniform(*_MISSING_SHARE))
    kept: Mask = np.zeros_like(mask)
    kept[rows[along <= cut], columns[along <= cut]] = True
    return kept


ROUGHNESS: tuple[Callable[[Mask, np.random.Generator], Mask], ...] = (polygon, grown, shrunk, shifted, piece_missing)


def _pixels(mask: Mask, share: float) -> int:
    return max(round(share * float(np.sqrt(mask.sum()))), _MIN_PIXELS)


def _disk(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
