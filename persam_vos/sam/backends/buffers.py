"""Arrays that an inference engine reads and writes, reused frame after frame."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


class Buffers:
    """A pool of arrays of one shape; each is lent again once nothing refers to it.

    Large arrays that one thread makes and another drops fragment the heap, and memory use drifts by the minute. The
    pool never holds more arrays than were in use at once.

    Attributes:
        shape: Shape of every array.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self._free: list[Array] = []

    def lend(self) -> Array:
        """Return a float32 array: 0 when new, else with its old content; several threads may call this at a time."""
        try:
            kept = self._free.pop()
        except IndexError:
            kept = np.zeros(self.shape, np.float32)
        # NumPy collapses views of views onto the base; through a memoryview, every view keeps ``lent`` itself alive.
        lent: Array = np.asarray(kept.data)
        weakref.finalize(lent, self._free.append, kept).atexit = False
        return lent
