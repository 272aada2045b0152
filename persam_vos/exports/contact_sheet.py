"""Draws many photos on one sheet: thumbnails of their overlays with captions."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from persam_vos.errors import SettingsError
from persam_vos.exports.draw import MAX_JPEG_SIDE, draw_overlay
from persam_vos.files import whole_file
from persam_vos.masks import LabelMap, Rgb, check_size

_THUMBNAIL_SIDE = 256  # pixels of the longer side, at most
_MARGIN = 8  # pixels
_CAPTION_HEIGHT = 20  # pixels, including the margin to the next row
_FONT_SIZE = 13  # pixels
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_MAX_CAPTION_LENGTH = 200  # characters that are measured; fewer fit


class ContactSheet:
    """Collects thumbnails of the overlays of any number of photos, and draws them in rows.

    A photo is scaled down when it is added, so each takes at most 192 KiB.

    Args:
        columns: Photos in a row, at least 1.

    Raises:
        SettingsError: If ``columns`` is not allowed.
    """

    def __init__(self, *, columns: int = 6) -> None:
        if columns < 1:
            raise SettingsError(f"columns is {columns}; it must be at least 1")
        self._columns = columns
        self._thumbnails: list[Rgb] = []
        self._captions: list[str] = []

    def add(self, rgb: Rgb, label_map: LabelMap, caption: str) -> None:
        """Add a photo with its objects tinted, scaled down if it is large.

        Args:
            rgb: uint8, H x W x 3.
            label_map: uint8, H x W; 0 is background, n is object n.
            caption: One line of text under the photo; cut if it is too long.

        Raises:
            MaskSizeError: If the label map has another size than the photo.
        """
        check_size(label_map, rgb, f"photo {caption!r}")
        height, width = label_map.shape
        scale = min(1.0, _THUMBNAIL_SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        drawn = cv2.resize(draw_overlay(rgb, label_map), size, interpolation=cv2.INTER_AREA)
        self._thumbnails.append(drawn.astype(np.uint8, copy=False))
        self._captions.append(caption)

    def write(self, path: Path) -> Path:
        """Write the photos in the order in which they were added; more can be added and written afterwards.

        Args:
            path: A ``.png``, ``.jpg`` or ``.jpeg`` file; missing folders are made, and a file of this name is replaced
                in one step. A JPEG has at most 65,500 pixels a side: rows get longer or shorter to stay within.

        Returns:
            The path.

        Raises:
            SettingsError: If the suffix is not allowed.
            OutputError: If the file cannot be written; then nothing is left of it.
        """
        kind = _FORMATS.get(path.suffix.lower())
        if kind is None:
            raise SettingsError(f"{path} has the suffix {path.suffix!r}; allowed: {', '.join(_FORMATS)}")
        sheet = self._lay_out(MAX_JPEG_SIDE if kind == "JPEG" else sys.maxsize)
        with whole_file(path) as partial:
            sheet.save(partial, format=kind, quality=90)
        return path

    def _lay_out(self, limit: int) -> Image.Image:
        """Draw the sheet, at most ``limit`` pixels a side."""
        count = len(self._thumbnails)
        most_rows, most_columns = (
            (limit - _MARGIN) // (_THUMBNAIL_SIDE + space) for space in (_CAPTION_HEIGHT, _MARGIN)
        )
        columns = max(min(self._columns, most_columns, count), -(-count // most_rows), 1)
        rows = [range(start, min(start + columns, count)) for start in range(0, count, columns)]
        heights = [max(len(self._thumbnails[i]) for i in row) for row in rows]
        width = _MARGIN + columns * (_THUMBNAIL_SIDE + _MARGIN)
        sheet = Image.new("RGB", (width, _MARGIN + sum(height + _CAPTION_HEIGHT for height in heights)), "white")
        draw, font, bottom = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_SIZE), _MARGIN
        for row, height in zip(rows, heights, strict=True):
            bottom += height
            for column, i in enumerate(row):
                left, thumbnail = _MARGIN + column * (_THUMBNAIL_SIDE + _MARGIN), self._thumbnails[i]
                # Bottom aligned, in the middle of the column.
                corner = left + (_THUMBNAIL_SIDE - thumbnail.shape[1]) // 2, bottom - thumbnail.shape[0]
                sheet.paste(Image.fromarray(thumbnail), corner)
                text = _fitting(self._captions[i], font)
                draw.text((left + _THUMBNAIL_SIDE / 2, bottom + 1), text, fill="black", font=font, anchor="ma")
            bottom += _CAPTION_HEIGHT
        return sheet


def _fitting(caption: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Shorten a caption to the width of a column; characters that cannot be drawn become spaces."""
    cut = text = "".join(letter if letter.isprintable() else " " for letter in caption[:_MAX_CAPTION_LENGTH])
    while font.getlength(cut) > _THUMBNAIL_SIDE:
        text = text[:-1]
        cut = f"{text.rstrip()}..."
    return cut
