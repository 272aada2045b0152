"""Writes words into pictures: ASCII with OpenCV's strokes, other letters with a font of the system that has them."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from persam_vos.masks import Rgb

_STROKES = cv2.FONT_HERSHEY_SIMPLEX
# Of Linux, Windows and macOS; those with Chinese, Japanese and Korean letters come last.
_FONTS = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "arial.ttf", "Arial.ttf",
    "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "msyh.ttc", "YuGothM.ttc", "malgun.ttf",
    "PingFang.ttc", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc",
)  # fmt: skip
_HALF = 127
_NO_LETTER = "\uffff"  # what a font draws for this, it draws for every letter that it has not
_TRIAL_SIZE = 64


class Lettering:
    """Writes words of one height.

    Args:
        letter: Height of the letters, in pixels.
        thickness: Of OpenCV's strokes, in pixels.
    """

    def __init__(self, letter: int, thickness: int) -> None:
        self._thickness = thickness
        self._scale = cv2.getFontScaleFromHeight(_STROKES, letter, thickness)

    def width(self, text: str) -> int:
        """Return the width of a text that is drawn, in pixels."""
        text = drawable(text)
        if (font := self._font(text)) is not None:
            return round(font.getlength(text)) + 1
        return int(cv2.getTextSize(text, _STROKES, self._scale, self._thickness)[0][0])

    def draw(self, picture: Rgb, text: str, origin: tuple[int, int]) -> None:
        """Write a text in white.

        Args:
            picture: uint8, H x W x 3, RGB; changed in place.
            text: What ``drawable`` leaves of it is written.
            origin: x of its left end and y of its base line, in pixels.
        """
        text = drawable(text)
        if (font := self._font(text)) is None:
            white = 255, 255, 255
            cv2.putText(picture, text, origin, _STROKES, self._scale, white, self._thickness, cv2.LINE_AA)
            return
        letters = Image.new("L", picture.shape[1::-1])
        ImageDraw.Draw(letters).text(origin, text, fill=255, font=font, anchor="ls")
        share = np.asarray(letters, np.float32)[..., None] / 255
        picture[:] = np.rint(picture * (1 - share) + 255 * share).astype(np.uint8)

    def _font(self, text: str) -> ImageFont.FreeTypeFont | None:
        """Return the font of a text, with capital letters as high as OpenCV's; None for OpenCV."""
        name = _font_with(text)
        return None if name is None else _as_high(name, _capital(self._scale, self._thickness))


def drawable(text: str) -> str:
    """Return a text as it can be drawn: as it is where a font has all its letters, else in ASCII, without accents.

    >>> drawable("2 dog")
    '2 dog'
    """
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if text.isascii() or _font_with(text) is not None:
        return text
    return " ".join(unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().split())


@lru_cache(maxsize=512)
def _font_with(text: str) -> str | None:
    """Return the name of the first font that has all letters of a text; None for ASCII, or where there is none."""
    if text.isascii():
        return None
    return next((name for name in _FONTS if _has_all(name, text)), None)


def _has_all(name: str, text: str) -> bool:
    try:
        font = _loaded(name, _TRIAL_SIZE)
        missing = bytes(font.getmask(_NO_LETTER))
        return all(letter.isspace() or bytes(font.getmask(letter)) != missing for letter in set(text))
    except (OSError, ImportError, ValueError):  # no such font, no FreeType in Pillow, or half of a pair of surrogates
        return False


@lru_cache(maxsize=64)
def _loaded(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, size)


@lru_cache(maxsize=64)
def _capital(scale: float, thickness: int) -> int:
    """Return the height of a capital letter that OpenCV draws, in pixels; its versions differ."""
    drawn = np.zeros((200, 200), np.uint8)
    cv2.putText(drawn, "H", (20, 160), _STROKES, scale, 255, thickness, cv2.LINE_AA)
    return int((drawn > _HALF).any(axis=1).sum())


def _as_high(name: str, capital: int) -> ImageFont.FreeTypeFont:
    """Return a font whose capital letters have this height in pixels."""
    _, top, _, bottom = _loaded(name, _TRIAL_SIZE).getbbox("H")
    return _loaded(name, max(1, round(_TRIAL_SIZE * capital / max(bottom - top, 1))))
