"""Boxes and points: what they are, and how they are written in words and in Python calls.

Coordinates are (x, y) in pixels of the upright frame; the middle of the top left pixel is (0, 0).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from persam_vos.errors import PromptError

BOX_FORM = "X0,Y0,X1,Y1: left, top, right and bottom in pixels"
POINT_FORM = "X,Y on the object, or X,Y,- beside it, in pixels"
_SIGNS = {"+": True, "1": True, "-": False, "0": False}


class Point(NamedTuple):
    """A place on an object, or beside it.

    Attributes:
        x: Column in pixels.
        y: Row in pixels.
        positive: Whether it lies on the object.
    """

    x: float
    y: float
    positive: bool = True


class Box(NamedTuple):
    """A rectangle around an object, with inclusive maxima, in pixels."""

    x0: float
    y0: float
    x1: float
    y1: float


def parse_box(text: str) -> Box:
    """Read a box from ``X0,Y0,X1,Y1``.

    Raises:
        PromptError: If it is no such text.

    >>> parse_box("120,80,300,260")
    Box(x0=120.0, y0=80.0, x1=300.0, y1=260.0)
    """
    return as_box(text.split(","), text)


def parse_point(text: str) -> Point:
    """Read a point from ``X,Y`` or ``X,Y,-``.

    Raises:
        PromptError: If it is no such text.

    >>> parse_point("400,300"), parse_point("90,60,-")
    (Point(x=400.0, y=300.0, positive=True), Point(x=90.0, y=60.0, positive=False))
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) == 3 and words[2] not in _SIGNS:
        raise PromptError(f"point {text!r} ends in {words[2]!r}; allowed: {POINT_FORM}")
    return as_point([*words[:2], *(_SIGNS[word] for word in words[2:3]), *words[3:]], text)


def as_box(values: Iterable[object], given: object = None) -> Box:
    """Return four numbers as a box.

    Args:
        values: x0, y0, x1, y1.
        given: What messages call it; None for the values.

    Raises:
        PromptError: If they are not four finite numbers.
    """
    shown = list(values)
    numbers = _finite_numbers(shown)
    if len(shown) != 4 or numbers is None:
        raise PromptError(f"box is {given or shown!r}; allowed: {BOX_FORM}")
    return Box(*numbers)


def as_point(values: Iterable[object], given: object = None) -> Point:
    """Return two numbers, and perhaps whether it lies on the object, as a point.

    Args:
        values: x, y, and perhaps True or 1, False or 0.
        given: What messages call it; None for the values.

    Raises:
        PromptError: If they are no such values.
    """
    shown = list(values)
    numbers = _finite_numbers(shown[:2])
    if len(shown) not in (2, 3) or numbers is None or shown[2:] not in ([], [0], [1]):
        raise PromptError(f"point is {given or shown!r}; allowed: {POINT_FORM}")
    x, y = numbers
    return Point(x, y, positive=bool(shown[2:] != [0]))


def _finite_numbers(values: Iterable[object]) -> list[float] | None:
    try:
        numbers = [float(value) for value in values]  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def spelled(numbers: Iterable[float]) -> str:
    """Return numbers as the command line takes them."""
    return ",".join(f"{number:g}" for number in numbers)
