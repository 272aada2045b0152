"""Per-object logits become one exclusive label map; what is known of each object in a frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

LabelMap = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

@dataclass(frozen=True, slots=True)
class ObjectResult:
    """One object in one frame.

    Attributes:
        object_id: The object's value in the label map, 1..254.
        present: Whether the object has any pixel in the label map.
        score: The decoder's predicted IoU of the object's mask, clipped to 0..1; 0 where absent.
        similarity: Mean cosine similarity, -1..1, of the concept with the cells under the mask; None where absent.
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
