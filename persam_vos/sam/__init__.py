"""Frames in; image embeddings, and mask candidates for prompts, out: Segment Anything, frozen.

Names are imported when they are first used, so that listing checkpoints loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persam_vos.sam.cells import cell_features, upsample_to_square
    from persam_vos.sam.decoder import Decoder
    from persam_vos.sam.encoder import Encoder, ImageEmbedding, SamEncoder
    from persam_vos.sam.engine import Engine, EngineParts
    from persam_vos.sam.geometry import Geometry
    from persam_vos.sam.patches import MIN_MASK_LOGIT, Patch, masks_to_patches
    from persam_vos.sam.prompts import OUTSIDE_LOGIT, PADDING, POSITIVE, Candidates, Guidance, Prompts
    from persam_vos.sam.regions import EMPTY_REGION, Region, bounding_region, mask_regions
    from persam_vos.sam.windows import windows_around

_MODULES = {
    "cells": ("cell_features", "upsample_to_square"),
    "decoder": ("Decoder",),
    "encoder": ("Encoder", "ImageEmbedding", "SamEncoder"),
    "engine": ("Engine", "EngineParts"),
    "geometry": ("Geometry",),
    "patches": ("MIN_MASK_LOGIT", "Patch", "masks_to_patches"),
    "prompts": ("OUTSIDE_LOGIT", "PADDING", "POSITIVE", "Candidates", "Guidance", "Prompts"),
    "regions": ("EMPTY_REGION", "Region", "bounding_region", "mask_regions"),
    "windows": ("windows_around",),
}
__all__ = [
    "EMPTY_REGION",
    "MIN_MASK_LOGIT",
    "OUTSIDE_LOGIT",
    "PADDING",
    "POSITIVE",
    "Candidates",
    "Decoder",
    "Encoder",
    "Engine",
    "EngineParts",
    "Geometry",
    "Guidance",
    "ImageEmbedding",
    "Patch",
    "Prompts",
    "Region",
    "SamEncoder",
    "bounding_region",
    "cell_features",
    "mask_regions",
    "masks_to_patches",
    "upsample_to_square",
    "windows_around",
]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
