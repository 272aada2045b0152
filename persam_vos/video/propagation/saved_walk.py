"""How far frames were walked through, kept on disk, so that a walk that was stopped or killed goes on."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from persam_vos.methods import VideoMethod, VideoTracking
from persam_vos.video.propagation.found import WalkState
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.propagation.stretches import Direction, Stretch
from persam_vos.video.resuming.checkpoint import EVERY
from persam_vos.video.resuming.packing import pack, unpack

UnderWay = list[tuple[Stretch, VideoTracking]]


class SavedWalk:
    """A walk through the frames of stretches, forwards and then backwards.

    Attributes:
        begun: Whether an earlier walk through the same stretches is gone on with.
    """

    def __init__(
        self, store: FoundStore, method: VideoMethod[Any], work: str, state: WalkState | None, under_way: UnderWay
    ) -> None:
        self.begun = state is not None
        self._store, self._method, self._work = store, method, work
        self._state, self._under_way = state, under_way
        self._since = 0

    @classmethod
    def of(
        cls, store: FoundStore, method: VideoMethod[Any], device: torch.device, stretches: Iterable[Stretch]
    ) -> SavedWalk:
        """Return the walk through some stretches, from where an earlier one was stopped.

        What is left of an earlier one is hostile until it is checked: where it cannot be used, the walk begins anew.

        Args:
            store: Where it is kept.
            method: That finds the objects.
            device: Where the model computes.
            stretches: What is walked through.
        """
        by_signature = {each.signature: each for each in stretches}
        work = hashlib.sha256(" ".join(sorted(by_signature)).encode()).hexdigest()
        state = store.walk(work)
        if state is not None:
            try:
                return cls(store, method, work, state, _read(state.trackings, method, device, by_signature))
            except Exception:
                pass
        return cls(store, method, work, None, [])

    def left(self, direction: Direction) -> UnderWay:
        """Return what is under way at the beginning of a direction, or where the earlier walk was stopped."""
        return list(self._under_way) if self._state is not None and self._state.direction == direction else []

    def rest(self, run: range, direction: Direction) -> range:
        """Return the frames of a range that were not walked through."""
        state = self._state
        if state is None or state.direction != direction:
            # Backwards comes last: who was under way that way has been through all frames forwards.
            return run[:0] if state is not None and state.direction == -1 else run
        done = sum(1 for frame in run if (state.frame - frame) * direction >= 0)
        return run[done:]

    def take(self, direction: Direction, frame: int, under_way: UnderWay) -> None:
        """Keep the state after a frame, every so many frames."""
        self._since += 1
        if self._since >= EVERY:
            self._since = 0
            self._store.keep_walk(self._work, WalkState(direction, frame, _written(under_way)))

    def end(self) -> None:
        """Forget the state: all frames were walked through."""
        self._store.keep_walk(self._work, None)


def _written(under_way: Sequence[tuple[Stretch, VideoTracking]]) -> bytes:
    file = io.BytesIO()
    torch.save([[stretch.signature, pack(tracking.knowledge)] for stretch, tracking in under_way], file)
    return file.getvalue()


def _read(saved: bytes, method: VideoMethod[Any], device: torch.device, stretches: Mapping[str, Stretch]) -> UnderWay:
    packed = torch.load(io.BytesIO(saved), weights_only=True)
    return [
        (stretches[signature], method.resume(unpack(knowledge, method.records, device)))
        for signature, knowledge in packed
    ]
