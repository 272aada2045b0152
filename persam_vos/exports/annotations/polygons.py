"""Masks as polygons: all parts and holes of an object in one closed line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.masks import Mask

Points = npt.NDArray[np.int32]
"""N x 2: x and y of pixels."""

_MIN_POINTS = 3
MOST_PARTS = 500
"""Parts that a polygon joins, at most, and holes: of more, it has the largest."""


def polygon_of(mask: Mask) -> Points:
    """Return the outline of a mask as one polygon.

    Its corners are pixels of the mask, and what is filled between them, the line included, is the mask. Further parts
    and holes are joined to it by lines there and back, which enclose nothing; those between parts add their own pixels.
    Of more than ``MOST_PARTS`` parts, and of more holes, the smallest are left out, so that noise takes no hours.

    Args:
        mask: bool, H x W, not empty.

    Returns:
        N x 2, at least three points, of which some may be equal.
    """
    contours, _ = cv2.findContours(_largest(mask), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    lines: list[Points] = sorted(
        (np.asarray(each, np.int32).reshape(-1, 2) for each in contours), key=len, reverse=True
    )
    joined = lines[0] if len(lines) == 1 else _joined(lines)
    while len(joined) < _MIN_POINTS:
        joined = np.concatenate([joined, joined[-1:]])
    return joined


def filled(polygon: Points, height: int, width: int) -> Mask:
    """Return the pixels in and on a polygon, as programs draw it: bool, H x W."""
    drawn = cv2.fillPoly(np.zeros((height, width), np.uint8), [polygon], 1)
    return np.asarray(drawn, np.uint8).view(np.bool_)


def iou_of(polygon: Points, mask: Mask) -> float:
    """Return the IoU of a polygon with its mask, bool, H x W, not empty: 1 where nothing is lost."""
    drawn = filled(polygon, *mask.shape)
    return float((drawn & mask).sum() / (drawn | mask).sum())


def _largest(mask: Mask) -> npt.NDArray[np.uint8]:
    """Return a mask, 0 or 1, with its largest holes and then its largest parts, at most ``MOST_PARTS`` of each."""
    values = mask.astype(np.uint8)
    left, top, width, height = cv2.boundingRect(values)
    own = values[top : top + height, left : left + width]
    _, holes, stats, _ = cv2.connectedComponentsWithStats(1 - own, connectivity=4)
    x, y, w, h, areas = stats.T
    encloses = (x > 0) & (y > 0) & (x + w < width) & (y + h < height)
    encloses[0] = False  # the mask itself
    own[_small(np.where(encloses, areas, 0))[holes]] = 1
    _, parts, stats, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the ground
    own[_small(areas)[parts]] = 0
    return values


def _small(areas: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tell which areas above 0 are not among the ``MOST_PARTS`` largest."""
    small = areas > 0
    small[np.argsort(-areas, kind="stable")[:MOST_PARTS]] = False
    return small


def _joined(lines: Sequence[Points]) -> Points:
    """Join closed lines to one: at some corners of a line, another one is gone around, there and back.

    Time grows with the pixels around all lines, not with pairs of lines.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    points = np.concatenate(lines)
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    pairs = _neighbours(points, owner)
    distances = ((points[pairs[:, 0]] - points[pairs[:, 1]]).astype(np.int64) ** 2).sum(axis=1)
    pairs = pairs[np.argsort(distances, kind="stable")]
    # Of each two lines, the nearest corners; a zero would be no connection.
    between, at = np.unique(np.sort(owner[pairs], axis=1), axis=0, return_index=True)
    lengths = np.sort(distances)[at] + 1
    graph = csr_array((lengths, (between[:, 0], between[:, 1])), shape=(len(lines), len(lines)))
    order, parents = breadth_first_order(minimum_spanning_tree(graph), 0, directed=False)
    nearest = {tuple(key): tuple(pair) for key, pair in zip(between.tolist(), pairs[at].tolist(), strict=True)}
    branches: dict[int, list[int]] = {}
    for line in order[1:].tolist():
        parent = int(parents[line])
        first, second = nearest[min(line, parent), max(line, parent)]
        leave, arrive = (first, second) if owner[first] == parent else (second, first)
        branches.setdefault(leave, []).append(arrive)
    ends = np.cumsum([len(line) for line in lines])
    return points[_walk(branches, lambda point: _around(point, int(ends[owner[point]]), len(lines[owner[point]])))]


def _neighbours(points: Points, owner: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return pairs of corners of different lines, N x 2, of which pixels that lie side by side are nearest.

    They connect all lines, because what is nearest to each line, or a corner that it shares, borders on others.
    """
    x, y = (points - points.min(axis=0)).T
    ground = np.ones((int(y.max()) + 1, int(x.max()) + 1), np.uint8)
    ground[y, x] = 0
    _, labels = cv2.distanceTransformWithLabels(ground, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    corner = np.zeros(int(labels.max()) + 1, np.int64)
    corner[labels[y, x]] = np.arange(len(points))
    found = [np.stack([np.arange(len(points)), corner[labels[y, x]]], axis=1)]
    for one, other in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
        borders = one != other
        found.append(np.stack([corner[one[borders]], corner[other[borders]]], axis=1))
    pairs = np.concatenate(found)
    return np.asarray(pairs[owner[pairs[:, 0]] != owner[pairs[:, 1]]], np.int64)


def _around(point: int, end: int, count: int) -> list[int]:
    """Return the corners of a line, of those before ``end``, from one of them around to it again."""
    return [*range(point, end), *range(end - count, point + 1)]


def _walk(branches: dict[int, list[int]], around: Callable[[int], list[int]]) -> list[int]:
    """Go around the first line, and from its corners around others; return all corners in order."""
    walked: list[int] = []
    ways = [iter(around(0))]
    while ways:
        for point in ways[-1]:
            walked.append(point)
            if left := branches.pop(point, None):
                for arrive in left:
                    ways += [iter([point]), iter(around(arrive))]
                break
        else:
            ways.pop()
    return walked
