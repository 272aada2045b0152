"""Keyframes go in; out come the masks of their objects in all other frames, walked through forwards and backwards.

Only what a change can alter is propagated again: stretches beside a changed keyframe, and those of other objects that
compete with them for pixels.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import Mask
from persam_vos.media.frame import Frame
from persam_vos.methods import Step, Study, VideoMethod, VideoTracking, step_together
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.regions import EMPTY_REGION, Region
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.embedded_frames import EmbeddedFrames
from persam_vos.video.propagation.found import Found
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.propagation.saved_walk import SavedWalk
from persam_vos.video.propagation.stretches import DIRECTIONS, Direction, Stretch

# Annotated frames whose studies are kept: each takes some 10 MB.
_KEPT_STUDIES = 12
_CPU = torch.device("cpu")
# By direction and frame: where something has changed.
_Places = Mapping[tuple[int, int], Sequence[Region]]


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
    while True:
        try:
            walked = next(walk)
        except StopIteration as end:
            return sorted(end.value)
        if on_progress is not None:
            on_progress(walked)
        if cancelled():
            walk.close()
            return []


class Propagation:
    """Carries masks from keyframes to the other frames of a video."""

    def __init__(
        self,
        method: VideoMethod[Any],
        frames: EmbeddedFrames,
        store: FoundStore,
        retry: Callable[[Callable[[], list[Step]]], list[Step]] = lambda work: work(),
        *,
        device: torch.device = _CPU,
    ) -> None:
        """Take what it works with.

        Args:
            method: Finds the objects.
            frames: Of the video.
            store: Where the masks are kept.
            retry: Does a piece of work, and does it again where a GPU's memory was too small.
            device: Where the model computes.
        """
        self._device = device
        self._method, self._frames, self._store, self._retry = method, frames, store, retry
        self._keyframes: dict[tuple[int, int], Keyframe] = {}
        self._studies: OrderedDict[tuple[int, int, int], Study] = OrderedDict()
        self.warnings: list[str] = []

    @torch.inference_mode()
    def update(
        self, keyframes: Iterable[Keyframe], wanted: Sequence[Stretch]
    ) -> Generator[Walked, None, frozenset[int]]:
        """Propagate what is not there yet, and what has changed; forget what is no longer wanted.

        A caller may stop at any frame: stretches that are complete stay.

        Args:
            keyframes: All of the video.
            wanted: The stretches, by ``plan``.

        Yields:
            Each frame that was walked through.

        Returns:
            Indices of the frames that may have other masks than before.

        Raises:
            VideoError: If a frame cannot be decoded.
            OutputError: If masks cannot be kept.
        """
        self._keyframes = {(each.frame, each.object_id): each for each in keyframes}
        places = _Changed()
        for frame, region in self._store.replace_keyframes(self._keyframes.values()):
            for direction in DIRECTIONS:
                places.add(direction, frame, region)
        stored = {each.signature: each for each in self._store.stretches()}
        known = {each.signature for each in wanted}
        stale = [each for signature, each in stored.items() if signature not in known]
        dirty = [each for each in wanted if each.signature not in stored]
        for each in stale:
            places.add_all(each, self._store.reaches(each))
        changed = {frame for _, frame in places.places}
        done = 0
        while True:
            dirty = self._with_touched(dirty, wanted, places)
            walk = SavedWalk.of(self._store, self._method, self._device, dirty)
            self._store.forget([*stale, *([] if walk.begun else dirty)])
            stale = []
            changed.update(frame for each in dirty for frame in each.frames)
            expected = done + len({(each.direction, frame) for each in dirty for frame in each.frames})
            for direction in DIRECTIONS:
                for frame in self._sweep(direction, [each for each in dirty if each.direction == direction], walk):
                    done += 1
                    yield Walked(frame, direction, done, max(expected, done))
            self._store.complete(dirty)
            walk.end()
            places = _Changed()
            for each in dirty:
                places.add_all(each, self._store.reaches(each))
            again = [each for each in wanted if each not in dirty and places.touch(each, self._store.reaches(each))]
            if not again:
                return frozenset(changed)
            dirty, places = again, _Changed()

    def _with_touched(self, dirty: Sequence[Stretch], wanted: Sequence[Stretch], places: _Changed) -> list[Stretch]:
        """Add the stretches that compete with what has changed, and those that compete with them."""
        found, left = list(dirty), [each for each in wanted if each not in dirty]
        for each in dirty:
            places.add_all(each, self._store.reaches(each))
        while touched := [each for each in left if places.touch(each, self._store.reaches(each))]:
            for each in touched:
                places.add_all(each, self._store.reaches(each))
                left.remove(each)
            found += touched
        return found

    def _sweep(self, direction: Direction, stretches: Sequence[Stretch], walk: SavedWalk) -> Iterator[int]:
        """Walk through the frames of stretches of one direction; yield the index of each that was walked through."""
        starting: dict[int, list[Stretch]] = defaultdict(list)
        for each in stretches:
            starting[each.start].append(each)
        under_way = walk.left(direction)
        for run in filter(None, (walk.rest(run, direction) for run in _runs(stretches, direction))):
            with closing(self._frames.walk(run)) as walked:
                for frame, embedding in walked:
                    under_way = [each for each in under_way if frame.index in each[0]]
                    if under_way:
                        under_way = self._step(under_way, direction, frame, embedding)
                        yield frame.index
                    for each in starting.get(frame.index, ()):
                        under_way.append((each, self._start(each, frame, embedding)))
                    walk.take(direction, frame.index, under_way)

    def _step(
        self,
        under_way: Sequence[tuple[Stretch, VideoTracking]],
        direction: Direction,
        frame: Frame,
        embedding: ImageEmbedding,
    ) -> list[tuple[Stretch, VideoTracking]]:
        held = self._held(frame, embedding.features.device)
        trackings = [tracking for _, tracking in under_way]
        steps = self._retry(partial(step_together, trackings, frame, embedding, held))
        found = [_found(stretch, step, frame) for (stretch, _), step in zip(under_way, steps, strict=True)]
        self._store.put(direction, frame.index, found)
        return [(stretch, step.tracking) for (stretch, _), step in zip(under_way, steps, strict=True)]

    def _start(self, stretch: Stretch, frame: Frame, embedding: ImageEmbedding) -> VideoTracking:
        study = self._study(stretch.object_id, frame.index, (frame, embedding))
        others = [self._study(stretch.object_id, index) for index in stretch.learnt]
        tracking = self._method.start(study, others)
        self.warnings += [text for text in tracking.warnings if text not in self.warnings]
        return tracking

    def _study(self, object_id: int, index: int, embedded: tuple[Frame, ImageEmbedding] | None = None) -> Study:
        """Return what the method sees in a keyframe of an object; the latest ones are kept."""
        mask = self._keyframes[index, object_id].mask
        key = object_id, index, hash(np.packbits(mask).tobytes())
        if key not in self._studies:
            frame, embedding = embedded or self._frames.one(index)
            label_map = np.where(mask, np.uint8(object_id), np.uint8(0))
            self._studies[key] = self._method.study(frame, embedding, label_map, [object_id])
            if len(self._studies) > _KEPT_STUDIES:
                self._studies.popitem(last=False)
        self._studies.move_to_end(key)
        return self._studies[key]

    def _held(self, frame: Frame, device: torch.device) -> Tensor | None:
        """Return the pixels of all keyframes of a frame, bool H x W; None for none."""
        masks: list[Mask] = [each.mask for (index, _), each in self._keyframes.items() if index == frame.index]
        return torch.from_numpy(np.any(masks, axis=0)).to(device) if masks else None


class _Changed:
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


def _runs(stretches: Sequence[Stretch], direction: Direction) -> Iterator[range]:
    """Yield the frames of stretches and of their starts, as few ranges, in the order in which they are walked."""
    indices = sorted({index for each in stretches for index in (each.start, *each.frames)}, reverse=direction == -1)
    if not indices:
        return
    step = stretches[0].frames.step
    first = last = indices[0]
    for index in indices[1:]:
        if index != last + step:
            yield range(first, last + direction, step)
            first = index
        last = index
    yield range(first, last + direction, step)


def _found(stretch: Stretch, step: Step, frame: Frame) -> Found:
    found = step.found
    mask: Mask = found.label_map == stretch.object_id
    reach = found.windows[0] if found.windows else Region.whole(frame.height, frame.width)
    if not mask.any():
        return Found(stretch.object_id, mask, 0.0, None, reach)
    score = min(max(float(found.score[0]), 0.0), 1.0)
    return Found(stretch.object_id, mask, score, float(found.similarity[0]), reach)
