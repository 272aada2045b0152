"""A video, keyframes and a place for masks go in; out come the results of its frames, in any order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from persam_vos.masks import Mask, box_xyxy
from persam_vos.media.frame import Frame
from persam_vos.media.identity import source_identity
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.pipeline.gpu_memory import GpuMemory
from persam_vos.pipeline.timings import Timings
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.engine import Engine
from persam_vos.settings.output import OutputSettings
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.embedded_frames import EmbeddedFrames
from persam_vos.video.propagation.embedding_cache import EmbeddingCache
from persam_vos.video.propagation.found import Found, Outline
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.propagation.fusion import Fused, fuse, joined_alpha, share_out
from persam_vos.video.propagation.propagation import Propagation
from persam_vos.video.propagation.stretches import DIRECTIONS, Stretch, plan
from persam_vos.video.propagation.sweeps import WHOLE, Part
from persam_vos.video.propagation.walked import Walked
from persam_vos.video.resuming.resume import MAY_DIFFER
from persam_vos.video.tracker import video_method

# Settings that do not change masks, and so do not make masks of another run worthless.
_OF_WRITING = {*OutputSettings.model_fields, "encode_every", "preset", "soft_edges"}
_ENCODED_ALL = (
    "with prompts after the first frame, every frame is encoded, whatever encode_every and --preset quick say"
)


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object in one frame, and what speaks for it.

    Attributes:
        fused: Its mask, before objects are shared out.
        is_keyframe: Whether a person has said so.
        nearest_keyframe: Frames from here to the object's nearest keyframe.
    """

    fused: Fused
    is_keyframe: bool
    nearest_keyframe: int


class PropagatedVideo:
    """A video whose objects have keyframes on any frames; masks are made by ``propagate``, and read by ``result``.

    Attributes:
        frames: Indices of the frames of the run, rising.
        object_ids: Ids of the objects, rising.
        anew: Ids of objects whose masks are not known yet, whatever an earlier object of that id has left.
    """

    def __init__(
        self,
        engine: Engine[Settings],
        video: RandomAccessVideo,
        cache: EmbeddingCache,
        store: FoundStore,
        frames: range,
        *,
        backward: bool = True,
        timings: Timings | None = None,
        soft: bool | None = None,
    ) -> None:
        """Take what it works with.

        Args:
            engine: The model.
            video: The video.
            cache: Of its embeddings.
            store: Of its masks.
            frames: Indices of the frames of the run, rising.
            backward: Whether objects are looked for before their first keyframes.
            timings: Told how long each stage takes.
            soft: Whether masks are kept with alpha; None as the settings of the model say.
        """
        self._soft = engine.settings.makes_alpha if soft is None else soft
        self.frames, self.object_ids = frames, tuple[int, ...]()
        self._video, self._store, self._backward = video, store, backward
        self._cache, self._embedded = cache, EmbeddedFrames(engine, video, cache, timings)
        self._encoded_all = () if engine.settings.encode_every == 1 else (_ENCODED_ALL,)
        # The same encoder as the frames', and for the nearer view no other one.
        encoder = engine.encoder if engine.settings.closer_look else engine.batch_encoder
        method = video_method(encoder, engine.decoder, engine.settings)
        retry = GpuMemory(engine).retry
        how: dict[str, Any] = {"device": engine.device, "timings": timings, "soft": self._soft}
        self._propagation = Propagation(method, self._embedded, store, retry, **how)
        deciding = engine.settings.model_dump(mode="json", exclude={*_OF_WRITING, *MAY_DIFFER})
        film = source_identity(video.info.source), len(video), video.info.height, video.info.width
        self._of_run = f"{deciding} {engine.checkpoint_sha256} {film}"
        self._keyframes: dict[int, dict[int, Keyframe]] = {}
        self.anew: frozenset[int] = frozenset()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes results doubtful or was done otherwise than asked, one line each."""
        return (*self._encoded_all, *self._propagation.warnings, *self._cache.warnings)

    @property
    def encoded(self) -> int:
        """Frames encoded so far."""
        return self._embedded.encoded

    def place(self, keyframes: Iterable[Keyframe], anew: Collection[int] = ()) -> None:
        """Take the keyframes of all objects, without propagating anything.

        Args:
            keyframes: At most one an object and frame, on frames of the run; each object has one that shows it.
            anew: Ids of objects whose masks are not known yet, whatever an earlier object of that id has left.
        """
        placed: dict[int, dict[int, Keyframe]] = {}
        for each in sorted(keyframes, key=lambda each: (each.object_id, each.frame)):
            placed.setdefault(each.object_id, {})[each.frame] = each
        self._keyframes, self.anew, self.object_ids = placed, frozenset(anew), tuple(placed)

    def embedded(self, index: int) -> tuple[Frame, ImageEmbedding]:
        """Return a frame with its embedding, which is kept.

        Raises:
            VideoError: If it cannot be decoded.
        """
        return self._embedded.one(index)

    def propagate(self, part: Part = WHOLE) -> Generator[Walked, None, frozenset[int]]:
        """Make the masks of frames that are not there yet or have changed; see ``Propagation.update``.

        Args:
            part: What may be left for a later call.
        """
        return self._propagation.update(*self._planned(), part, self.anew)

    def is_complete(self) -> bool:
        """Tell whether the masks of all frames are there, and none has to be made anew."""
        keyframes, stretches = self._planned()
        complete = {each.signature for each in self._store.stretches()}
        return {each.signature for each in stretches} == complete and not self._store.other_keyframes(keyframes)

    def _planned(self) -> tuple[list[Keyframe], tuple[Stretch, ...]]:
        keyframes = [each for own in self._keyframes.values() for each in own.values()]
        return keyframes, plan(keyframes, self.frames, backward=self._backward, of_run=self._of_run)

    def outlines(self, index: int, object_id: int) -> tuple[list[Outline], bool]:
        """Return what each direction found of an object in a frame, without pixels, and whether it is a keyframe."""
        found = {} if object_id in self.anew else self._store.outlines(index)
        sides = [found[object_id, direction] for direction in DIRECTIONS if (object_id, direction) in found]
        return sides, index in self._keyframes[object_id]

    def found(self, index: int) -> dict[int, FoundObject]:
        """Return what is known of each object in a frame; one that was never looked for there is absent.

        As long as an object is not found anew in a frame, it is where it was found before.
        """
        forwards, backwards = self._store.get(1, index), self._store.get(-1, index)
        if any(number not in forwards and number not in backwards for number in self.object_ids):
            known = forwards.keys() | backwards.keys()
            for direction in DIRECTIONS:
                former = self._store.get(direction, index, former=True)
                (forwards if direction == 1 else backwards).update(
                    {number: each for number, each in former.items() if number not in known}
                )
        return {number: self._found(number, index, forwards, backwards) for number in self.object_ids}

    def result(self, index: int, *, soft: bool = False) -> FrameResult:
        """Return the objects in a frame, with alpha if it is asked for.

        Raises:
            FrameIndexError: If the video has no such frame.
        """
        found = self.found(index)
        free = [each.fused for each in found.values() if not each.is_keyframe]
        held = {number: each.fused.mask for number, each in found.items() if each.is_keyframe}
        label_map = share_out(free, held, (self._video.info.height, self._video.info.width))
        objects = tuple(_object_result(label_map == number, each) for number, each in found.items())
        time_base = self._video.info.time_base
        alpha = joined_alpha(free, held, label_map) if soft else None
        pts = int(self._video.time_of(index) / time_base)
        return FrameResult(index, pts, time_base, label_map, objects, alpha=alpha)

    def results(
        self, frames: range | None = None, *, soft: bool | None = None
    ) -> Generator[tuple[Frame, FrameResult], None, None]:
        """Yield the frames of the run, or some of them, with their objects; with alpha if it is kept, or as asked."""
        soft = self._soft if soft is None else soft
        wanted = self.frames if frames is None else frames
        for frame in self._video.frames(wanted.start, wanted.stop, wanted.step):
            yield frame, replace(self.result(frame.index, soft=soft), pts=frame.pts)

    def _found(self, number: int, index: int, forwards: dict[int, Found], backwards: dict[int, Found]) -> FoundObject:
        own = list(self._keyframes[number])
        place = bisect_left(own, index)
        before, after = (own[place - 1] if place else None), (own[place] if place < len(own) else None)
        if after == index:
            keyframe = self._keyframes[number][index]
            fused = Fused(number, keyframe.mask, float(not keyframe.absent), None if keyframe.absent else 1.0)
            return FoundObject(fused, True, 0)
        nearest = min(abs(index - each) for each in (before, after) if each is not None)
        known = number not in self.anew
        earlier, later = (forwards.get(number), backwards.get(number)) if known else (None, None)
        if earlier is not None and later is not None and before is not None and after is not None:
            return FoundObject(fuse(earlier, later, (index - before) / (after - before)), False, nearest)
        if (only := earlier or later) is not None:
            one = Fused(number, only.mask, only.score, only.similarity, alpha=only.alpha)
            return FoundObject(one, False, nearest)
        nothing = np.zeros((self._video.info.height, self._video.info.width), np.bool_)
        return FoundObject(Fused(number, nothing, 0.0, None), False, nearest)


def _object_result(mask: Mask, found: FoundObject) -> ObjectResult:
    fused, box = found.fused, box_xyxy(mask)
    return ObjectResult(
        id=fused.object_id,
        present=box is not None,
        score=fused.score if box is not None else 0.0,
        similarity=fused.similarity if box is not None else None,
        area=int(mask.sum()),
        box=box,
        keyframe=found.is_keyframe,
    )
