"""What is written of each photo: where each export goes, and how it is encoded."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import cv2
from PIL import Image

from persam_vos.exports.draw import MAX_JPEG_SIDE, draw_overlay, draw_transparent, palette_image
from persam_vos.exports.legend import draw_legend
from persam_vos.exports.results_jsonl import PhotoResult
from persam_vos.masks import Rgb

_JPEG_QUALITY = 92  # of 100


class PhotoExport(NamedTuple):
    """The folder and suffix of an export's files, and the function that encodes a photo's file."""

    folder: str
    suffix: str
    encode: Callable[[Rgb, PhotoResult], bytes]


def _encode_mask(_: Rgb, result: PhotoResult) -> bytes:
    memory = io.BytesIO()
    palette_image(result.label_map).save(memory, "PNG")
    return memory.getvalue()


def _encode_overlay(rgb: Rgb, result: PhotoResult) -> bytes:
    drawn = draw_overlay(rgb, result.label_map)
    draw_legend(drawn, [entry.id for entry in result.objects if entry.present])
    image = Image.fromarray(drawn)
    image.thumbnail((MAX_JPEG_SIDE, MAX_JPEG_SIDE))
    memory = io.BytesIO()
    image.save(memory, "JPEG", quality=_JPEG_QUALITY)
    return memory.getvalue()


def _encode_cutout(rgb: Rgb, result: PhotoResult) -> bytes:
    # Pillow takes several times as long.
    bgra = cv2.cvtColor(draw_transparent(rgb, result.label_map), cv2.COLOR_RGBA2BGRA)
    return bytes(cv2.imencode(".png", bgra)[1])


PHOTO_EXPORTS = {
    "masks": PhotoExport("masks", ".png", _encode_mask),
    "overlay": PhotoExport("overlays", ".jpg", _encode_overlay),
    "cutout": PhotoExport("cutouts", ".png", _encode_cutout),
}
