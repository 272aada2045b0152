"""Boxes and points: what is read, what is refused, and how they become the prompts of objects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persam_vos import PromptError
from persam_vos.prompts import Box, ObjectPrompt, Point, object_prompts, parse_box, parse_point, prompts_of

BOX = Box(10, 20, 40, 60)
numbers = st.integers(0, 500)


@given(numbers, numbers, st.sampled_from([("", True), (",-", False), (",+", True), (", 0", False), (" , 1 ", True)]))
def test_a_point_is_read_as_it_is_written(x: int, y: int, sign: tuple[str, bool]) -> None:
    assert parse_point(f"{x}, {y}{sign[0]}") == Point(x, y, sign[1])


@pytest.mark.parametrize("text", ["", "3", "3,4,5", "a,b", "1,2,-,4", "nan,3", "inf,3", "3;4"])
def test_other_points_are_refused(text: str) -> None:
    with pytest.raises(PromptError, match="X,Y on the object"):
        parse_point(text)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1,2,3,nan"])
def test_other_boxes_are_refused(text: str) -> None:
    with pytest.raises(PromptError, match="X0,Y0,X1,Y1"):
        parse_box(text)


@pytest.mark.parametrize("box", ["40,20,10,60", "10,60,40,20", "10,20,10,60"])
def test_a_box_without_an_area_is_refused(box: str) -> None:
    with pytest.raises(PromptError, match=f"^box {box} is empty"):
        ObjectPrompt(parse_box(box))


def test_a_prompt_must_say_where_the_object_is() -> None:
    with pytest.raises(PromptError, match="says nothing"):
        ObjectPrompt()
    with pytest.raises(PromptError, match="every point lies beside the object"):
        ObjectPrompt(points=(Point(3, 4, False), Point(5, 6, False)))
    assert ObjectPrompt(BOX, (Point(3, 4, False),)).points  # a box says where, so that a point need not


@given(st.integers(-50, 150), st.integers(-50, 150), st.integers(1, 90), st.integers(1, 90))
def test_a_box_is_cut_to_the_frame_or_refused(x: int, y: int, width: int, height: int) -> None:
    prompt = ObjectPrompt(Box(x, y, x + width, y + height))
    inside = x < 99 and y < 79 and x + width > 0 and y + height > 0
    if not inside:
        with pytest.raises(PromptError, match="lies outside the video, which has 100 x 80 pixels"):
            prompt.fitted(80, 100, "video")
        return
    fitted = prompt.fitted(80, 100, "video").box

    assert fitted is not None
    assert 0 <= fitted.x0 < fitted.x1 <= 99
    assert 0 <= fitted.y0 < fitted.y1 <= 79
    assert fitted == (max(x, 0), max(y, 0), min(x + width, 99), min(y + height, 79))


@pytest.mark.parametrize("point", [Point(100, 5), Point(5, 80), Point(-1, 5), Point(5, -1)])
def test_a_point_outside_the_frame_is_refused(point: Point) -> None:
    with pytest.raises(PromptError, match="lies outside the photo, which has 100 x 80"):
        ObjectPrompt(BOX, (point,)).fitted(80, 100, "photo")


def test_every_box_is_an_object_and_all_points_are_one() -> None:
    points = (Point(1, 2), Point(3, 4, False))

    assert object_prompts([BOX, BOX], []) == (ObjectPrompt(BOX), ObjectPrompt(BOX))
    assert object_prompts([], points) == (ObjectPrompt(points=points),)
    assert object_prompts([BOX], points) == (ObjectPrompt(BOX, points),)
    with pytest.raises(PromptError, match="2 boxes are as many objects"):
        object_prompts([BOX, BOX], points)


def test_python_takes_one_box_or_several_and_points() -> None:
    assert prompts_of((), ()) == ()
    assert prompts_of(BOX, ()) == (ObjectPrompt(BOX),)
    assert prompts_of([BOX, list(BOX)], ()) == (ObjectPrompt(BOX), ObjectPrompt(BOX))
    assert prompts_of((), [(1, 2), (3, 4, 0)]) == (ObjectPrompt(points=(Point(1, 2), Point(3, 4, False))),)
    for box, points in (((1, 2, 3), ()), ((), [5]), ((), [(1, 2, 7)]), ("abcd", ())):
        with pytest.raises(PromptError):
            prompts_of(box, points)  # type: ignore[arg-type]


def test_the_record_of_a_prompt_is_that_of_prompts_json() -> None:
    prompt = ObjectPrompt(BOX, (Point(1, 2), Point(3, 4, False)))

    assert prompt.record() == {"box": [10, 20, 40, 60], "points": [[1, 2, 1], [3, 4, 0]]}
    assert ObjectPrompt(points=(Point(1, 2),)).record() == {"points": [[1, 2, 1]]}


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.float32, np.float64])
def test_boxes_and_points_may_be_arrays(kind: type) -> None:
    box = np.array(BOX, kind)

    assert prompts_of(box, ()) == prompts_of(BOX, ())
    assert prompts_of(np.array([BOX, BOX], kind), ()) == prompts_of([BOX, BOX], ())
    assert prompts_of((), np.array([[15, 30, 1], [90, 60, 0]], kind)) == prompts_of((), [(15, 30), (90, 60, 0)])
