"""A box, points, and perhaps a mask that they mend go in; out comes the mask of one object on one frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persam_vos.errors import EmptyMaskError
from persam_vos.masks import Mask
from persam_vos.media.frame import Frame
from persam_vos.methods.prompted import masks_of_prompts
from persam_vos.pipeline.gpu_memory import explained_gpu_memory_errors
from persam_vos.prompts import Box, ObjectPrompt, Point
from persam_vos.sam.engine import Engine


def mask_of_prompt(
    engine: Engine[Any], frame: Frame, box: Box | None, points: Sequence[Point], known: Mask | None
) -> tuple[Mask, ObjectPrompt]:
    """Segment one object.

    Args:
        engine: The model.
        frame: The frame.
        box: Around the object; None for none.
        points: On the object and beside it.
        known: bool, H x W: the mask that points mend; None for none.

    Returns:
        bool, H x W, and what was said.

    Raises:
        PromptError: If nothing is said, or it lies outside the frame.
        EmptyMaskError: If there is nothing where it points.
    """
    # A mask that is mended stands for itself, whatever it may be saved as.
    mended = None if known is None else Path()
    says = ObjectPrompt(box, tuple(points), mended).fitted(frame.height, frame.width, "frame")
    with explained_gpu_memory_errors(engine):
        found = masks_of_prompts(engine.encoder, engine.decoder, frame, [says], [known])
    mask: Mask = found.label_map.cpu().numpy() > 0
    if not mask.any():
        raise EmptyMaskError(
            f"nothing is segmented in frame {frame.index}; point at the middle of the object, draw a box close around"
            " it, or give a mask"
        )
    return mask, says
