"""What passes from one frame of a video to the next: records of tensors, of which a tracking can be made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from persam_vos.methods.memory.closer_records import CloserKnowledge
from persam_vos.methods.memory.memory import KeyValues, Memory
from persam_vos.methods.memory.ridge import Basis, Moments


@dataclass(frozen=True, slots=True)
class MemoryState:
    """What changes from one frame to the next.

    Attributes:
        memory: Of N objects.
        last: float, N x rows x columns in 0..1: coverage by each object when last seen.
        seen: bool, N: whether that was in the last frame.
        size: float, N: cells that each object covers, as a slowly sinking maximum over all frames.
        index: Of the last frame.
    """

    memory: Memory
    last: Tensor
    seen: Tensor
    size: Tensor
    index: int


@dataclass(frozen=True, slots=True)
class MemoryKnowledge:
    """All that a tracking knows.

    Attributes:
        object_ids: Of the N objects.
        state: After the last frame.
        tokens: float, N x (``token_size`` + 1): their mask tokens; None where they are not learnt.
        closer: Of the closer look; None without one.
        warnings: Of the tracking.
    """

    object_ids: Sequence[int]
    state: MemoryState
    tokens: Tensor | None
    closer: CloserKnowledge | None
    warnings: tuple[str, ...]


MEMORY_RECORDS = (MemoryKnowledge, MemoryState, Memory, KeyValues, Moments, Basis)
"""The classes of all records in a ``MemoryKnowledge``, but for those of the closer look."""
