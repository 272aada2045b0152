"""Names and colours of objects in pictures."""

from __future__ import annotations

import numpy as np
import pytest

from persam_vos.exports.draw import draw_overlay, palette_image
from persam_vos.exports.legend import draw_legend
from persam_vos.exports.palettes import davis_palette, overlay_palette
from persam_vos.exports.styles import PLAIN, ObjectStyles
from persam_vos.prompts import NamedObject

STYLES = ObjectStyles([NamedObject(3, "dog", "#e6194b"), NamedObject(255, "", "#0102ff")])


def test_a_colour_replaces_that_of_the_palette_for_its_object_only() -> None:
    label_map = np.zeros((9, 9), np.uint8)
    label_map[2:7, 2:7] = 3
    picture = palette_image(label_map, STYLES)

    assert picture.convert("RGB").getpixel((4, 4)) == (0xE6, 0x19, 0x4B)
    assert np.array_equal(np.asarray(picture), label_map)
    drawn = draw_overlay(np.zeros((9, 9, 3), np.uint8), label_map, STYLES)
    assert drawn[2, 4].tolist() == [0xE6, 0x19, 0x4B]
    for palette, plain in ((STYLES.overlay, overlay_palette()), (STYLES.masks, davis_palette())):
        assert np.flatnonzero((palette != plain).any(axis=1)).tolist() == [3, 255]
    assert np.array_equal(PLAIN.masks, davis_palette())


def test_the_legend_shows_names() -> None:
    plain, named = (np.full((360, 640, 3), 128, np.uint8) for _ in range(2))
    draw_legend(plain, [1, 3])
    draw_legend(named, [1, 3], STYLES)

    assert (named == (0xE6, 0x19, 0x4B)).all(axis=2).any()
    widths = [int((picture != 128).any(axis=(0, 2)).sum()) for picture in (plain, named)]
    assert widths[1] > 1.5 * widths[0]
    # One object has a legend if it has a name.
    draw_legend(one := np.full((360, 640, 3), 128, np.uint8), [3], STYLES)
    assert (one != 128).any()


@pytest.mark.parametrize("letter", ["a", "ü", "犬", "𠀋"])
def test_names_of_files_are_no_longer_than_file_systems_allow(letter: str) -> None:
    name = ObjectStyles([NamedObject(255, letter * 300)]).file_name(255)

    assert name.startswith(f"255_{letter}")
    assert len(f".prores_{name}.mov.parts.partial".encode()) < 160


def test_a_label_is_the_number_and_the_name() -> None:
    styles = ObjectStyles([NamedObject(1, "Löffel"), NamedObject(2, "犬")])

    assert (styles.label(1), styles.label(2), styles.label(3)) == ("1 Löffel", "2 犬", "3")
