"""A walk through frames: what is told of each, and how a walk is ended."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

from persam_vos.video.propagation.stretches import Direction


@dataclass(frozen=True, slots=True)
class Walked:
    """One frame that was walked through.

    Attributes:
        frame: Its index.
        direction: Which way.
        done: Frames walked so far, in this call.
        expected: Frames to walk in all, as far as is known.
    """

    frame: int
    direction: Direction
    done: int
    expected: int


OnWalked = Callable[[Walked], None]


def walk_to_end(
    walk: Generator[Walked, None, frozenset[int]],
    on_progress: OnWalked | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[int]:
    """Propagate to the end, or until it is cancelled.

    Args:
        walk: By ``Propagation.update``.
        on_progress: Called after each frame that was walked through.
        cancelled: Asked after each; True stops.

    Returns:
        Indices of the frames whose masks may have changed, rising; none if it was cancelled.
    """
    with closing(walk):
        while True:
            try:
                walked = next(walk)
            except StopIteration as end:
                return sorted(end.value)
            if on_progress is not None:
                on_progress(walked)
            if cancelled():
                return []


def after_first_step(
    walk: Generator[Walked, None, frozenset[int]], then: Callable[[], object]
) -> Generator[Walked, None, frozenset[int]]:
    """Walk, and call a function once it has begun: what no longer holds is forgotten by then."""
    with closing(walk):
        try:
            first = next(walk)
        except StopIteration as end:
            then()
            changed: frozenset[int] = end.value
            return changed
        then()
        yield first
        return (yield from walk)
