"""Prompts and an embedding become mask candidates: SAM's prompt encoder and mask decoder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

from persam_vos.sam.geometry import Geometry
from persam_vos.sam.regions import Region

# A window reaches beyond an object by its own width and height, but by so many cells at most, and has so many cells at
# least. On nine sequences and three composites J&F is 0.05 and 0.01 below that without a most; with a most of eight
# cells, or half the object's size, it is 0.05 to 0.07 below.
_MOST_ROOM = 12
_LEAST_WINDOW = 24
# Sizes of windows go in steps, for several of one size to fit into a batch, and because an inference engine keeps some
# 4 MB for each size.
_STEP = 8


def windows_around(boxes: Tensor, geometry: Geometry, cells: int) -> list[Region]:
    """Confine each object's answer to its surroundings: less work, the more so the smaller it is.

    Args:
        boxes: float, N x 4, XYXY in pixels of the frame.
        geometry: Of the frame.
        cells: Side of the grid over the square.
    """
    rows, columns = geometry.valid(cells)
    scaled = geometry.boxes_to_input(boxes) * (cells / geometry.input_size)
    windows = []
    for x0, y0, x1, y1 in scaled.tolist():
        (top, height), (left, width) = _stretch(y0, y1, rows), _stretch(x0, x1, columns)
        windows.append(Region.at(top, left, height, width))
    return windows


def _stretch(low: float, high: float, end: int) -> tuple[int, int]:
    """Start and length of a stretch of 0..end that reaches well beyond low..high on both sides."""
    own = high - low
    steps = math.ceil(max(own + 2 * min(own, _MOST_ROOM), _LEAST_WINDOW) / _STEP)
    length = min(_STEP * steps, end)
    return min(max(round((low + high - length) / 2), 0), end - length), length


def batches_of_one_size(windows: Sequence[Region], cells_at_once: int) -> Iterator[list[int]]:
    """Sort objects into batches whose windows have one size, so that no answer depends on what else is asked."""
    groups: dict[tuple[int, int], list[int]] = {}
    for i, window in enumerate(windows):
        groups.setdefault((window.height, window.width), []).append(i)
    for (rows, columns), group in groups.items():
        at_once = max(cells_at_once // (rows * columns), 1)
        yield from (group[start : start + at_once] for start in range(0, len(group), at_once))
