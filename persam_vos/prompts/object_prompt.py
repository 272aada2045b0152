"""What a person says of one object on one frame: a box, points, a mask, or that it is absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

from persam_vos.errors import PromptError
from persam_vos.prompts.points import BOX_FORM, POINT_FORM, Box, Point, as_box, as_point, spelled


@dataclass(frozen=True, slots=True)
class ObjectPrompt:
    """What is said of one object: a box, points, or both; a mask, perhaps with points that mend it; or its absence.

    Attributes:
        box: Around the object; None for none.
        points: On the object and beside it, in the order in which they were given.
        mask: File of the object's mask; None for none.
        absent: Whether the object is not in the frame.

    Raises:
        PromptError: If nothing is said, too much, or only where the object is not; or the box is empty.

    >>> ObjectPrompt(box=Box(10, 20, 40, 60)).points
    ()
    >>> ObjectPrompt(points=(Point(5, 5, positive=False),))
    Traceback (most recent call last):
    persam_vos.errors.PromptError: every point lies beside the object; give a point on it as well, or a box around it
    """

    box: Box | None = None
    points: tuple[Point, ...] = ()
    mask: Path | None = None
    absent: bool = False

    def __post_init__(self) -> None:
        if self.absent and (self.box or self.points or self.mask):
            raise PromptError("an object is absent, and a box, a point or a mask says where it is; give one of both")
        if self.box is not None and self.mask is not None:
            raise PromptError("an object has a box and a mask; give one of both")
        if self.box is None and not self.points and self.mask is None and not self.absent:
            raise PromptError("a prompt says nothing; give a box, a point on the object, or a mask")
        if self.points and self.box is None and self.mask is None and not any(each.positive for each in self.points):
            raise PromptError("every point lies beside the object; give a point on it as well, or a box around it")
        if self.box is not None and (self.box.x1 <= self.box.x0 or self.box.y1 <= self.box.y0):
            raise PromptError(f"box {spelled(self.box)} is empty; allowed: {BOX_FORM}, the larger ones last")

    @property
    def decoded(self) -> bool:
        """Whether the decoder makes the mask: of a box, or of points."""
        return self.box is not None or bool(self.points)

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
                raise PromptError(f"point {spelled(point[:2])} lies outside {size}")
        if self.box is None:
            return self
        x0, y0, x1, y1 = self.box
        box = Box(max(x0, 0), max(y0, 0), min(x1, width - 1), min(y1, height - 1))
        if box.x1 <= box.x0 or box.y1 <= box.y0:
            raise PromptError(f"box {spelled(self.box)} lies outside {size}")
        return replace(self, box=box)

    def record(self) -> dict[str, Any]:
        """Return the prompt by the keys of prompts.json: ``box`` is XYXY, ``points`` are x, y and 1 or 0."""
        return {
            **({"box": [*map(_number, self.box)]} if self.box else {}),
            **({"mask": str(self.mask)} if self.mask else {}),
            **(
                {"points": [[_number(x), _number(y), int(positive)] for x, y, positive in self.points]}
                if self.points
                else {}
            ),
            **({"absent": True} if self.absent else {}),
        }


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

    >>> prompts_of((10, 20, 40, 60), [(15, 30, 0)])[0].points
    (Point(x=15.0, y=30.0, positive=False),)
    """
    if not len(box) and not len(points):
        return ()
    try:
        boxes = [box] if len(box) and isinstance(box[0], Real) else list(box)
        return object_prompts([as_box(each) for each in boxes], [as_point(each) for each in points])  # type: ignore[arg-type]
    except TypeError:
        raise PromptError(f"box= takes {BOX_FORM}, or several of them; points= takes several of {POINT_FORM}") from None


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value
