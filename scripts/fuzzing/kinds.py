"""What a kind of hostile file is: how whole ones look, and what reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from fuzzing.films_and_pictures import Seed
from persam_vos.errors import PersamVosError


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: Of the kind.
        file: Where the file lies in the room.
        seeds: Makes whole files, each with a way to damage it; the same in every call.
        read: Reads the file; its room is the working directory.
        beside: Puts into the working directory what lies beside the file; it is called first.
        share: Of a campaign's files, in parts.
        is_damaged: Whether the files are damaged; else each of them is taken once, as it is.
    """

    name: str
    file: str
    seeds: Callable[[], Sequence[Seed]]
    read: Callable[[Path], object]
    beside: Callable[[], object] = lambda: None
    share: float = 1.0
    is_damaged: bool = True

    def data(self, seed: int, index: int) -> bytes:
        """Return the file of an index: the same for the same seed of chance."""
        whole = _seeds_of(self.seeds)
        if not self.is_damaged:
            return whole[index % len(whole)][0]
        chance = Random(f"{seed} {self.name} {index}")
        data, damage = whole[index % len(whole)]
        return damage(chance, data)

    def place(self, data: bytes) -> Path:
        """Put a file and what lies beside it into the working directory, which is empty."""
        self.beside()
        path = Path(self.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    @property
    def count(self) -> int:
        """The number of whole files."""
        return len(_seeds_of(self.seeds))


@cache
def _seeds_of(seeds: Callable[[], Sequence[Seed]]) -> Sequence[Seed]:
    return seeds()


def each_of(*reads: Callable[[], object]) -> None:
    """Call several readers of one file, whatever the others say.

    Raises:
        PersamVosError: If all of them refuse it.
        Exception: What one of them has raised that is none of the program's own errors.
    """
    refusals: list[PersamVosError] = []
    for read in reads:
        try:
            read()
        except PersamVosError as error:
            refusals.append(error)
    if len(refusals) == len(reads):
        raise refusals[0]
