"""The annotated frame goes in; out comes a second view of its objects, as they look from half the distance."""

from __future__ import annotations

import torch
from torch import Tensor

from persam_vos.media.frame import Frame
from persam_vos.methods.memory.crop import around_middle, cropped
from persam_vos.methods.memory.memory import SecondView
from persam_vos.sam.cells import cell_features
from persam_vos.sam.encoder import Encoder
from persam_vos.sam.regions import bounding_region, mask_regions


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
    size = frame.height, frame.width
    crop = around_middle(bounding_region(mask_regions(masks)), (-(-frame.height // 2), -(-frame.width // 2)), size)
    seen = encoder.encode([cropped(frame, crop)])[0]
    coverage = seen.geometry.to_cells(masks[(..., *crop)], seen.cells)
    return SecondView(cell_features(seen, dtype), coverage.flatten(1), share)
