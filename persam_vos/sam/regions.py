"""Rectangles of a grid or of a frame: where something lies, so that the rest need not be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

# Rows and columns. Both ends of either are given.
Region = tuple[slice, slice]
NOWHERE: Region = (slice(0, 0), slice(0, 0))


def tight(masks: Tensor) -> list[Region]:
    """Return the tight rows and columns of masks, N x h x w; of size 0 where there is none."""
    sides = []
    for dimension in (2, 1):
        held = masks.any(dim=dimension)
        backwards = torch.arange(held.shape[1], 0, -1, device=held.device)
        first = held.shape[1] - (held * backwards).amax(dim=1)
        sides += [first, (held * backwards.flip(0)).amax(dim=1)]
    # All at once: the host waits for a device whenever it asks.
    return [
        (slice(top, bottom), slice(left, right)) if bottom else NOWHERE
        for top, bottom, left, right in torch.stack(sides, dim=1).tolist()
    ]


def seen_from(base: Region, region: Region) -> Region:
    """Return a region of the frame in rows and columns of another one, which holds it."""
    y, x = (slice(side.start - of.start, side.stop - of.start) for side, of in zip(region, base, strict=True))
    return y, x


def meeting(one: Region, other: Region) -> Region:
    """Return what two regions share."""
    y, x = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return (y, x) if y.start < y.stop and x.start < x.stop else NOWHERE


def hull(regions: Sequence[Region]) -> Region:
    """Return the smallest region around others."""
    if not (held := [region for region in regions if region != NOWHERE]):
        return NOWHERE
    y, x = (
        slice(min(side.start for side in sides), max(side.stop for side in sides)) for sides in zip(*held, strict=True)
    )
    return y, x


def grown(region: Region, margin: int, shape: Sequence[int]) -> Region:
    """Return a region with ``margin`` more on every side, but within a grid of ``shape``."""
    y, x = (
        slice(max(side.start - margin, 0), min(side.stop + margin, length))
        for side, length in zip(region, shape, strict=True)
    )
    return y, x


def strips(region: Region, pixels: int) -> Iterator[Region]:
    """Cut a region into strips of whole rows, of at most ``pixels`` each but for a single row."""
    y, x = region
    height = max(pixels // max(x.stop - x.start, 1), 1)
    for first in range(y.start, y.stop, height):
        yield slice(first, min(first + height, y.stop)), x
