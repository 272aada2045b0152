"""Draws beside each object what it is called, and how good its mask probably is."""

from __future__ import annotations

import math

import cv2
import numpy as np

from persam_vos.exports.lettering import Lettering
from persam_vos.exports.styles import ObjectStyles
from persam_vos.masks import Rgb
from persam_vos.results import FrameResult, ObjectResult

_HEIGHT_SHARE = 0.022  # of a capital letter, as a share of the picture's shorter side
_MIN_HEIGHT = 8  # pixels; smaller digits cannot be read
_PANEL_OPACITY = 0.6
_LEAST_ROOM = 3  # heights of a tag; a picture of fewer would be covered


def draw_tags(picture: Rgb, result: FrameResult, styles: ObjectStyles) -> None:
    """Draw the number, name and score of each object above its box, or into it where there is no room.

    A single object without a name has its score alone, and a score that is not known is left out. A picture that is too
    small for a tag has none.

    Args:
        picture: uint8, H x W x 3, RGB; changed in place.
        result: Of the frame.
        styles: Names of objects.
    """
    height, width = picture.shape[:2]
    letter = max(_MIN_HEIGHT, round(_HEIGHT_SHARE * min(height, width)))
    lettering, gap = Lettering(letter, max(1, round(letter / 8))), max(2, letter // 3)
    for entry in result.objects:
        if entry.box is None:
            continue
        text = _text(entry, styles, alone=len(result.objects) == 1)
        rows, columns = letter + 2 * gap, lettering.width(text) + 2 * gap
        if _LEAST_ROOM * rows > height or columns > width:
            continue
        left = min(max(entry.box[0], 0), width - columns)
        top = max(entry.box[1] - rows - gap, 0)
        panel = picture[top : top + rows, left : left + columns]
        panel[:] = cv2.addWeighted(panel, 1 - _PANEL_OPACITY, np.zeros_like(panel), _PANEL_OPACITY, 0)
        lettering.draw(panel, text, (gap, gap + letter))


def _text(entry: ObjectResult, styles: ObjectStyles, *, alone: bool) -> str:
    if math.isnan(entry.score):
        return styles.label(entry.id)
    if alone and not styles.name(entry.id):
        return f"{entry.score:.2f}"
    return f"{styles.label(entry.id)} {entry.score:.2f}"
