"""Masks are mended before they are exported: grown or shrunk, feathered, their holes filled, their specks removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from persam_vos.exports.base import ResumableWriter
from persam_vos.exports.several import SeveralWriters
from persam_vos.masks import LabelMap, Mask, box_xyxy
from persam_vos.media import Frame, FramesDone
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.settings.output import ExportOptions
from persam_vos.soft_edges import Alpha, agreeing, edge_reach, feathered, owners

REFINING = ("grow", "feather", "fill_holes", "min_area")
"""Options of ``ExportOptions`` that change the masks of all exports."""
# Pixels by which a mask is grown at once: the time of a larger disc grows with its area.
_STEP = 7


class RefinedWriters(SeveralWriters):
    """Hands refined results to writers, so that all of them have the same; see ``ResumableWriter``.

    Args:
        writers: Of one run.
        options: How masks are refined.
    """

    def __init__(self, writers: Sequence[ResumableWriter], options: ExportOptions) -> None:
        super().__init__()
        self._writers, self._options = writers, options

    def each(self) -> Sequence[ResumableWriter]:
        """Return the writers."""
        return self._writers

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Refine the result and write it; see ``ResultWriter``."""
        better = refined(result, self._options)
        for writer in self._writers:
            writer.write(frame, better)

    def resume(self, done: FramesDone) -> None:
        """Go on after the frames done; see ``ResumableWriter``."""
        for writer in self._writers:
            writer.resume(done)


def refines(options: ExportOptions) -> bool:
    """Tell whether options change masks or alpha."""
    return any(getattr(options, name) for name in REFINING)


def refined(result: FrameResult, options: ExportOptions) -> FrameResult:
    """Return a result with better masks: specks go first, then holes; what is left is grown, and feathered.

    Objects grow into the background and shrink from it; between objects that touch, nothing moves. Scores stay.

    Args:
        result: Of a frame.
        options: ``min_area``, ``fill_holes``, ``grow`` and ``feather``.
    """
    margin = abs(options.grow) + options.feather + edge_reach(result.label_map.shape) + 2
    place = _around(result, margin)
    labels = result.label_map[place]
    alpha = None if result.alpha is None else result.alpha[place]
    mended = _without_specks(labels, options.min_area) if options.min_area else labels
    mended = _without_holes(mended) if options.fill_holes else mended
    if alpha is not None and mended is not labels:
        alpha = _followed(alpha, labels, mended, edge_reach(result.label_map.shape))
    if options.grow:
        mended, alpha = _grown(mended, alpha, options.grow)
    if options.feather:
        alpha = feathered(mended > 0, options.feather)
    return _with(result, place, mended, alpha)


def _around(result: FrameResult, margin: int) -> tuple[slice, slice]:
    """Return the rows and columns in which objects are, with a margin."""
    held = result.label_map if result.alpha is None else cv2.max(result.label_map, result.alpha)
    left, top, width, height = cv2.boundingRect(held)
    rows = slice(max(0, top - margin), top + height + margin)
    return rows, slice(max(0, left - margin), left + width + margin)


def _without_specks(labels: LabelMap, min_area: int) -> LabelMap:
    """Remove parts of objects of fewer pixels; pixels that touch at a corner belong together."""
    kept = labels.copy()
    for object_id in np.unique(labels[labels > 0]).tolist():
        own = (labels == object_id).astype(np.uint8)
        _, parts, stats, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
        small = stats[:, cv2.CC_STAT_AREA] < min_area
        small[0] = False
        kept[small[parts]] = 0
    return kept


def _without_holes(labels: LabelMap) -> LabelMap:
    """Give background that a single object encloses to it; what touches the border is not enclosed."""
    filled = labels.copy()
    background = (labels == 0).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(background, connectivity=4)
    height, width = labels.shape
    for part in range(1, count):
        x, y, w, h = (int(stats[part, each]) for each in range(4))
        if min(x, y) == 0 or x + w == width or y + h == height:
            continue
        place = slice(y - 1, y + h + 1), slice(x - 1, x + w + 1)
        hole = (parts[place] == part).astype(np.uint8)
        beside = cv2.dilate(hole, np.ones((3, 3), np.uint8)) > hole
        around = np.unique(labels[place][beside & (labels[place] > 0)])
        if len(around) == 1:
            filled[place][hole > 0] = around[0]
    return filled


def _followed(alpha: Alpha, before: LabelMap, after: LabelMap, reach: int) -> Alpha:
    """Let alpha follow masks of which parts have come or gone."""
    come, gone = (before == 0) & (after > 0), (before > 0) & (after == 0)
    around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    opaque = (cv2.dilate(come.astype(np.uint8), around) > 0) & (after > 0)
    followed: Alpha = np.where(opaque, np.uint8(255), np.where(gone, np.uint8(0), alpha))
    return agreeing(followed, after > 0, reach)


def _grown(labels: LabelMap, alpha: Alpha | None, by: int) -> tuple[LabelMap, Alpha | None]:
    """Grow the outline of all objects together by so many pixels, or shrink it, and alpha with it."""
    moved = _moved(np.where(labels > 0, np.uint8(255), np.uint8(0)) if alpha is None else alpha, by)
    inside: Mask = moved >= 128
    grown: LabelMap = np.where(inside, owners(labels) if by > 0 else labels, np.uint8(0))
    return grown, None if alpha is None else moved


def _moved(values: Alpha, by: int) -> Alpha:
    """Move all edges outwards or inwards; the border of the frame is no edge."""
    move, left = (cv2.dilate if by > 0 else cv2.erode), abs(by)
    while left:
        radius = min(left, _STEP)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        values, left = np.asarray(move(values, disc), np.uint8), left - radius
    return values


def _with(result: FrameResult, place: tuple[slice, slice], labels: LabelMap, alpha: Alpha | None) -> FrameResult:
    """Return the result with other pixels at a place that holds all objects."""
    label_map = np.zeros_like(result.label_map)
    label_map[place] = labels
    whole = None
    if alpha is not None:
        whole = np.zeros_like(label_map)
        whole[place] = alpha
    objects = tuple(_described(each, label_map) for each in result.objects)
    return replace(result, label_map=label_map, alpha=whole, objects=objects)


def _described(entry: ObjectResult, label_map: LabelMap) -> ObjectResult:
    mask = label_map == entry.id
    if (box := box_xyxy(mask)) is None:
        return replace(entry, present=False, score=0.0, similarity=None, area=0, box=None)
    return replace(entry, area=int(np.count_nonzero(mask)), box=box)
