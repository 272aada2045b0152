"""Masks in memory, one array a frame, as a source of masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from persam_vos.errors import EmptyMaskError, MaskError
from persam_vos.masks import MAX_OBJECT_ID, LabelMap, as_label_map
from persam_vos.media import StreamInfo
from persam_vos.prompts import NamedObject

MaskArrayLike = Sequence[npt.ArrayLike] | npt.NDArray[Any]


class MaskArrays:
    """Masks of the first frames of a video; see ``MaskSource``.

    Args:
        arrays: The n-th one is of frame n, H x W: bool, or integers with n for object n.
        info: The video.

    Raises:
        MaskError: If there is none, more of them than frames, or one is no such array.
        MaskSizeError: If one has another size than the frames.
    """

    def __init__(self, arrays: MaskArrayLike, info: StreamInfo) -> None:
        if not isinstance(arrays, (Sequence, np.ndarray)):
            raise MaskError(f"masks are of type {type(arrays).__name__}; give a folder, or a list of arrays H x W")
        if info.frame_count is not None and len(arrays) > info.frame_count:
            raise MaskError(f"there are {len(arrays)} masks, and {info.source} has {info.frame_count} frames")
        self._arrays, self._size = arrays, (info.height, info.width)
        self.objects: tuple[NamedObject, ...] = ()
        self.indices = tuple(range(len(arrays)))
        self.warnings: list[str] = []
        seen = np.zeros(MAX_OBJECT_ID + 1, np.bool_)
        for index in self.indices:
            seen[np.unique(self.label_map(index))] = True
        self.ids = tuple((np.flatnonzero(seen[1:]) + 1).tolist())
        if not self.ids:
            raise MaskError("the masks hold no object: each is empty, or there is none")

    def label_map(self, index: int) -> LabelMap:
        """Return the masks of a frame; see ``MaskSource``."""
        if index >= len(self._arrays):
            return np.zeros(self._size, np.uint8)
        try:
            return as_label_map(self._arrays[index], *self._size, name=f"mask {index}")
        except EmptyMaskError:
            return np.zeros(self._size, np.uint8)
