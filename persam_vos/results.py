"""What is found in a frame or photo: its label map, and a record of each object."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from persam_vos.errors import MaskError
from persam_vos.masks import ArrayRecord, LabelMap, Mask
from persam_vos.soft_edges import Alpha


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """One object in one frame.

    Attributes:
        id: The object's value in the label map, 1..255.
        present: Whether the object has any pixel in the label map.
        score: The IoU that the object's mask probably has with the truth, 0..1, as masks like it have on average; 1 on
            an annotated frame; 0 where absent, which is a decision and not a doubt. See docs/scores.md.
        similarity: Mean cosine similarity, -1..1, of the cells under the mask with what is known of the object: for
            ``memory`` with the most similar cell of the object, for ``persam`` with its target feature. None where
            absent.
        area: Pixels of the object in the label map.
        box: (x0, y0, x1, y1) of the object's pixels, inclusive, in pixels of the frame; None where absent.
        keyframe: Whether a person has said where the object is in this frame, or that it is absent.
    """

    id: int
    present: bool
    score: float
    similarity: float | None
    area: int
    box: tuple[int, int, int, int] | None
    keyframe: bool = False


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SegmentedObject(ArrayRecord, ObjectResult):
    """One object in one frame, with its pixels.

    Attributes:
        label_map: uint8, H x W, of all objects of the frame.
    """

    label_map: LabelMap = field(kw_only=True)

    @property
    def mask(self) -> Mask:
        """Pixels of the object, bool, H x W; each access makes a new array."""
        mask: Mask = self.label_map == self.id
        return mask


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class FrameResult(ArrayRecord):
    """What is found in one frame or photo: ``result[n]`` is object n, and iterating gives all objects.

    Attributes:
        index: Position of the frame in the stream, from 0.
        pts: The frame's presentation time in units of ``time_base``.
        time_base: Seconds per unit of ``pts``.
        label_map: uint8, H x W; 0 is background, n is object n.
        objects: One record per object, in rising order of id, absent ones included.
        alpha: uint8, H x W: how much of each pixel the objects cover, 0..255, soft at their edges: at least 128 on
            objects and less elsewhere. None where nobody asked for it, and of photos.

    Raises:
        MaskError: If ``label_map`` is not uint8 of shape H x W, or ``alpha`` has another shape or dtype.

    >>> left = ObjectResult(id=1, present=True, score=0.9, similarity=0.8, area=2, box=(0, 0, 0, 1))
    >>> result = FrameResult(0, 0, Fraction(1, 25), np.array([[1, 0], [1, 0]], np.uint8), (left,))
    >>> result
    FrameResult(index=0, pts=0, time_base=Fraction(1, 25), label_map=<uint8 2 x 2>, objects=(ObjectResult(id=1, ...
    >>> result[1].mask
    array([[ True, False],
           [ True, False]])
    """

    index: int
    pts: int
    time_base: Fraction
    label_map: LabelMap
    objects: tuple[ObjectResult, ...]
    alpha: Alpha | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.label_map.dtype != np.uint8 or self.label_map.ndim != 2:
            found = f"{self.label_map.dtype} {self.label_map.shape}"
            raise MaskError(f"label map is {found}; it must be uint8 of shape (height, width)")
        if self.alpha is not None and (self.alpha.dtype != np.uint8 or self.alpha.shape != self.label_map.shape):
            found = f"{self.alpha.dtype} {self.alpha.shape}"
            raise MaskError(f"alpha is {found}; it must be uint8 of the shape of the label map, {self.label_map.shape}")

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds, exact."""
        return self.pts * self.time_base

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the objects, in rising order, absent ones included."""
        return tuple(each.id for each in self.objects)

    def __getitem__(self, object_id: int) -> SegmentedObject:
        """Return an object by its id.

        Raises:
            KeyError: If there is no such object.
        """
        for each in self.objects:
            if each.id == object_id:
                return SegmentedObject(**asdict(each), label_map=self.label_map)
        raise KeyError(f"no object {object_id}; the ids are {', '.join(map(str, self.ids)) or 'none'}")

    def __iter__(self) -> Iterator[SegmentedObject]:
        """Yield the objects in rising order of id."""
        return (self[object_id] for object_id in self.ids)

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.objects)

    def __contains__(self, object_id: object) -> bool:
        """Tell whether there is an object of that id, present or absent."""
        return object_id in self.ids


_DECIMALS = 6  # of scores in text; far below their noise


def object_record(entry: ObjectResult) -> dict[str, Any]:
    """Return an object as a line of JSON has it.

    Keys: object, present, score, similarity, area, box_xyxy. A number that is not finite becomes None, since JSON has
    no such numbers.
    """
    return {
        "object": int(entry.id),
        "present": bool(entry.present),
        "score": _number(entry.score),
        "similarity": _number(entry.similarity),
        "area": int(entry.area),
        "box_xyxy": None if entry.box is None else [int(value) for value in entry.box],
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), _DECIMALS)
