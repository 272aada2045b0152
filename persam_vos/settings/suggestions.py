"""The name that a mistyped one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# Of ``difflib``: "PerSAM" for "sam2" would mislead.
_MIN_SIMILARITY = 0.65
_SYNONYMS = {"gpu": "cuda", "nvidia": "cuda", "fp32": "float32", "bf16": "bfloat16"}


def nearest(given: str, allowed: Iterable[str], count: int = 1) -> list[str]:
    """Return the allowed names that resemble a given one, the most similar first; none where nothing does.

    Upper and lower case are the same. A beginning counts as its name.

    >>> nearest("PerSAM", ["memory", "persam", "persam-f"])
    ['persam']
    >>> nearest("gpu", ["auto", "cpu", "cuda"])
    ['cuda']
    """
    names = {name.lower(): name for name in allowed}
    lower = given.strip().lower()
    if (synonym := _SYNONYMS.get(lower)) in names:
        return [names[synonym]]
    begun = [name for name in names if lower and name.startswith(lower)]
    found = dict.fromkeys([*get_close_matches(lower, names, count, _MIN_SIMILARITY), *begun])
    return [names[name] for name in found][:count]


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """Return the question about the nearest name, to stand before what is allowed; nothing where no name resembles it.

    >>> did_you_mean("mask", ["masks", "overlay", "cutout"])
    'did you mean masks? '
    """
    found = nearest(given, allowed)
    return f"did you mean {found[0]}? " if found else ""


def listed(names: Iterable[str], last: str = "or") -> str:
    """Join names as a sentence does.

    >>> listed(["masks", "overlay", "cutout"])
    'masks, overlay or cutout'
    """
    *others, end = names
    return f"{', '.join(others)} {last} {end}" if others else end
