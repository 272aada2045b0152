"""Harder variants of sequences, with exact truth: sequences with their donors come in, clips go out."""

from __future__ import annotations

from collections.abc import Callable

from .absence import gone, turn
from .camera import blur, dim, noise, shake
from .clips import Clip, Source, sampled
from .first_masks import rough
from .foliage import foliage
from .nearing import zoom
from .rivals import front, identical
from .whole import backwards, half, mirrored, occluded, plain, third

Variant = Callable[[Source], "Clip | None"]
"""Makes a clip, or None where the sequence cannot give it."""

OLD: dict[str, Variant] = {each.__name__: each for each in (plain, backwards, third, occluded, mirrored, half)}
"""Of the whole sequence."""

NEW: dict[str, Variant] = {
    each.__name__: each for each in (rough, identical, front, zoom, foliage, gone, turn, dim, blur, shake, noise)
}
"""Of at most ``clips.MAX_FRAMES`` frames."""

VARIANTS = OLD | NEW
GROUPS = {"old": tuple(OLD), "new": tuple(NEW), "all": tuple(VARIANTS)}

__all__ = ["GROUPS", "NEW", "OLD", "VARIANTS", "Clip", "Source", "Variant", "names_of", "sampled"]


def names_of(text: str) -> list[str]:
    """Return the variants that a list with commas names, itself or by their group; ``KeyError`` for another name."""
    names = [name for each in text.split(",") for name in GROUPS.get(each, (each,))]
    for name in names:
        VARIANTS[name]
    return list(dict.fromkeys(names))
