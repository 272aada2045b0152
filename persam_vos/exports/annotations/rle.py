"""Masks as run lengths: of COCO, by pycocotools."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from persam_vos.masks import LabelMap, Mask
from persam_vos.results import FrameResult, ObjectResult


@dataclass(frozen=True, slots=True)
class CocoMask:
    """A mask as COCO has it.

    Attributes:
        counts: Run lengths by column, compressed as pycocotools does.
        area: Pixels.
        bbox: (x, y, width, height) in pixels.
    """

    counts: str
    area: int
    bbox: tuple[int, int, int, int]


def coco_mask(mask: Mask) -> CocoMask:
    """Encode a mask, bool, H x W; one in Fortran order is not copied."""
    # An import at the top would make every start of the program slower.
    from pycocotools import mask as masks

    encoded = masks.encode(np.asfortranarray(mask.view(np.uint8)))
    x, y, width, height = (int(value) for value in masks.toBbox(encoded))
    return CocoMask(encoded["counts"].decode("ascii"), int(masks.area(encoded)), (x, y, width, height))


def masks_of(result: FrameResult) -> Iterator[tuple[ObjectResult, Mask]]:
    """Yield each object of a frame that has pixels, with its mask: bool, H x W, in Fortran order."""
    label_map: LabelMap = np.asfortranarray(result.label_map)
    for entry in result.objects:
        mask = label_map == entry.id
        if mask.any():
            yield entry, mask
