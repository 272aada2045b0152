"""How far frames were walked through, kept on disk, so that a walk that was stopped or killed goes on."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from persam_vos.methods import VideoMethod, VideoTracking
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.found import WalkState
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.propagation.stretches import Stretch
from persam_vos.video.propagation.sweeps import Sweep
from persam_vos.video.resuming.checkpoint import EVERY
from persam_vos.video.resuming.packing import pack, unpack

UnderWay = list[tuple[Stretch, VideoTracking]]


class SavedWalk:
    """A walk through the frames of sweeps; each sweep may have a thread of its own.

    Attributes:
        begun: Whether an earlier walk through the same sweeps is gone on with.
    """

    def __init__(self, store: FoundStore, work: str, walked: Mapping[str, tuple[int, UnderWay]]) -> None:
        self.begun = bool(walked)
        self._store, self._work, self._walked = store, work, walked
        self._since: dict[str, int] = defaultdict(int)

    @classmethod
    def of(
        cls,
        store: FoundStore,
        method: VideoMethod[Any],
        device: torch.device,
        sweeps: Iterable[Sweep],
        keyframes: Iterable[Keyframe],
    ) -> SavedWalk:
        """Return the walk through some sweeps, from where an earlier one was stopped.

        What is left of an earlier one is hostile until it is checked: where it cannot be used, the walk begins anew.

        Args:
            store: Where it is kept.
            method: That finds the objects.
            device: Where the model computes.
            sweeps: What is walked through.
            keyframes: All of the video: none of the objects gets their pixels.
        """
        by_signature = {each.signature: each for each in sweeps}
        known = hashlib.sha256(" ".join(sorted(by_signature)).encode())
        for each in sorted(keyframes, key=lambda each: (each.frame, each.object_id)):
            known.update(f"{each.frame} {each.object_id} {each.digest} ".encode())
        work = known.hexdigest()
        walked = {}
        try:
            for state in store.walks(work):
                sweep = by_signature[state.sweep]
                done = sweep.frames.index(state.frame) + 1
                walked[state.sweep] = done, _read(state.trackings, method, device, sweep.stretches)
        except Exception:
            walked = {}
        store.forget_walks("" if not walked else work)
        return cls(store, work, walked)

    def left(self, sweep: Sweep, frames: range) -> tuple[UnderWay, range]:
        """Return what is under way in a sweep that was stopped, and which of these frames of it are left."""
        if sweep.signature not in self._walked:
            return [], frames
        done, under_way = self._walked[sweep.signature]
        return list(under_way), frames[done:]

    def take(self, sweep: Sweep, frame: int, under_way: UnderWay, *, last: bool) -> None:
        """Keep the state after a frame, every so many frames and after the last one of this call."""
        self._since[sweep.signature] += 1
        if self._since[sweep.signature] >= EVERY or last:
            self._since[sweep.signature] = 0
            self._store.keep_walk(self._work, WalkState(sweep.signature, frame, _written(under_way)))


def _written(under_way: Sequence[tuple[Stretch, VideoTracking]]) -> bytes:
    file = io.BytesIO()
    torch.save([[stretch.signature, pack(tracking.knowledge)] for stretch, tracking in under_way], file)
    return file.getvalue()


def _read(saved: bytes, method: VideoMethod[Any], device: torch.device, stretches: Iterable[Stretch]) -> UnderWay:
    packed = torch.load(io.BytesIO(saved), weights_only=True)
    by_signature = {each.signature: each for each in stretches}
    return [
        (by_signature[signature], method.resume(unpack(knowledge, method.records, device)))
        for signature, knowledge in packed
    ]
