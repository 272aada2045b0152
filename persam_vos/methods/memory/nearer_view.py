"""The annotated frame goes in; out comes a second view of its objects, as they look from half the distance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from persam_vos.media.frame import Frame
from persam_vos.methods.memory.crop import around_middle, cropped, shape_of_frame
from persam_vos.methods.memory.memory import SecondView
from persam_vos.sam.cells import cell_features
from persam_vos.sam.encoder import Encoder
from persam_vos.sam.regions import Region, bounding_region, mask_regions


def nearer_view(encoder: Encoder, frame: Frame, masks: Tensor, dtype: torch.dtype, share: float) -> SecondView | None:
    """Encode the half of a frame's sides around the objects, which the encoder sees at twice the scale.

    An object that comes nearer shows surfaces that none of its cells resembled in the annotated frame. Where not all
    objects fit, the largest are left out first.

    Args:
        encoder: For one more frame.
        frame: The annotated frame.
        masks: bool, N x H x W; each has a pixel.
        dtype: Of the features; see ``cell_features``.
        share: See ``SecondView``.

    Returns:
        None if the view shows no object: one larger than the view may be hollow.
    """
    crop = _around_most(mask_regions(masks), (frame.height, frame.width))
    if not bool(masks[(..., *crop)].any()):
        return None
    seen = encoder.encode([cropped(frame, crop)])[0]
    coverage = seen.geometry.to_cells(masks[(..., *crop)], seen.cells)
    return SecondView(cell_features(seen, dtype), coverage.flatten(1), share)


def _around_most(boxes: Sequence[Region], size: tuple[int, int]) -> Region:
    """Place half of a frame's sides around as many objects as fit, small ones first; around the smallest if none does.

    Args:
        boxes: Of the objects, in pixels of the frame, at least one.
        size: Height and width of the frame.
    """
    shape = shape_of_frame([end / 2 for end in size], size)
    held = sorted(boxes, key=lambda box: max(box.height, box.width))
    fitting = [held[0]]
    for count in range(2, len(held) + 1):
        box = bounding_region(held[:count])
        if box.height <= shape[0] and box.width <= shape[1]:
            fitting = held[:count]
    return around_middle(bounding_region(fitting), shape, size)
