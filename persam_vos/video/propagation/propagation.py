"""Keyframes go in; out come the masks of their objects in all other frames, walked through forwards and backwards.

Only what a change can alter is propagated again: stretches beside a changed keyframe, and those of other objects that
compete with them for pixels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import Mask
from persam_vos.media.frame import Frame
from persam_vos.methods import Step, Study, VideoMethod, VideoTracking, step_together
from persam_vos.pipeline.prefetch import side_by_side
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.torch_threads import half_of_torch_threads
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.regions import Region
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.changes import Changes
from persam_vos.video.propagation.embedded_frames import EmbeddedFrames
from persam_vos.video.propagation.found import Found
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.propagation.latest import Latest
from persam_vos.video.propagation.saved_walk import SavedWalk
from persam_vos.video.propagation.stretches import DIRECTIONS, Direction, Stretch
from persam_vos.video.propagation.sweeps import WHOLE, Part, Sweep, plan_sweeps, share
from persam_vos.video.propagation.walked import Walked

# Annotated frames whose studies, and the trackings that start there, are kept: each takes some 10 MB.
_KEPT = 12
_ANY_NUMBER = 0
_CPU = torch.device("cpu")


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
        timings: Timings | None = None,
        soft: bool = False,
    ) -> None:
        """Take what it works with.

        Args:
            method: Finds the objects.
            frames: Of the video.
            store: Where the masks are kept.
            retry: Does a piece of work, and does it again where a GPU's memory was too small.
            device: Where the model computes.
            timings: Told how long it takes to find the objects.
            soft: Whether masks are kept with alpha.
        """
        self._soft = soft
        self._device, self._timings = device, timings or Timings()
        self._method, self._frames, self._store, self._retry = method, frames, store, retry
        self._keyframes: dict[tuple[int, int], Keyframe] = {}
        self._studies = Latest[tuple[int, int, str], Study](_KEPT)
        self._starts = Latest[tuple[int, int, Sequence[int]], VideoTracking](_KEPT)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes it doubtful that the objects can be followed, one line each."""
        return self._store.warnings()

    @torch.inference_mode()
    def update(
        self, keyframes: Iterable[Keyframe], wanted: Sequence[Stretch], part: Part = WHOLE, anew: Collection[int] = ()
    ) -> Generator[Walked, None, frozenset[int]]:
        """Propagate what is not there yet, and what has changed; forget what is no longer wanted.

        A caller may stop at any frame; the next call goes on.

        Args:
            keyframes: All of the video.
            wanted: The stretches, by ``plan``.
            part: What may be left for a later call.
            anew: Ids of objects of which only an earlier object's masks are there.

        Yields:
            Each frame that was walked through.

        Returns:
            Indices of the frames that may have other masks than when all were there the last time. Of a part, those
            that were walked through.

        Raises:
            VideoError: If a frame cannot be decoded.
            OutputError: If masks cannot be kept.
        """
        self._keyframes = {(each.frame, each.object_id): each for each in keyframes}
        self._starts.clear()
        dirty, places = self._changed(wanted)
        changed, done = {frame for _, frame in places.places}, 0
        while True:
            dirty = self._with_touched(dirty, wanted, places)
            sweeps = plan_sweeps(dirty)
            walk = SavedWalk.of(self._store, self._method, self._device, sweeps, self._keyframes.values())
            complete = [each for each in wanted if each not in dirty]
            changed.update(frame for each in dirty for frame in each.frames)
            self._store.begin(self._keyframes.values(), wanted if walk.begun else complete, complete, changed, anew)
            expected = done + sum(len(part.of(sweep)[1:]) for sweep in sweeps)
            with closing(self._walk(sweeps, walk, part)) as walked:
                for direction, frame in walked:
                    done += 1
                    yield Walked(frame, direction, done, max(expected, done))
            if any(part.of(sweep) != sweep.frames for sweep in sweeps):
                return frozenset(chain(*(part.of(sweep) for sweep in sweeps)))
            places = Changes()
            for each in dirty:
                places.add_all(each, self._store.reaches(each))
            again = [each for each in complete if places.touch(each, self._store.reaches(each))]
            if not again:
                return self._store.complete(dirty)
            # All of them once more: who was walked through may find others beside it now.
            dirty, places = [*dirty, *again], Changes()

    def _changed(self, wanted: Sequence[Stretch]) -> tuple[list[Stretch], Changes]:
        """Return the stretches that are not there yet, and where keyframes and other stretches have come or gone."""
        places = Changes()
        for frame, region in self._store.other_keyframes(self._keyframes.values()):
            for direction in DIRECTIONS:
                places.add(direction, frame, region)
        stored = {each.signature: each for each in self._store.stretches()}
        for signature in stored.keys() - {each.signature for each in wanted}:
            places.add_all(stored[signature], self._store.reaches(stored[signature]))
        return [each for each in wanted if each.signature not in stored], places

    def _with_touched(self, dirty: Sequence[Stretch], wanted: Sequence[Stretch], places: Changes) -> list[Stretch]:
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

    def _walk(
        self, sweeps: Sequence[Sweep], walk: SavedWalk, part: Part
    ) -> Generator[tuple[Direction, int], None, None]:
        """Walk through the frames of sweeps; yield each with its direction.

        Where nothing is left to encode, two threads share the sweeps.
        """
        indices = set(chain(*(part.of(sweep) for sweep in sweeps)))
        lanes = share(sweeps, 2 if self._device.type == "cpu" and self._frames.have_all(indices) else 1)
        walked = [self._lane(lane, walk, part) for lane in lanes]
        with closing(walked[0] if len(walked) == 1 else side_by_side("propagate", walked, _ANY_NUMBER)) as frames:
            yield from frames

    @torch.inference_mode()
    def _lane(
        self, sweeps: Sequence[Sweep], walk: SavedWalk, part: Part
    ) -> Generator[tuple[Direction, int], None, None]:
        for sweep in sweeps:
            yield from self._sweep(sweep, part.of(sweep), walk)

    def _sweep(self, sweep: Sweep, frames: range, walk: SavedWalk) -> Generator[tuple[Direction, int], None, None]:
        starting: dict[int, list[Stretch]] = defaultdict(list)
        for each in sweep.stretches:
            starting[each.start].append(each)
        under_way, left = walk.left(sweep, frames)
        # Something else computes beside this. The number is always the same, as sums depend on it.
        with half_of_torch_threads(True), closing(self._frames.walk(left)) as embedded:
            for frame, embedding in embedded:
                under_way = [each for each in under_way if frame.index in each[0]]
                if under_way:
                    under_way = self._step(under_way, sweep.direction, frame, embedding)
                    yield sweep.direction, frame.index
                for each in starting.get(frame.index, ()):
                    under_way.append((each, self._start(each, frame, embedding)))
                walk.take(sweep, frame.index, under_way, last=frame.index == frames[-1])

    def _step(
        self,
        under_way: Sequence[tuple[Stretch, VideoTracking]],
        direction: Direction,
        frame: Frame,
        embedding: ImageEmbedding,
    ) -> list[tuple[Stretch, VideoTracking]]:
        held = self._held(frame, embedding.features.device)
        trackings = [tracking for _, tracking in under_way]
        with self._timings.stage("track"):
            steps = self._retry(partial(step_together, trackings, frame, embedding, held, soft=self._soft))
        found = [_found(stretch, step, frame) for (stretch, _), step in zip(under_way, steps, strict=True)]
        self._store.put(direction, frame.index, found)
        return [(stretch, step.tracking) for (stretch, _), step in zip(under_way, steps, strict=True)]

    def _start(self, stretch: Stretch, frame: Frame, embedding: ImageEmbedding) -> VideoTracking:
        def start() -> VideoTracking:
            study = self._study(stretch.object_id, frame.index, (frame, embedding))
            return self._method.start(study, [self._study(stretch.object_id, index) for index in stretch.learnt])

        # Both directions mostly start from the same knowledge, and may do so at once.
        with self._timings.stage("track"):
            tracking = self._starts.get((stretch.object_id, stretch.start, stretch.learnt), start)
        self._store.warn(stretch, tracking.warnings)
        return tracking

    def _study(self, object_id: int, index: int, embedded: tuple[Frame, ImageEmbedding] | None = None) -> Study:
        """Return what the method sees in a keyframe of an object."""
        keyframe = self._keyframes[index, object_id]

        def study() -> Study:
            frame, embedding = embedded or self._frames.one(index)
            label_map = np.where(keyframe.mask, np.uint8(object_id), np.uint8(0))
            made: Study = self._method.study(frame, embedding, label_map, [object_id])
            return made

        return self._studies.get((object_id, index, keyframe.digest), study)

    def _held(self, frame: Frame, device: torch.device) -> Tensor | None:
        """Return the pixels of all keyframes of a frame, bool H x W; None for none."""
        masks: list[Mask] = [each.mask for (index, _), each in self._keyframes.items() if index == frame.index]
        return torch.from_numpy(np.any(masks, axis=0)).to(device) if masks else None


def _found(stretch: Stretch, step: Step, frame: Frame) -> Found:
    found = step.found
    mask: Mask = found.label_map == stretch.object_id
    reach = found.windows[0] if found.windows else Region.whole(frame.height, frame.width)
    if not mask.any():
        return Found(stretch.object_id, mask, 0.0, None, reach, found.alpha)
    score = min(max(float(found.score[0]), 0.0), 1.0)
    return Found(stretch.object_id, mask, score, float(found.similarity[0]), reach, found.alpha)
