"""Records of results: objects by id, masks on demand, and a repr that fits on a line."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from persam_vos.errors import MaskError, VideoError
from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.results import FrameResult, ObjectResult


def result() -> FrameResult:
    label_map: LabelMap = np.array([[0, 7, 7], [0, 0, 7]], np.uint8)
    objects = (ObjectResult(2, False, 0.0, None, 0, None), ObjectResult(7, True, 0.9, 0.5, 3, (1, 0, 2, 1)))
    return FrameResult(3, 3003, Fraction(1, 30000), label_map, objects)


def test_objects_are_taken_by_their_id() -> None:
    found = result()

    assert found.ids == (2, 7)
    assert len(found) == 2
    assert 7 in found
    assert 1 not in found
    assert found[7].mask.tolist() == [[False, True, True], [False, False, True]]
    assert not found[2].mask.any()
    assert [(each.id, each.present, each.area, each.box) for each in found] == [
        (2, False, 0, None),
        (7, True, 3, (1, 0, 2, 1)),
    ]
    with pytest.raises(KeyError, match="no object 1; the ids are 2, 7"):
        found[1]


def test_times_are_exact() -> None:
    assert result().time == Fraction(1001, 10000)


def test_repr_shows_shapes() -> None:
    assert repr(result()).startswith(
        "FrameResult(index=3, pts=3003, time_base=Fraction(1, 30000), label_map=<uint8 2 x 3>"
    )
    assert repr(result()[7]).endswith("box=(1, 0, 2, 1), keyframe=False, label_map=<uint8 2 x 3>)")
    frame = Frame(0, 0, Fraction(1, 25), np.zeros((4, 6, 3), np.uint8))
    assert repr(frame) == "Frame(index=0, pts=0, time_base=Fraction(1, 25), rgb=<uint8 4 x 6 x 3>)"


@pytest.mark.parametrize(
    "label_map", [np.zeros((2, 3), bool), np.zeros((2, 3), np.int64), np.zeros((2, 3, 1), np.uint8)]
)
def test_a_result_holds_a_label_map_and_nothing_else(label_map: LabelMap) -> None:
    with pytest.raises(MaskError, match=r"label map is .+; it must be uint8 of shape \(height, width\)"):
        FrameResult(0, 0, Fraction(1), label_map, ())


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 4), (0, 6, 3), (2, 4, 6, 3)])
def test_a_frame_holds_pixels_and_nothing_else(shape: tuple[int, ...]) -> None:
    with pytest.raises(VideoError, match=r"frame 5 is uint8, .+; allowed: a NumPy array of uint8, height x width x 3"):
        Frame(5, 5, Fraction(1), np.zeros(shape, np.uint8))
    with pytest.raises(VideoError, match="frame 5 is of type list"):
        Frame(5, 5, Fraction(1), [[0]])  # type: ignore[arg-type]
