"""Keyframes: the mask that a person has given an object on a frame, or that it is absent there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np

from persam_vos.errors import EmptyMaskError, MaskError, PromptError
from persam_vos.masks import ArrayRecord, LabelMap, Mask, box_xyxy
from persam_vos.media.frame import Frame
from persam_vos.media.masks.doubts import annotation_warnings
from persam_vos.methods.prompt_view import FrameViews
from persam_vos.methods.prompted import masks_of_prompts
from persam_vos.pipeline.gpu_memory import explained_gpu_memory_errors
from persam_vos.prompts import ObjectPrompt, Prompt
from persam_vos.prompts.points import Point
from persam_vos.sam.engine import Engine

FrameOf = Callable[[int], Frame]
Place = tuple[int, int]
"""Index of a frame, and id of an object."""

# Below this predicted IoU, a mask is often not what was meant.
_DOUBTFUL_SCORE = 0.6


@dataclass(frozen=True, repr=False, eq=False)
class Keyframe(ArrayRecord):
    """One object on one frame, as a person says.

    Attributes:
        frame: Index of the frame in the video, from 0, whatever range of it is tracked.
        object_id: Id of the object, 1..255.
        mask: bool, H x W; an empty one says that the object is absent.
        doubts: What makes it doubtful that this mask was meant, one line each.
        clicks: The points that have mended it, for people to see; the mask is what counts.

    Raises:
        MaskError: If the mask is no such array.
    """

    frame: int
    object_id: int
    mask: Mask
    doubts: tuple[str, ...] = ()
    clicks: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        if self.mask.dtype != np.bool_ or self.mask.ndim != 2:
            raise MaskError(f"mask is {self.mask.dtype} {self.mask.shape}; it must be bool of shape (height, width)")

    @property
    def absent(self) -> bool:
        """Whether the object is not in the frame."""
        return not self.mask.any()

    @property
    def place(self) -> Place:
        """The frame and the object."""
        return self.frame, self.object_id

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the mask, 64 hexadecimal digits; looked at for each keyframe whenever one is said."""
        return hashlib.sha256(f"{self.mask.shape}".encode() + np.packbits(self.mask).tobytes()).hexdigest()

    @cached_property
    def box(self) -> tuple[int, int, int, int] | None:
        """Box of the mask, XYXY in pixels with inclusive maxima; None for an empty one."""
        return box_xyxy(self.mask)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Keyframes(ArrayRecord):
    """The keyframes of a video.

    Attributes:
        keyframes: Once they are ``joined``, in rising order of frame and object, and no two on one frame share a pixel.
        warnings: What makes it doubtful that the objects can be tracked.
        record: Where the masks come from, for run.json.
        said: Of each mask that the decoder has made and nobody has seen yet, what it was made of.
    """

    keyframes: tuple[Keyframe, ...]
    warnings: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    said: Mapping[Place, ObjectPrompt] = field(default_factory=dict)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the objects, in rising order."""
        return tuple(sorted({each.object_id for each in self.keyframes}))

    @property
    def frames(self) -> tuple[int, ...]:
        """Indices of the frames, in rising order."""
        return tuple(sorted({each.frame for each in self.keyframes}))

    def label_map(self, frame: int) -> LabelMap:
        """Return the label map of a frame that has a keyframe: uint8, H x W."""
        of_frame = [each for each in self.keyframes if each.frame == frame]
        label_map = np.zeros(of_frame[0].mask.shape, np.uint8)
        for each in of_frame:
            label_map[each.mask] = each.object_id
        return label_map


def of_label_map(frame: int, label_map: LabelMap) -> tuple[Keyframe, ...]:
    """Return the keyframes of the objects of a label map, uint8, H x W."""
    return tuple(Keyframe(frame, i, label_map == i) for i in np.unique(label_map[label_map > 0]).tolist())


def cut_apart(keyframes: Iterable[Keyframe]) -> tuple[dict[Place, Keyframe], tuple[str, ...]]:
    """Cut masks so that no pixel of a frame belongs to two objects.

    Args:
        keyframes: Of any frames; what comes later is in front.

    Returns:
        The keyframes in rising order of frame and object, and a warning for each two that shared pixels.

    Raises:
        PromptError: If an object has two masks on a frame, or others cover all of its mask.
    """
    found: dict[Place, Keyframe] = {}
    cut: set[Place] = set()
    of_frame: dict[int, list[int]] = {}
    warnings = []
    for each in keyframes:
        if each.place in found:
            raise two_masks(each.place)
        for object_id in of_frame.setdefault(each.frame, []):
            other = found[each.frame, object_id]
            if not (shared := int((other.mask & each.mask).sum())):
                continue
            left = found[other.place] = replace(other, mask=other.mask & ~each.mask)
            if left.absent:
                raise PromptError(
                    f"object {each.object_id} covers all of object {object_id} on frame {each.frame}; a pixel belongs"
                    " to one object: draw both beside each other"
                )
            cut.add(other.place)
            warnings.append(
                f"objects {object_id} and {each.object_id} share {shared} pixels of frame {each.frame}; they go to"
                f" object {each.object_id}; draw both beside each other if that is wrong"
            )
        found[each.place] = each
        of_frame[each.frame].append(each.object_id)
    for place in cut:
        left = found[place]
        found[place] = replace(left, doubts=(*left.doubts, *mask_doubts(place, left.mask, drawn=False)))
    return {place: found[place] for place in sorted(found)}, tuple(warnings)


def two_masks(place: Place) -> PromptError:
    """Return the error that an object is spoken of twice on a frame."""
    return PromptError(f"object {place[1]} has two masks on frame {place[0]}; give it one mask a frame")


def joined(parts: Iterable[Keyframes]) -> Keyframes:
    """Return all keyframes as one, their masks cut so that no pixel belongs to two; what was given last is in front.

    Raises:
        PromptError: See ``cut_apart``.
    """
    given = tuple(parts)
    found, warnings = cut_apart(chain.from_iterable(each.keyframes for each in given))
    record: dict[str, Any] = {}
    for key, value in chain.from_iterable(each.record.items() for each in given):
        record[key] = [*record.get(key, ()), *value] if isinstance(value, list) else value
    # What is left of a mask is no longer what a box or points stand for.
    whole = {each.place for part in given for each in part.keyframes if found[each.place] is each}
    said = {place: says for part in given for place, says in part.said.items() if place in whole}
    of_parts = chain.from_iterable(each.warnings for each in given)
    return Keyframes(tuple(found.values()), (*warnings, *of_parts), record, said)


def resolve_prompts(
    prompts: Sequence[Prompt],
    views_of: Callable[[int], FrameViews],
    load: Callable[[], Engine[Any]],
    drawn: Mapping[Place, Keyframe] = MappingProxyType({}),
) -> list[Keyframes]:
    """Make masks of what is said of objects on frames; boxes and points become masks by SAM's decoder.

    Boxes and points on one frame compete: a pixel goes to the object of which the decoder is surer.

    Args:
        prompts: Each with its frame, its box cut to the video; see ``ObjectPrompt.fitted``.
        views_of: Returns what the encoder sees of a frame; asked for frames with boxes and points only.
        load: Returns the model; asked for it where there are boxes or points.
        drawn: Of each prompt that names a mask, that mask; of one that says so, the absence.

    Returns:
        The keyframes, in the order in which they are to be ``joined``: what somebody drew is in front of what the
        decoder makes.

    Raises:
        EmptyMaskError: If there is nothing where a prompt points.
    """
    by_place = {(each.frame or 0, each.object_id): each for each in prompts}
    parts = []
    for index in sorted({frame for (frame, _), each in by_place.items() if each.says.decoded}):
        asked = {place: each for place, each in by_place.items() if place[0] == index and each.says.decoded}
        parts.append(_decoded(asked, views_of(index), load(), drawn))
    return [*parts, Keyframes(tuple(drawn[place] for place, each in by_place.items() if not each.says.decoded))]


def _decoded(
    asked: Mapping[Place, Prompt], views: FrameViews, engine: Engine[Any], drawn: Mapping[Place, Keyframe]
) -> Keyframes:
    """Return the masks of boxes and points on one frame."""
    says = [each.says for each in asked.values()]
    starts = [drawn[place].mask if place in drawn else None for place in asked]
    with explained_gpu_memory_errors(engine):
        found = masks_of_prompts(views, engine.decoder, says, starts)
    label_map: LabelMap = found.label_map.cpu().numpy()
    keyframes, record = [], []
    for number, (place, said, score) in enumerate(zip(asked, says, found.scores, strict=True), 1):
        mask, name = label_map == number, f"object {place[1]} in frame {place[0]}"
        if not mask.any():
            raise EmptyMaskError(
                f"nothing is segmented for {name}; point at the middle of the object, draw a box close around it, or"
                " give a mask"
            )
        doubts = drawn[place].doubts if place in drawn else ()
        if score < _DOUBTFUL_SCORE:
            doubts = (*doubts, f"the mask of {name} is uncertain; look at it, and add points or draw a box")
        doubts = (*doubts, *mask_doubts(place, mask, drawn=False))
        keyframes.append(Keyframe(*place, mask, doubts))
        record.append({"frame": place[0], "object": place[1], **said.record(), "score": round(score, 4)})
    return Keyframes(tuple(keyframes), (), {"prompts": record}, dict(zip(asked, says, strict=True)))


def mask_doubts(place: Place, mask: Mask, *, drawn: bool) -> tuple[str, ...]:
    """Return what makes it doubtful that a mask was meant, or that its object can be followed.

    Args:
        place: The frame and the object.
        mask: bool, H x W, with at least one pixel.
        drawn: Whether a person drew it.
    """
    label_map = mask.astype(np.uint8) * np.uint8(place[1])
    return annotation_warnings(label_map, drawn=drawn, of=f"frame {place[0]}")
