"""Memory that is used again: what an inference engine reads from and writes to, frame after frame."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


class Buffers:
    """Arrays of one shape, each of them lent again once nothing refers to it any more.

    Blocks this large, made in one thread and dropped in another, leave holes in the process's memory: more or fewer
    from one minute to the next. There are never more of these than were in use at once.

    Attributes:
        shape: Of each of them.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self._free: list[Array] = []

    def lend(self) -> Array:
        """Return float32 of the shape, 0 when new, otherwise with what was in it; more than one thread may ask."""
        try:
            kept = self._free.pop()
        except IndexError:
            kept = np.zeros(self.shape, np.float32)
        # A view of a view would refer to what is kept, not to what is lent; tensors and their views do refer to that.
        lent: Array = np.asarray(kept.data)
        weakref.finalize(lent, self._free.append, kept).atexit = False
        return lent
