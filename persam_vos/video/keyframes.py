"""Keyframes: the mask that a person has given an object on a frame, or that it is absent there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from persam_vos.errors import MaskError
from persam_vos.masks import ArrayRecord, Mask


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
