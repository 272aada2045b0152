"""Windows of cells around objects, to which the decoder is confined."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

from persam_vos.sam.geometry import Geometry
from persam_vos.sam.regions import Region

# A window extends beyond an object by the object's own width and height, up to this margin. Against no limit, it costs
# 0.05 J&F on nine sequences and 0.01 on three composites; 8 cells, or half the object's size, cost 0.05 to 0.07.
MAX_MARGIN_CELLS = 12
MIN_WINDOW_CELLS = 24
# Few different sizes fill batches, and inference engines keep some 4 MB for each size.
WINDOW_STEP_CELLS = 8


def windows_around(boxes: Tensor, geometry: Geometry, cells: int) -> list[Region]:
    """Return a window of cells around each object; the smaller the object, the less work for the decoder.

    Args:
        boxes: float, N x 4, XYXY in pixels of the frame.
        geometry: Geometry of the frame.
        cells: Side of the grid of cells over the square.

    Returns:
        N regions of cells that hold picture.
    """
    rows, columns = geometry.valid(cells)
    scaled = geometry.boxes_to_input(boxes) * (cells / geometry.input_size)
    windows = []
    for x0, y0, x1, y1 in scaled.tolist():
        (top, height), (left, width) = _stretch(y0, y1, rows), _stretch(x0, x1, columns)
        windows.append(Region.at(top, left, height, width))
    return windows


def _stretch(low: float, high: float, end: int) -> tuple[int, int]:
    """Return start and length of a stretch of 0..end with a margin around low..high."""
    own = high - low
    steps = math.ceil(max(own + 2 * min(own, MAX_MARGIN_CELLS), MIN_WINDOW_CELLS) / WINDOW_STEP_CELLS)
    length = min(WINDOW_STEP_CELLS * steps, end)
    return min(max(round((low + high - length) / 2), 0), end - length), length


def batches_of_one_size(windows: Sequence[Region], max_cells: int) -> Iterator[list[int]]:
    """Group objects whose windows have one size, so that no object's mask depends on the others in its batch."""
    groups: dict[tuple[int, int], list[int]] = {}
    for i, window in enumerate(windows):
        groups.setdefault((window.height, window.width), []).append(i)
    for (rows, columns), group in groups.items():
        at_once = max(max_cells // (rows * columns), 1)
        yield from (group[start : start + at_once] for start in range(0, len(group), at_once))
