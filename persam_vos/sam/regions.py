"""Rectangles of a grid or of a frame, so that the rest is never computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Region(NamedTuple):
    """A rectangle of rows and columns, both slices with their two ends given: ``array[region]`` is its content.

    Attributes:
        rows: From the first row to the one after the last.
        columns: From the first column to the one after the last.

    >>> window = Region.at(top=2, left=4, height=3, width=8)
    >>> window.expanded(1, (4, 20))
    Region(rows=slice(1, 4, None), columns=slice(3, 13, None))
    >>> window.scaled(4).relative_to(Region.whole(40, 80)).height
    12
    """

    rows: slice
    columns: slice

    @classmethod
    def at(cls, top: int, left: int, height: int, width: int) -> Region:
        """Return the region of a size whose first row and column are ``top`` and ``left``."""
        return cls(slice(top, top + height), slice(left, left + width))

    @classmethod
    def whole(cls, height: int, width: int) -> Region:
        """Return the region that covers a grid."""
        return cls(slice(0, height), slice(0, width))

    @property
    def top(self) -> int:
        """First row."""
        return int(self.rows.start)

    @property
    def left(self) -> int:
        """First column."""
        return int(self.columns.start)

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self.rows.stop - self.rows.start)

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.columns.stop - self.columns.start)

    def scaled(self, factor: int) -> Region:
        """Return the same place on a grid that is ``factor`` times as fine."""
        y, x = (slice(factor * side.start, factor * side.stop) for side in self)
        return Region(y, x)

    def relative_to(self, base: Region) -> Region:
        """Return this region in rows and columns of ``base``, which holds it."""
        y, x = (slice(side.start - of.start, side.stop - of.start) for side, of in zip(self, base, strict=True))
        return Region(y, x)

    def intersection(self, other: Region) -> Region:
        """Return what two regions share; ``EMPTY_REGION`` if that is nothing."""
        y, x = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(self, other, strict=True))
        return Region(y, x) if y.start < y.stop and x.start < x.stop else EMPTY_REGION

    def expanded(self, margin: int, shape: Sequence[int]) -> Region:
        """Return the region with ``margin`` more on every side, clipped to a grid of ``shape``."""
        y, x = (
            slice(max(side.start - margin, 0), min(side.stop + margin, length))
            for side, length in zip(self, shape, strict=True)
        )
        return Region(y, x)

    def row_strips(self, max_area: int) -> Iterator[Region]:
        """Cut the region into strips of whole rows, each of at most ``max_area`` or of a single row."""
        height = max(max_area // max(self.width, 1), 1)
        for first in range(self.rows.start, self.rows.stop, height):
            yield Region(slice(first, min(first + height, self.rows.stop)), self.columns)


EMPTY_REGION = Region(slice(0, 0), slice(0, 0))


def mask_regions(masks: Tensor) -> list[Region]:
    """Return the tight region of each mask, N x h x w; ``EMPTY_REGION`` for an empty mask."""
    sides = []
    for dimension in (2, 1):
        held = masks.any(dim=dimension)
        backwards = torch.arange(held.shape[1], 0, -1, device=held.device)
        first = held.shape[1] - (held * backwards).amax(dim=1)
        sides += [first, (held * backwards.flip(0)).amax(dim=1)]
    # One transfer for all: each one makes the host wait for the device.
    return [
        Region(slice(top, bottom), slice(left, right)) if bottom else EMPTY_REGION
        for top, bottom, left, right in torch.stack(sides, dim=1).tolist()
    ]


def bounding_region(regions: Sequence[Region]) -> Region:
    """Return the smallest region around others; empty ones do not count."""
    if not (held := [region for region in regions if region != EMPTY_REGION]):
        return EMPTY_REGION
    y, x = (
        slice(min(side.start for side in sides), max(side.stop for side in sides)) for sides in zip(*held, strict=True)
    )
    return Region(y, x)
