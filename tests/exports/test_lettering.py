"""Words in pictures: in any letters for which there is a font, and never an error."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import ImageFont

from persam_vos.exports import lettering
from persam_vos.exports.legend import draw_legend
from persam_vos.exports.lettering import Lettering, drawable
from persam_vos.exports.styles import ObjectStyles
from persam_vos.prompts import NamedObject


@pytest.fixture(autouse=True)
def _fonts_are_looked_for_anew() -> Iterator[None]:
    lettering._font_with.cache_clear()
    lettering._loaded.cache_clear()
    yield
    lettering._font_with.cache_clear()
    lettering._loaded.cache_clear()


@pytest.fixture
def _has_a_font() -> None:
    try:
        ImageFont.truetype("DejaVuSans.ttf")
    except OSError:
        pytest.skip("the font DejaVu Sans is not installed")


@pytest.fixture
def _has_no_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_FONTS", ("there is no such font.ttf",))


def written(text: str, height: int = 40, width: int = 300) -> np.ndarray:
    """Which pixels a text covers, bool, H x W."""
    picture = np.zeros((height, width, 3), np.uint8)
    Lettering(18, 2).draw(picture, text, (4, 28))
    return picture.max(axis=2) > 128


@pytest.mark.usefixtures("_has_a_font")
@pytest.mark.parametrize("text", ["Löffel", "собака", "Łódź ñ"])
def test_letters_that_a_font_has_are_drawn(text: str) -> None:
    found = written(text)

    rows, columns = np.nonzero(found)
    assert drawable(text) == text
    assert columns.min() >= 3
    assert columns.max() <= 4 + Lettering(18, 2).width(text)
    assert rows.max() <= 28 + 7, "nothing but descenders lies below the base line"
    assert rows.min() <= 28 - 12
    assert (found != written(drawable(text.encode("ascii", "ignore").decode()))).any()


@pytest.mark.usefixtures("_has_a_font")
def test_a_capital_letter_is_as_high_as_one_of_ascii() -> None:
    heights = [np.flatnonzero(written(text).any(axis=1)) for text in ("H", "\N{CYRILLIC CAPITAL LETTER EN}")]

    assert abs(heights[0].min() - heights[1].min()) <= 1
    assert abs(heights[0].max() - heights[1].max()) <= 2


@pytest.mark.usefixtures("_has_no_font")
def test_without_a_font_names_are_ascii() -> None:
    assert [drawable(text) for text in ("2 Löffel", "1 собака", "3 犬 dog", "ŁŁ")] == ["2 Loffel", "1", "3 dog", ""]
    assert np.array_equal(written("Löffel"), written("Loffel"))


@pytest.mark.parametrize("text", ["", "\udcff", "a\nb\tc", "\u0000é", "🐕 犬 é", "é" * 500, "\u202eé", "e\u0301"])
def test_any_text_can_be_drawn(text: str) -> None:
    picture = np.zeros((40, 60, 3), np.uint8)

    Lettering(18, 2).draw(picture, text, (4, 28))

    assert Lettering(18, 2).width(text) >= 0
    assert picture.shape == (40, 60, 3)


def test_ascii_is_drawn_by_opencv_whatever_fonts_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    before = written("2 dog")
    monkeypatch.setattr(lettering, "_FONTS", ())

    assert before.any()
    assert np.array_equal(written("2 dog"), before)


@pytest.mark.usefixtures("_has_a_font")
def test_a_legend_has_names_in_their_letters() -> None:
    pictures = [np.full((240, 320, 3), 120, np.uint8) for _ in range(2)]
    for picture, name in zip(pictures, ("собака", ""), strict=True):
        draw_legend(picture, [1, 2], ObjectStyles([NamedObject(1, name)]))

    changed = [np.flatnonzero((picture != 120).any(axis=(0, 2))) for picture in pictures]
    assert changed[0].max() > changed[1].max() + 30
