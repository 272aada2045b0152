"""The annotated frame goes in; out comes a second view of its objects, as they look from half the distance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from persam_vos.media.frame import Frame
from persam_vos.methods.memory.memory import SecondView
from persam_vos.sam.cells import cell_features
from persam_vos.sam.encoder import Encoder
from persam_vos.sam.regions import Region, bounding_region, mask_regions


def nearer_view(encoder: Encoder, frame: Frame, masks: Tensor, dtype: torch.dtype, share: float) -> SecondView:
    """Encode the half of a frame's sides around the objects, which the encoder sees at twice the scale.

    An object that comes nearer shows surfaces that none of its cells resembled in the annotated frame.

    Args:
        encoder: For one more frame.
        frame: The annotated frame.
        masks: bool, N x H x W; each has a pixel.
        dtype: Of the features; see ``cell_features``.
        share: See ``SecondView``.
    """
    crop = half_around(bounding_region(mask_regions(masks)), (frame.height, frame.width))
    seen = encoder.encode([replace(frame, rgb=np.ascontiguousarray(frame.rgb[crop]))])[0]
    coverage = seen.geometry.to_cells(masks[(..., *crop)], seen.cells)
    return SecondView(cell_features(seen, dtype), coverage.flatten(1), share)


def half_around(box: Region, size: tuple[int, int]) -> Region:
    """Return the region of half the height and width of a frame, rounded up, whose middle is as near as can be a box's.

    >>> half_around(Region.at(0, 90, 10, 10), (50, 101))
    Region(rows=slice(0, 25, None), columns=slice(50, 101, None))
    """
    (top, height), (left, width) = (_half(side, end) for side, end in zip(box, size, strict=True))
    return Region.at(top, left, height, width)


def _half(side: slice, end: int) -> tuple[int, int]:
    half = -(-end // 2)
    middle = (side.start + side.stop - half) // 2
    return min(max(middle, 0), end - half), half
