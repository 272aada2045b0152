"""What the writers of results share: how an object is written down, and what stands in a file's way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from persam_vos.masks import LabelMap


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """One object in one frame.

    Attributes:
        object_id: The object's value in the label map, 1..254.
        present: Whether the object has any pixel in the label map.
        score: The decoder's predicted IoU of the object's mask, clipped to 0..1; 0 where absent.
        similarity: Mean cosine similarity, -1..1, of the concept with the cells under the mask; None where absent. Of
            ``memory``, with the cell of the object that each is most like.
        area: Pixels of the object in the label map.
        box_xyxy: (x0, y0, x1, y1) of the object's pixels, inclusive, in pixels of the frame; None where absent.
    """

    object_id: int
    present: bool
    score: float
    similarity: float | None
    area: int
    box_xyxy: tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What the tracker says of one frame.

    Attributes:
        index: Position of the frame in the stream, from 0.
        pts: The frame's presentation time in units of ``time_base``.
        time_base: Seconds per unit of ``pts``.
        label_map: uint8, H x W; 0 is background, n is object n.
        objects: One entry per object of the first frame, in rising order of id, absent ones included.
    """

    index: int
    pts: int
    time_base: Fraction
    label_map: LabelMap
    objects: tuple[ObjectResult, ...]


_DECIMALS = 6  # of scores in text; far below their noise


def object_record(entry: ObjectResult) -> dict[str, Any]:
    """Return what a line of JSON says of an object.

    Keys: object, present, score, similarity, area, box_xyxy. A number that is not finite becomes None, since JSON has
    none such.
    """
    return {
        "object": int(entry.object_id),
        "present": bool(entry.present),
        "score": _number(entry.score),
        "similarity": _number(entry.similarity),
        "area": int(entry.area),
        "box_xyxy": None if entry.box_xyxy is None else [int(value) for value in entry.box_xyxy],
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), _DECIMALS)
