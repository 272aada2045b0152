"""Frames and pixels in which something has changed go in; out comes which stretches that concerns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from persam_vos.sam.regions import EMPTY_REGION, Region
from persam_vos.video.propagation.stretches import Stretch


class Changes:
    """Where something has changed.

    Attributes:
        places: By direction and frame.
    """

    def __init__(self) -> None:
        self.places: dict[tuple[int, int], list[Region]] = defaultdict(list)

    def add(self, direction: int, frame: int, region: Region) -> None:
        """Take in a place."""
        self.places[direction, frame].append(region)

    def add_all(self, stretch: Stretch, reaches: Iterable[tuple[int, Region]]) -> None:
        """Take in where the object of a stretch competed."""
        for frame, region in reaches:
            self.add(stretch.direction, frame, region)

    def touch(self, stretch: Stretch, reaches: Iterable[tuple[int, Region]]) -> bool:
        """Tell whether the object of a stretch competed where something has changed."""
        return any(
            region.intersection(other) != EMPTY_REGION
            for frame, region in reaches
            for other in self.places.get((stretch.direction, frame), ())
        )
