"""Stretches that are walked through together, frame by frame."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from persam_vos.errors import FrameIndexError, SettingsError
from persam_vos.video.propagation.stretches import DIRECTIONS, Direction, Stretch


@dataclass(frozen=True, slots=True)
class Sweep:
    """Stretches of one direction that have frames in common, where their objects compete.

    Attributes:
        stretches: In the order in which they start.
    """

    stretches: Sequence[Stretch]

    @property
    def direction(self) -> Direction:
        """1 towards later frames, -1 towards earlier ones."""
        return self.stretches[0].direction

    @property
    def frames(self) -> range:
        """Indices of the frames that are walked through, in this order; the first one is where a stretch starts."""
        last = max((each.frames[-1] for each in self.stretches), key=lambda index: index * self.direction)
        return range(self.stretches[0].start, last + self.direction, self.stretches[0].frames.step)

    @property
    def signature(self) -> str:
        """Changes with all that the sweep depends on, but keyframes of other objects."""
        return hashlib.sha256(" ".join(each.signature for each in self.stretches).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Part:
    """What is walked through in one call; the rest may be left for a later one.

    Attributes:
        frames: Indices of the frames that are needed; None for all.
        direction: The only direction that is needed; None for both.
    """

    frames: range | None = None
    direction: Direction | None = None

    def of(self, sweep: Sweep) -> range:
        """Return the frames of a sweep, up to the last one that is needed; none if none is."""
        own = sweep.frames
        if self.direction not in (None, sweep.direction):
            return own[:0]
        if self.frames is None:
            return own
        needed = [place for place, index in enumerate(own) if place and index in self.frames]
        return own[: needed[-1] + 1] if needed else own[:0]


WHOLE = Part()
Way = Literal["forward", "backward", "both"]
_DIRECTIONS: dict[Way, Direction | None] = {"forward": 1, "backward": -1, "both": None}


def part_of(frames: range | None, direction: Way, known: range) -> Part:
    """Return the part of these frames, in this direction.

    Args:
        frames: Indices of those that are needed; None for all.
        direction: The direction that is needed.
        known: Indices of all that there are.

    Raises:
        FrameIndexError: If there is no such frame.
        SettingsError: If there is no such direction.
    """
    for index in frames or ():
        if index not in known:
            raise FrameIndexError(f"there is no frame {index} here; the first one is {known[0]}, the last {known[-1]}")
    if direction not in _DIRECTIONS:
        raise SettingsError(f"direction is {direction!r}; it must be {', '.join(_DIRECTIONS)}")
    return Part(frames, _DIRECTIONS[direction])


def plan_sweeps(stretches: Sequence[Stretch]) -> tuple[Sweep, ...]:
    """Return the sweeps of stretches, those forwards first, each direction in the order in which they start.

    >>> def stretch(object_id: int, start: int, frames: range) -> Stretch:
    ...     return Stretch(object_id, start, frames, (), f"{object_id} {start}")
    >>> apart = [stretch(1, 0, range(1, 5)), stretch(1, 4, range(5, 9))]
    >>> [each.frames for each in plan_sweeps(apart)]
    [range(0, 5), range(4, 9)]
    >>> [each.frames for each in plan_sweeps([*apart, stretch(2, 2, range(3, 7))])]
    [range(0, 9)]
    """
    sweeps: list[Sweep] = []
    for direction in DIRECTIONS:
        groups: list[list[Stretch]] = []
        own = [each for each in stretches if each.direction == direction]
        for each in sorted(own, key=lambda each: (each.start * direction, each.object_id)):
            if groups and (each.frames[0] - Sweep(groups[-1]).frames[-1]) * direction <= 0:
                groups[-1].append(each)
            else:
                groups.append([each])
        sweeps += [Sweep(tuple(group)) for group in groups]
    return tuple(sweeps)


def share(sweeps: Sequence[Sweep], lanes: int) -> list[list[Sweep]]:
    """Share sweeps among so many lanes, about as many frames to each; the order stays in each lane."""
    lengths, lane_of = [0] * lanes, dict[int, int]()
    for place in sorted(range(len(sweeps)), key=lambda place: -len(sweeps[place].frames)):
        lane_of[place] = lengths.index(min(lengths))
        lengths[lane_of[place]] += len(sweeps[place].frames)
    return [[sweep for place, sweep in enumerate(sweeps) if lane_of[place] == lane] for lane in range(lanes)]
