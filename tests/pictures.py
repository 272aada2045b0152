"""Frames and pictures for tests: real photos, and cut-outs of them that move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np
import torch

from persam_vos.masks import LabelMap, Mask, Rgb
from persam_vos.media.frame import Frame
from persam_vos.sam import Geometry, Patch, masks_to_patches


def frame_of(rgb: Rgb, index: int = 0) -> Frame:
    return Frame(index, index, Fraction(1, 25), np.ascontiguousarray(rgb))


def iou(found: Mask, truth: Mask) -> float:
    """Return the intersection over the union of two masks; 1 if both are empty."""
    union = (found | truth).sum()
    return float((found & truth).sum() / union) if union else 1.0


def on_frame(patches: Sequence[Patch], geometry: Geometry, outside: float = -20.0) -> torch.Tensor:
    """Lay masks onto a whole frame each: logits, N x H x W."""
    whole = torch.full((len(patches), geometry.height, geometry.width), outside)
    for frame, patch in zip(whole, patches, strict=True):
        frame[patch.window] = patch.logits
    return whole


def everywhere_on_frame(logits: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """Bring masks to the frame with all that they say: N x H x W."""
    return on_frame(masks_to_patches(logits, geometry, -math.inf), geometry)


def cut_outs() -> list[tuple[Rgb, np.ndarray]]:
    """Two things that nobody takes for each other, with their masks: a cat's head and a cup of coffee."""
    from skimage import data

    things = []
    for photo, centre, axes in ((data.chelsea(), (220, 125), (105, 115)), (data.coffee(), (300, 190), (205, 165))):
        mask = np.zeros(photo.shape[:2], np.uint8)
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
        x, y, (dx, dy) = *centre, axes
        part = np.s_[max(y - dy, 0) : y + dy, max(x - dx, 0) : x + dx]
        size = (110, 110 * dy // dx)
        things.append(
            (
                cv2.resize(photo[part], size, interpolation=cv2.INTER_AREA),
                cv2.resize(mask[part], size, interpolation=cv2.INTER_NEAREST).astype(bool),
            )
        )
    return things


def scene(places: Sequence[tuple[int, int] | None]) -> tuple[Rgb, LabelMap]:
    """The cut-outs at (x, y) of their top left corner, later ones in front, over a meadow; None: not there."""
    from skimage import data

    rgb = cv2.resize(cv2.cvtColor(data.grass(), cv2.COLOR_GRAY2RGB), (480, 270))
    rgb[..., 0] //= 2
    labels = np.zeros(rgb.shape[:2], np.uint8)
    for object_id, ((picture, mask), place) in enumerate(zip(cut_outs(), places, strict=True), start=1):
        if place is None:
            continue
        x, y = place
        y0, x0 = max(y, 0), max(x, 0)
        height, width = (min(e, s) for e, s in zip((y + mask.shape[0], x + mask.shape[1]), labels.shape, strict=True))
        if height <= y0 or width <= x0:
            continue
        inside = mask[y0 - y : height - y, x0 - x : width - x]
        rgb[y0:height, x0:width][inside] = picture[y0 - y : height - y, x0 - x : width - x][inside]
        labels[y0:height, x0:width][inside] = object_id
    return rgb, labels
