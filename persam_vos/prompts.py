"""What a person says of an object on a frame: a box around it, or points on it and beside it.

Coordinates are (x, y) in pixels of the upright frame; the middle of the top left pixel is (0, 0).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from persam_vos.errors import PromptError

_BOX_FORM = "X0,Y0,X1,Y1: left, top, right and bottom in pixels"
_POINT_FORM = "X,Y on the object, or X,Y,- beside it, in pixels"
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


@dataclass(frozen=True, slots=True)
class ObjectPrompt:
    """What is said of one object: a box, points, or both.

    Attributes:
        box: Around the object; None for none.
        points: On the object and beside it, in the order in which they were given.

    Raises:
        PromptError: If nothing is said, only where the object is not, or the box is empty.

    >>> ObjectPrompt(box=Box(10, 20, 40, 60)).points
    ()
    >>> ObjectPrompt(points=(Point(5, 5, positive=False),))
    Traceback (most recent call last):
    persam_vos.errors.PromptError: every point lies beside the object; give a point on it as well, or a box around it
    """

    box: Box | None = None
    points: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        if self.box is None and not self.points:
            raise PromptError("a prompt says nothing; give a box, or a point on the object")
        if self.box is None and not any(point.positive for point in self.points):
            raise PromptError("every point lies beside the object; give a point on it as well, or a box around it")
        if self.box is not None and (self.box.x1 <= self.box.x0 or self.box.y1 <= self.box.y0):
            raise PromptError(f"box {_spelled(self.box)} is empty; allowed: {_BOX_FORM}, the larger ones last")

    def fitted(self, height: int, width: int, of: str) -> ObjectPrompt:
        """Return the prompt with its box cut to a frame.

        Args:
            height: Of the frame, in pixels.
            width: Of the frame, in pixels.
            of: Noun for the frame or photo in messages.

        Raises:
            PromptError: If a point, or all of the box, lies outside the frame.
        """
        size = f"the {of}, which has {width} x {height} pixels (width x height)"
        for point in self.points:
            if not (-0.5 <= point.x < width - 0.5 and -0.5 <= point.y < height - 0.5):
                raise PromptError(f"point {_spelled(point[:2])} lies outside {size}")
        if self.box is None:
            return self
        x0, y0, x1, y1 = self.box
        box = Box(max(x0, 0), max(y0, 0), min(x1, width - 1), min(y1, height - 1))
        if box.x1 <= box.x0 or box.y1 <= box.y0:
            raise PromptError(f"box {_spelled(self.box)} lies outside {size}")
        return ObjectPrompt(box, self.points)

    def record(self) -> dict[str, object]:
        """Return the prompt as prompts.json has it: ``box`` as XYXY, ``points`` as x, y and 1 or 0."""
        points = [[x, y, int(positive)] for x, y, positive in self.points]
        return {**({"box": list(self.box)} if self.box else {}), **({"points": points} if points else {})}


def object_prompts(boxes: Sequence[Box], points: Sequence[Point]) -> tuple[ObjectPrompt, ...]:
    """Return a prompt for each object: every box is an object, and all points belong to one.

    Raises:
        PromptError: If points go with several boxes, or nothing is given.
    """
    if len(boxes) > 1 and points:
        raise PromptError(
            f"{len(boxes)} boxes are as many objects, and a point does not say which of them it belongs to; give one"
            " box with points, or boxes alone"
        )
    if len(boxes) > 1:
        return tuple(ObjectPrompt(box) for box in boxes)
    return (ObjectPrompt(boxes[0] if boxes else None, tuple(points)),)


def prompts_of(
    box: Sequence[float] | Sequence[Sequence[float]], points: Sequence[Sequence[float]]
) -> tuple[ObjectPrompt, ...]:
    """Return the prompts that Python calls give: one box or several, and points; none for none.

    Raises:
        PromptError: If a box or a point is no such thing; see ``object_prompts``.

    >>> prompts_of((10, 20, 40, 60), [(15, 30, 0)])
    (ObjectPrompt(box=Box(x0=10.0, y0=20.0, x1=40.0, y1=60.0), points=(Point(x=15.0, y=30.0, positive=False),)),)
    """
    if not len(box) and not len(points):
        return ()
    try:
        boxes = [box] if len(box) and isinstance(box[0], (int, float)) else list(box)
        return object_prompts([as_box(each) for each in boxes], [as_point(each) for each in points])  # type: ignore[arg-type]
    except TypeError:
        raise PromptError(
            f"box= takes {_BOX_FORM}, or several of them; points= takes several of {_POINT_FORM}"
        ) from None


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
        raise PromptError(f"point {text!r} ends in {words[2]!r}; allowed: {_POINT_FORM}")
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
        raise PromptError(f"box is {given or shown!r}; allowed: {_BOX_FORM}")
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
        raise PromptError(f"point is {given or shown!r}; allowed: {_POINT_FORM}")
    x, y = numbers
    return Point(x, y, positive=bool(shown[2:] != [0]))


def _finite_numbers(values: Iterable[object]) -> list[float] | None:
    try:
        numbers = [float(value) for value in values]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _spelled(numbers: Iterable[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
