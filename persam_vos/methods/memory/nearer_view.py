"""The annotated frame goes in; out comes a second view of its objects, as they look from half the distance."""

from __future__ import annotations

import torch
from torch import Tensor

from persam_vos.media.frame import Frame
from persam_vos.methods.memory.annotated_cells import SecondView
from persam_vos.methods.memory.crop import around_middle, cropped, shape_of_frame
from persam_vos.sam.cells import cell_features
from persam_vos.sam.encoder import Encoder
from persam_vos.sam.regions import bounding_region, mask_regions


def nearer_view(encoder: Encoder, frame: Frame, masks: Tensor, dtype: torch.dtype, share: float) -> SecondView | None:
    """Encode the half of a frame's sides around the objects, which the encoder sees at twice the scale.

    An object that comes nearer shows surfaces that none of its cells resembled in the annotated frame. The view lies in
    the middle of all objects. One that it leaves out would be learnt from the annotated frame alone, beside others
    learnt from both: two cut-outs that cross then lose two thirds of the one left out.

    Args:
        encoder: For one more frame.
        frame: The annotated frame.
        masks: bool, N x H x W; each has a pixel.
        dtype: Of the features; see ``cell_features``.
        share: See ``SecondView``.

    Returns:
        None if the view shows no object, since they lie far apart or are hollow.
    """
    size = frame.height, frame.width
    shape = shape_of_frame([end / 2 for end in size], size)
    crop = around_middle(bounding_region(mask_regions(masks)), shape, size)
    if not bool(masks[(..., *crop)].any()):
        return None
    seen = encoder.encode([cropped(frame, crop)])[0]
    coverage = seen.geometry.to_cells(masks[(..., *crop)], seen.cells)
    return SecondView(cell_features(seen, dtype), coverage.flatten(1), share)
