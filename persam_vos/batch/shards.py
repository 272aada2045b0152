"""Which clips of a batch are this machine's, where several machines share one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from persam_vos.errors import SettingsError

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_SLURM = "SLURM_ARRAY_TASK_"


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of a batch, by the hash of the id: adding clips moves no other one to another part.

    Attributes:
        number: Which one, from 1.
        count: How many there are.

    Raises:
        SettingsError: If there is no such part.

    >>> [Shard(number, 3).holds("dog") for number in (1, 2, 3)].count(True)
    1
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise SettingsError(f"--shard is '{self}': it must be I/N, such as 3/16, with I from 1 to N")

    def __str__(self) -> str:
        """Return it as the command line takes it."""
        return f"{self.number}/{self.count}"

    @property
    def is_all(self) -> bool:
        """Whether it is the whole batch."""
        return self.count == 1

    def holds(self, name: str) -> bool:
        """Tell whether the clip of an id is in this part."""
        digest = hashlib.sha256(name.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1


ALL = Shard()
"""The whole batch."""


def parse_shard(text: str) -> Shard:
    """Read ``3/16``.

    Raises:
        SettingsError: If it is no such text.
    """
    found = _SHARD.fullmatch(text)
    if found is None:
        raise SettingsError(f"--shard is {text!r}: it must be I/N, such as 3/16, with I from 1 to N")
    return Shard(int(found[1]), int(found[2]))


def shard_of_slurm(environment: Mapping[str, str]) -> Shard | None:
    """Return the part of a task of a Slurm array; None outside of one.

    Args:
        environment: Variables of the environment; Slurm sets the task's number, and the number, the first and the step
            of all tasks.

    Raises:
        SettingsError: If the tasks are not numbered evenly, so that the part cannot be told.
    """
    words = [environment.get(f"{_SLURM}{name}", "") for name in ("ID", "COUNT", "MIN")]
    if not all(word.isdecimal() for word in words):
        return None
    number, count, first = map(int, words)
    step = environment.get(f"{_SLURM}STEP", "1")
    place, beyond = divmod(number - first, int(step) if step.isdecimal() and int(step) else 1)
    if beyond or not 0 <= place < count:
        raise SettingsError(
            f"Slurm's array has {count} tasks, and number {number} after {first} is none of them in order; pass --shard"
        )
    return Shard(place + 1, count)
