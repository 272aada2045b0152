"""Names and scores beside objects."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from persam_vos.exports.styles import ObjectStyles
from persam_vos.exports.tags import draw_tags
from persam_vos.prompts import NamedObject
from persam_vos.results import FrameResult, ObjectResult


def changed(
    *boxes: tuple[int, int, int, int] | None, size: tuple[int, int] = (240, 320), name: str = "", score: float = 0.87
) -> np.ndarray:
    """Draw tags on grey; return which pixels they change, bool H x W."""
    objects = tuple(ObjectResult(number, box is not None, score, 0.5, 9, box) for number, box in enumerate(boxes, 1))
    picture = np.full((*size, 3), 130, np.uint8)
    result = FrameResult(0, 0, Fraction(1), np.zeros(size, np.uint8), objects)
    draw_tags(picture, result, ObjectStyles([NamedObject(1, name)] if name else []))
    return (picture != 130).any(axis=2)


def test_a_tag_stands_above_the_box_and_begins_with_it() -> None:
    rows, columns = np.nonzero(changed((100, 120, 180, 200)))

    assert rows.max() < 120 <= rows.max() + 8
    assert columns.min() == 100
    assert columns.max() < 160


def test_a_name_makes_the_tag_longer_and_absent_objects_have_none() -> None:
    assert changed((100, 120, 180, 200), name="dog").sum() > 1.3 * changed((100, 120, 180, 200)).sum()
    assert not changed(None).any()


@pytest.mark.parametrize("box", [(0, 0, 319, 239), (300, 2, 319, 20), (310, 230, 319, 239)])
def test_a_tag_stays_in_the_picture(box: tuple[int, int, int, int]) -> None:
    assert changed(box).sum() > 250


def test_a_small_picture_has_no_tag() -> None:
    assert not changed((2, 2, 20, 20), size=(24, 30)).any()


def test_a_score_that_is_not_known_is_left_out() -> None:
    widths = [changed((100, 120, 180, 200), score=score).any(axis=0).sum() for score in (0.87, float("nan"))]

    assert 0 < widths[1] < 0.6 * widths[0]
