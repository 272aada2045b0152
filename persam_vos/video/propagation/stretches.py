"""Keyframes go in; out comes through which frames each object is propagated, from which keyframe, and which way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from persam_vos.video.prompting.keyframes import Keyframe

Direction = Literal[1, -1]
DIRECTIONS: tuple[Direction, Direction] = (1, -1)
"""Towards later frames, and towards earlier ones."""

# Keyframes before and after a stretch that it learns from; its own ones count. A correction changes no more than the
# stretches that lie so many keyframes away.
_LEARNT_EACH_SIDE = 2


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames through which one object is propagated from one keyframe.

    Attributes:
        object_id: The object.
        start: Frame of the keyframe.
        frames: Indices of the frames after it, in the order in which they are walked; at least one.
        learnt: Frames of the other keyframes that the object's looks are learnt from, the nearest first.
        signature: Changes with all that the stretch depends on, but other objects: 32 hexadecimal digits.
    """

    object_id: int
    start: int
    frames: range
    learnt: tuple[int, ...]
    signature: str

    @property
    def direction(self) -> Direction:
        """1 towards later frames, -1 towards earlier ones."""
        return 1 if self.frames[0] > self.start else -1

    def __contains__(self, frame: int) -> bool:
        """Tell whether a frame is walked through."""
        return frame in self.frames


def plan(keyframes: Iterable[Keyframe], frames: range, *, backward: bool, of_run: str = "") -> tuple[Stretch, ...]:
    """Return the stretches of all objects.

    Between two keyframes of an object, it is propagated from both. After its last one it is propagated forwards, and
    before its first one backwards, if that is asked for.

    Args:
        keyframes: Of any number of objects, each of which has one that shows it; at most one an object and frame, all
            of them in ``frames``.
        frames: Indices of the frames of the run, rising.
        backward: Whether objects are looked for before their first keyframes.
        of_run: What else decides the masks, such as a hash of the settings; goes into the signatures.

    >>> import numpy as np
    >>> from persam_vos.video.prompting.keyframes import Keyframe
    >>> here = np.ones((2, 2), np.bool_)
    >>> for stretch in plan([Keyframe(4, 1, here), Keyframe(6, 1, here)], range(0, 8), backward=True):
    ...     print(stretch.start, list(stretch.frames))
    4 [5]
    6 [7]
    4 [3, 2, 1, 0]
    6 [5]
    """
    by_object: dict[int, list[Keyframe]] = {}
    for keyframe in sorted(keyframes, key=lambda each: (each.object_id, each.frame)):
        by_object.setdefault(keyframe.object_id, []).append(keyframe)
    forwards, backwards = [], []
    for own in by_object.values():
        places = [frames.index(each.frame) for each in own]
        for k, place in enumerate(places):
            end = places[k + 1] if k + 1 < len(own) else len(frames)
            forwards.append(_stretch(own, k, frames[place + 1 : end], of_run))
            begin = places[k - 1] + 1 if k else 0
            if k or backward:
                backwards.append(_stretch(own, k, frames[begin:place][::-1], of_run))
    return tuple(each for each in (*forwards, *backwards) if each is not None)


def _stretch(own: Sequence[Keyframe], k: int, frames: range, of_run: str) -> Stretch | None:
    """Return the stretch from the k-th keyframe of an object; None if it has no frame."""
    if not frames:
        return None
    step = 1 if frames[0] > own[k].frame else -1
    # A stretch lies between its keyframe k and, if there is one, the next one that way.
    low, high = (k, k + 1) if step == 1 else (k - 1, k)
    near = own[max(low - _LEARNT_EACH_SIDE + 1, 0) : high + _LEARNT_EACH_SIDE]
    others = [each for each in near if each is not own[k]]
    shown = sorted((each for each in others if not each.absent), key=lambda each: abs(each.frame - own[k].frame))
    if own[k].absent:
        # Its looks, and how they vary, are known from other keyframes alone, however far.
        shown = sorted((e for e in own if not e.absent), key=lambda each: abs(each.frame - own[k].frame))
        shown = shown[:_LEARNT_EACH_SIDE]
    signature = hashlib.sha256(f"{of_run} {own[k].object_id} {own[k].frame} {frames}".encode())
    for each in (own[k], *shown):
        signature.update(f"{each.frame} {each.digest}".encode())
    learnt = tuple(each.frame for each in shown)
    return Stretch(own[k].object_id, own[k].frame, frames, learnt, signature.hexdigest()[:32])
