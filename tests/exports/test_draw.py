from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from persam_vos.errors import MaskError
from persam_vos.exports.draw import draw_overlay, palette_image
from persam_vos.exports.legend import draw_legend
from persam_vos.exports.palettes import overlay_palette

label_maps = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.sampled_from([0, 0, 0, 1, 2, 200])
)


@given(label_maps)
def test_overlay_changes_objects_only(label_map):
    rgb = np.full((*label_map.shape, 3), 100, np.uint8)
    drawn = draw_overlay(rgb, label_map)
    assert (rgb == 100).all()
    assert (drawn[label_map == 0] == 100).all()
    palette = overlay_palette()
    # An edge pixel has another label among its eight neighbours; beyond the frame there is none.
    padded = np.pad(label_map.astype(int), 1, mode="edge")
    height, width = label_map.shape
    neighbours = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    edge = np.any([neighbour != label_map for neighbour in neighbours], axis=0)
    for number in np.unique(label_map[label_map > 0]):
        inner, outline = (label_map == number) & ~edge, (label_map == number) & edge
        tinted = (100 + palette[number].astype(int)) / 2
        assert np.abs(drawn[inner] - tinted).max(initial=0) <= 1
        assert (drawn[outline] == palette[number]).all()


def test_contours_grow_with_the_picture():
    label_map = np.zeros((1080, 1920), np.uint8)
    cv2.rectangle(label_map, (500, 300), (1500, 900), 1, -1)
    drawn = draw_overlay(np.zeros((1080, 1920, 3), np.uint8), label_map)
    assert drawn[600, 499:506, 0].tolist() == [0, 230, 230, 230, 230, 115, 115]


def test_the_first_objects_have_colours_far_apart():
    colours = overlay_palette()[1:8].astype(int)
    distances = np.abs(colours[:, None] - colours).sum(axis=2)
    assert distances[~np.eye(7, dtype=bool)].min() > 80


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_a_mask_file_holds_uint8_only(dtype):
    with pytest.raises(MaskError, match=f"label map is {np.dtype(dtype)}; it must be uint8"):
        palette_image(np.zeros((4, 4), dtype))


@pytest.mark.parametrize("height", [360, 2160])
def test_a_legend_has_a_swatch_per_object(height):
    picture = np.full((height, height * 16 // 9, 3), 128, np.uint8)
    draw_legend(picture, [1, 2, 7])
    changed = (picture != 128).any(axis=2)
    for number in (1, 2, 7):
        assert (picture == overlay_palette()[number]).all(axis=2).sum() > (height / 50) ** 2
    assert not changed[height // 4 :].any()
    assert not changed[:, height // 4 :].any()


def test_a_single_object_needs_no_legend():
    picture = np.full((360, 640, 3), 128, np.uint8)
    draw_legend(picture, [5])
    assert (picture == 128).all()


@pytest.mark.parametrize(("height", "width", "row"), [(64, 64, 14), (360, 640, 16)])
def test_a_legend_of_many_objects_counts_the_rest_in_its_last_row(height, width, row, monkeypatch):
    texts, put_text = [], cv2.putText

    def spy(picture, text, *more):
        texts.append(text)
        return put_text(picture, text, *more)

    monkeypatch.setattr(cv2, "putText", spy)
    picture = np.full((height, width, 3), 128, np.uint8)
    draw_legend(picture, range(1, 255))

    numbers, rest = texts[:-1], texts[-1]
    assert numbers == [str(number) for number in range(1, len(texts))]
    assert rest == f"+{254 - len(numbers)}"
    assert height - 3 * row < len(texts) * row < height
    # The panel is darker; it is narrow, and a margin of a quarter of a row is left around it.
    changed, margin = (picture != 128).any(axis=2), row // 4
    panel = np.zeros_like(changed)
    panel[margin : 2 * margin + len(texts) * row, margin : min(4 * row, width - margin)] = True
    assert not changed[~panel].any()
    assert changed[margin : 2 * margin + len(texts) * row, margin : 2 * row].mean() > 0.98


@pytest.mark.parametrize(("height", "width"), [(1, 1), (20, 300), (300, 20)])
def test_a_picture_without_room_gets_no_legend(height, width):
    picture = np.full((height, width, 3), 128, np.uint8)
    draw_legend(picture, range(1, 255))
    assert (picture == 128).all()
