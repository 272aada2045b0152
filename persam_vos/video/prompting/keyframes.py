"""Keyframes: the mask that a person has given an object on a frame, or that it is absent there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from persam_vos.errors import EmptyMaskError, MaskError
from persam_vos.masks import ArrayRecord, LabelMap, Mask
from persam_vos.media.frame import Frame
from persam_vos.methods.prompted import masks_of_prompts
from persam_vos.pipeline.gpu_memory import explained_gpu_memory_errors
from persam_vos.prompts import ObjectPrompt, Prompt
from persam_vos.sam.engine import Engine

FrameOf = Callable[[int], Frame]
Place = tuple[int, int]
"""Index of a frame, and id of an object."""

# Below this predicted IoU, a mask is often not what was meant.
_DOUBTFUL_SCORE = 0.6


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Keyframe(ArrayRecord):
    """One object on one frame, as a person says.

    Attributes:
        frame: Index of the frame in the video, from 0, whatever range of it is tracked.
        object_id: Id of the object, 1..255.
        mask: bool, H x W; an empty one says that the object is absent.

    Raises:
        MaskError: If the mask is no such array.
    """

    frame: int
    object_id: int
    mask: Mask

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


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Keyframes(ArrayRecord):
    """The keyframes of a video.

    Attributes:
        keyframes: In rising order of frame and object; no two on one frame share a pixel.
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


def joined(parts: Iterable[Keyframes]) -> Keyframes:
    """Return all keyframes as one, their masks cut so that no pixel belongs to two; what was given last is in front."""
    found: dict[Place, Keyframe] = {}
    said: dict[Place, ObjectPrompt] = {}
    record: dict[str, Any] = {}
    warnings: list[str] = []
    for part in parts:
        for each in part.keyframes:
            for other in [other for other in found.values() if other.frame == each.frame]:
                if shared := int((other.mask & each.mask).sum()):
                    found[other.place] = Keyframe(*other.place, other.mask & ~each.mask)
                    # What is left is no longer what a box or points stand for.
                    said.pop(other.place, None)
                    warnings.append(
                        f"objects {other.object_id} and {each.object_id} share {shared} pixels of frame {each.frame};"
                        f" they go to object {each.object_id}, which was given last"
                    )
            found[each.place] = each
        warnings += part.warnings
        said |= part.said
        for key, value in part.record.items():
            record[key] = [*record.get(key, ()), *value] if isinstance(value, list) else value
    return Keyframes(tuple(found[place] for place in sorted(found)), tuple(warnings), record, said)


def resolve_prompts(
    prompts: Sequence[Prompt],
    frame_of: FrameOf,
    engine: Engine[Any],
    *,
    size: tuple[int, int],
    masks: Mapping[Place, Mask] = MappingProxyType({}),
) -> Keyframes:
    """Make masks of what is said of objects on frames; boxes and points become masks by SAM's decoder.

    Args:
        prompts: Each with its frame, its box cut to the video; see ``ObjectPrompt.fitted``.
        frame_of: Returns a frame by its index; asked for those with boxes and points only.
        engine: The model.
        size: Height and width of a frame, in pixels.
        masks: Of each prompt that names a mask, that mask, bool, H x W.

    Raises:
        EmptyMaskError: If there is nothing where a prompt points.
    """
    by_place = {(each.frame or 0, each.object_id): each for each in prompts}
    parts = []
    for index in sorted({frame for (frame, _), each in by_place.items() if each.says.decoded}):
        asked = {place: each for place, each in by_place.items() if place[0] == index and each.says.decoded}
        parts.append(_decoded(asked, frame_of(index), engine, masks))
    given = [
        Keyframe(*place, masks[place] if each.says.mask else np.zeros(size, np.bool_))
        for place, each in by_place.items()
        if not each.says.decoded
    ]
    # What somebody drew is in front of what the decoder makes.
    return joined([*parts, Keyframes(tuple(given))])


def _decoded(
    asked: Mapping[Place, Prompt], frame: Frame, engine: Engine[Any], masks: Mapping[Place, Mask]
) -> Keyframes:
    """Return the masks of boxes and points on one frame."""
    says = [each.says for each in asked.values()]
    with explained_gpu_memory_errors(engine):
        found = masks_of_prompts(engine.encoder, engine.decoder, frame, says, [masks.get(place) for place in asked])
    label_map: LabelMap = found.label_map.cpu().numpy()
    keyframes, record, warnings = [], [], []
    for number, (place, said, score) in enumerate(zip(asked, says, found.scores, strict=True), 1):
        keyframe = Keyframe(*place, label_map == number)
        name = f"object {place[1]} in frame {place[0]}"
        if keyframe.absent:
            raise EmptyMaskError(
                f"nothing is segmented for {name}; point at the middle of the object, draw a box close around it, or"
                " give a mask"
            )
        if score < _DOUBTFUL_SCORE:
            warnings.append(
                f"the mask of {name} is uncertain; look at prompts/ in the output, and add points or draw a box"
            )
        keyframes.append(keyframe)
        record.append({"frame": place[0], "object": place[1], **said.record(), "score": round(score, 4)})
    return Keyframes(tuple(keyframes), tuple(warnings), {"prompts": record}, dict(zip(asked, says, strict=True)))
