"""What goes into a variant and what comes out: a sequence with its donors, and a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from persam_vos.masks import LabelMap, Mask, Rgb

MAX_FRAMES = 20
"""Frames of a new kind of clip, at most; encoding is what limits them."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip with exact truth.

    Attributes:
        frames: N frames, uint8, H x W x 3.
        label_maps: N label maps, uint8, H x W: the truth. Pixels of an object that something hides are not its own.
        first_mask: uint8, H x W: what the tracker is given for frame 0; None for the truth.
    """

    frames: list[Rgb]
    label_maps: list[LabelMap]
    first_mask: LabelMap | None = None

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True)
class Source:
    """A sequence from which a clip is made.

    Attributes:
        frames: N frames, uint8, H x W x 3.
        label_maps: N label maps, uint8, H x W.
        seed: Of everything that chance decides.
        turn: Position of the sequence in its dataset: kinds that have several forms take them in turn.
        donors: Each reads a clip of another sequence, which gives objects, backgrounds, plants and posts.
    """

    frames: list[Rgb]
    label_maps: list[LabelMap]
    seed: int
    turn: int = 0
    donors: Sequence[Callable[[], Clip]] = ()

    def random(self, salt: str) -> np.random.Generator:
        """Return a source of chance for one purpose, the same at every call."""
        return np.random.default_rng([self.seed, *salt.encode()])

    def donor(self, random: np.random.Generator, which: int = 0) -> Clip:
        """Read another sequence, chosen by chance."""
        return self.donors[self.choose(random, which)]()

    def choose(self, random: np.random.Generator, which: int = 0, *, other_than: int | None = None) -> int:
        """Choose a donor by chance, and another one than that of an index if there are several; return its index."""
        order = random.permutation(len(self.donors))
        chosen = int(order[which % len(order)])
        return int(order[(which + 1) % len(order)]) if chosen == other_than else chosen

    def mask(self, index: int) -> Mask:
        """Return object 1 in a frame, bool, H x W."""
        mask: Mask = self.label_maps[index] == 1
        return mask

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.label_maps[0].shape
        return height, width


def sampled(count: int) -> range:
    """Return the frames of a sequence of ``count`` that a new kind uses: every second one if there are enough."""
    step = 2 if count >= 2 * MAX_FRAMES else 1
    return range(0, min(count, MAX_FRAMES * step), step)


def there_and_back(index: int, count: int) -> int:
    """Return the frame at which ``index`` arrives if a clip of ``count`` frames runs forwards and backwards."""
    period = max(2 * (count - 1), 1)
    return (count - 1) - abs(index % period - (count - 1))
