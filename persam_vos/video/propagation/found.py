"""What one direction of propagation finds in a frame: with its pixels, in numbers, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass

from persam_vos.masks import ArrayRecord, Mask
from persam_vos.sam.regions import Region
from persam_vos.soft_edges import Alpha


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Found(ArrayRecord):
    """One object in one frame, as one direction of propagation finds it.

    Attributes:
        object_id: The object.
        mask: bool, H x W.
        score: Predicted IoU of the mask with the truth, 0..1; 0 where absent.
        similarity: See ``ObjectResult``; None where absent.
        reach: Pixels in which the object competed with others.
        alpha: uint8, H x W: how much of each pixel the object covers; None where it is not made.
    """

    object_id: int
    mask: Mask
    score: float
    similarity: float | None
    reach: Region
    alpha: Alpha | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """One object in one frame, as one direction of propagation finds it, in numbers.

    Attributes:
        box: Around its pixels; None where it is absent.
        area: In pixels.
        score: Predicted IoU of the mask with the truth, 0..1; 0 where absent.
    """

    box: Region | None
    area: int
    score: float


@dataclass(frozen=True, slots=True)
class WalkState:
    """How far the frames of a sweep were walked through.

    Attributes:
        sweep: Its signature.
        frame: Index of the last frame.
        trackings: What follows the objects after it, as a file of tensors.
    """

    sweep: str
    frame: int
    trackings: bytes
