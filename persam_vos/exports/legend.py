"""Draws the legend of an overlay: which colour is which object."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from persam_vos.exports.lettering import Lettering
from persam_vos.exports.styles import PLAIN, ObjectStyles
from persam_vos.masks import Rgb

_ROW_SHARE = 0.045  # height of a row as a share of the picture's shorter side
_MIN_ROW_PIXELS = 14  # below this, digits cannot be read
_PANEL_OPACITY = 0.6


def draw_legend(picture: Rgb, ids: Sequence[int], styles: ObjectStyles = PLAIN) -> None:
    """Draw a swatch, the number and the name of each object into the top left corner.

    A single object without a name needs no legend. Rows grow with the picture. Objects that do not fit are counted in
    the last row.

    Args:
        picture: uint8, H x W x 3, RGB; changed in place.
        ids: Numbers of the objects, in the order of the rows.
        styles: Names and colours of objects.
    """
    height, width = picture.shape[:2]
    row = max(_MIN_ROW_PIXELS, round(_ROW_SHARE * min(height, width)))
    gap = row // 4
    fitting = (height - 3 * gap) // row
    if fitting < 2 or (len(ids) < 2 and not any(map(styles.name, ids))):
        return
    shown = list(ids) if len(ids) <= fitting else list(ids[: fitting - 1])
    texts = [styles.label(number) for number in shown]
    if len(shown) < len(ids):
        texts.append(f"+{len(ids) - len(shown)}")
    lettering = Lettering(round(0.6 * row), max(1, round(row / 14)))
    text_width = max(map(lettering.width, texts))
    panel = picture[gap : 2 * gap + len(texts) * row, gap : 3 * gap + row + text_width]
    if panel.shape[1] < row + text_width:
        return
    panel[:] = cv2.addWeighted(panel, 1 - _PANEL_OPACITY, np.zeros_like(panel), _PANEL_OPACITY, 0)
    for position, text in enumerate(texts):
        top, bottom = gap + position * row + gap // 2, position * row + row
        if position < len(shown):
            colour = tuple(map(int, styles.overlay[shown[position]]))
            cv2.rectangle(panel, (gap // 2, top), (row - gap // 2, bottom), colour, cv2.FILLED)
        origin = row + gap // 2, bottom - (bottom - top - round(0.6 * row)) // 2
        lettering.draw(panel, text, origin)
