"""Masks of boxes go in; those that lie in the boxes of others come out in front."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from persam_vos.methods.prompt_view import MAX_LOGIT
from persam_vos.prompts import Box, ObjectPrompt

# From this share of its box on, an object lies in the box of another one.
_IN_FRONT_SHARE = 0.9


def put_in_front(found: Sequence[Tensor], prompts: Sequence[ObjectPrompt]) -> None:
    """Let an object have its pixels where its box lies in another object's: it is held or worn, or stands in front.

    Args:
        found: Logits of N objects, float, H x W; changed in place.
        prompts: N.
    """
    for inner, prompt in zip(found, prompts, strict=True):
        for outer, other in zip(found, prompts, strict=True):
            if prompt.box is not None and other.box is not None and _lies_in(prompt.box, other.box):
                outer[inner > 0] = -MAX_LOGIT


def _lies_in(inner: Box, outer: Box) -> bool:
    """Tell whether most of a box lies in another one, which is larger."""
    areas = [(box.x1 - box.x0 + 1) * (box.y1 - box.y0 + 1) for box in (inner, outer)]
    width = min(inner.x1, outer.x1) - max(inner.x0, outer.x0) + 1
    height = min(inner.y1, outer.y1) - max(inner.y0, outer.y0) + 1
    return areas[0] < areas[1] and max(width, 0) * max(height, 0) >= _IN_FRONT_SHARE * areas[0]
