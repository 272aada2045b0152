"""Numbers of masks over time go in; out come the frames that most need a look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_Doubts = npt.NDArray[np.float64]

# A jump of this much counts as much as a mask that is certainly wrong: area by a factor of e, or place by the square
# root of the area.
_FULL_JUMP = 1.0
# The IoU that a mask lacks from which it is more probably wrong than right.
_PROBABLY_WRONG = 0.5
# Share of a jump, and of an object that comes or goes, in the doubt.
_JUMP_SHARE = 0.3
_CHANGE_SHARE = 0.2
# Frames on each side whose doubt counts as well: errors last, and a single odd frame matters less.
_WINDOW = 2
# A correction helps its neighbours, the less the farther, up to this many frames or to the next keyframe. What is more
# doubtful than usual there counts with this share.
_REACH = 25
_NEIGHBOURS_SHARE = 0.2
# Named frames keep this distance, as a share of all frames divided by how many are named.
_SPREAD_SHARE = 0.5

_BACK, _LOST, _GROWN, _MOVED = "it comes back", "it is lost", "its area jumps", "it jumps"
CHANGES = frozenset({_BACK, _LOST, _GROWN, _MOVED})
"""Reasons that tell of a change from one frame to the next."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A frame that needs a look.

    Attributes:
        frame: Its index.
        object_id: The object that is most doubtful there.
        doubt: How much: the IoU that its mask probably lacks, and more where it jumps, comes back or goes, and where a
            correction would help many frames around.
        reason: Why, in a few words.
    """

    frame: int
    object_id: int
    doubt: float
    reason: str


@dataclass(frozen=True, slots=True)
class Observed:
    """One object in one frame, in numbers.

    Attributes:
        is_keyframe: Whether a person has said so.
        lacking: The IoU that the mask probably lacks, 0..1; 0 where absent.
        disagreement: What both directions of propagation do not share, 0..1; 0 if there is one.
        area: In pixels.
        middle: (x, y) of the box's middle in pixels; None where absent.
    """

    is_keyframe: bool
    lacking: float
    disagreement: float
    area: int
    middle: tuple[float, float] | None


def doubtful(observed: Mapping[int, Mapping[int, Observed]], count: int) -> list[Doubt]:
    """Return the frames that most need a look, the most doubtful first.

    Args:
        observed: By frame in rising order, each object.
        count: How many frames, at most; they keep a distance from each other.
    """
    frames = list(observed)
    doubts = [doubt for number in _ids(observed.values()) for doubt in _of_object(observed, frames, number)]
    best: dict[int, Doubt] = {}
    for each in doubts:
        if each.frame not in best or each.doubt > best[each.frame].doubt:
            best[each.frame] = each
    apart = _SPREAD_SHARE * len(frames) / max(count, 1)
    position = {frame: i for i, frame in enumerate(frames)}
    named: list[Doubt] = []
    for each in sorted(best.values(), key=lambda each: (-each.doubt, each.frame)):
        if len(named) == count:
            break
        if all(abs(position[each.frame] - position[other.frame]) >= apart for other in named):
            named.append(each)
    return named


def _ids(observed: Iterable[Mapping[int, Observed]]) -> list[int]:
    return sorted({number for each in observed for number in each})


def _of_object(observed: Mapping[int, Mapping[int, Observed]], frames: Sequence[int], number: int) -> list[Doubt]:
    """Return the doubt of one object in each frame without a keyframe of it."""
    own = [observed[frame].get(number) for frame in frames]
    raw, reasons = np.zeros(len(frames)), [""] * len(frames)
    for i, here in enumerate(own):
        if here is None or here.is_keyframe:
            continue
        parts = _parts(here, own[i - 1] if i else None)
        raw[i] = 1 - np.prod([1 - min(part, 1.0) for part in parts.values()])
        reasons[i] = max(parts, key=lambda name: parts[name])
    window = np.hanning(2 * _WINDOW + 3)[1:-1]
    doubts = np.convolve(np.pad(raw, _WINDOW), window / window.sum(), mode="valid") + _NEIGHBOURS_SHARE * _helped(
        raw, own
    )
    return [
        Doubt(frame, number, float(doubts[i]), reasons[i])
        for i, (frame, here) in enumerate(zip(frames, own, strict=True))
        if here is not None and not here.is_keyframe
    ]


def _helped(raw: _Doubts, own: Sequence[Observed | None]) -> _Doubts:
    """Return how much doubt beyond the usual one a correction of each frame would reach, float, frames."""
    said = np.array([each is not None and each.is_keyframe for each in own])
    excess = np.where(said, 0.0, np.maximum(raw - np.median(raw[~said]), 0.0)) if not said.all() else raw
    helped, places = np.zeros(len(own)), np.nonzero(said)[0]
    for i in range(len(own)):
        before, after = places[places < i], places[places > i]
        low = max(i - _REACH, int(before[-1]) if len(before) else -1)
        high = min(i + _REACH, int(after[0]) if len(after) else len(own))
        for j in range(low + 1, high):
            helped[i] += excess[j] * (1 - abs(j - i) / ((i - low) if j < i else (high - i)))
    return helped


def _parts(here: Observed, before: Observed | None) -> dict[str, float]:
    """Return what makes a frame doubtful, each 0..1."""
    wrong = "its mask is probably wrong" if here.lacking > _PROBABLY_WRONG else "its mask is less sure than others"
    parts = {wrong: here.lacking, "both directions disagree": here.disagreement}
    if before is None:
        return parts
    if (here.middle is None) != (before.middle is None):
        parts[_BACK if here.middle else _LOST] = _CHANGE_SHARE
    elif here.middle is not None and before.middle is not None:
        grown = abs(float(np.log(here.area / before.area)))
        moved = float(np.hypot(*np.subtract(here.middle, before.middle)) / np.sqrt(max(here.area, before.area)))
        parts[_GROWN] = _JUMP_SHARE * min(grown / _FULL_JUMP, 1.0)
        parts[_MOVED] = _JUMP_SHARE * min(moved / _FULL_JUMP, 1.0)
    return parts
