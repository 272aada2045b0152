"""Several trackings in one frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from cells import Seeing, started
from pictures import frame_of, iou

from persam_vos.masks import LabelMap, Mask
from persam_vos.media.frame import Frame
from persam_vos.methods import VideoTracking, step_together

HEIGHT, WIDTH, SIDE = 144, 256, 48
RED, YELLOW = (250, 20, 20), (240, 230, 20)


def scene(lefts: Sequence[int], colours: Sequence[tuple[int, int, int]], index: int = 0) -> tuple[Frame, list[Mask]]:
    """Return a frame of squares in a row, and their masks; the last one is in front."""
    rgb, masks = np.full((HEIGHT, WIDTH, 3), (20, 90, 200), np.uint8), []
    for left, colour in zip(lefts, colours, strict=True):
        mask = np.zeros((HEIGHT, WIDTH), np.bool_)
        mask[48 : 48 + SIDE, left : left + SIDE] = True
        rgb[mask] = colour
        masks = [*(each & ~mask for each in masks), mask]
    return frame_of(rgb, index), masks


def following(encoder: Seeing, frame: Frame, masks: Sequence[Mask]) -> list[VideoTracking]:
    """Return a tracking for each object."""
    labels: list[LabelMap] = [mask.astype(np.uint8) * np.uint8(i) for i, mask in enumerate(masks, 1)]
    return [started(encoder, frame, each).tracking for each in labels]


@pytest.mark.parametrize("colours", [(RED, YELLOW), (RED, RED)])
def test_objects_that_are_apart_are_found_as_if_each_were_alone(colours: Sequence[tuple[int, int, int]]) -> None:
    encoder = Seeing()
    first, masks = scene([16, 160], colours)
    then, truths = scene([24, 152], colours, 1)
    (embedding,) = encoder.encode([then])
    trackings = following(encoder, first, masks)

    alone = [step_together([each], then, embedding)[0].found.label_map for each in trackings]
    together = [step.found.label_map for step in step_together(trackings, then, embedding)]

    for number, (one, other, truth) in enumerate(zip(alone, together, truths, strict=True), 1):
        if colours[0] != colours[1]:
            assert ((one == number) == (other == number)).all()
        assert iou(other == number, truth) > 0.8


def test_a_pixel_belongs_to_one_object_and_to_none_where_it_is_held() -> None:
    encoder = Seeing()
    first, masks = scene([60, 100], (RED, YELLOW))
    then, truths = scene([64, 96], (RED, YELLOW), 1)
    (embedding,) = encoder.encode([then])
    trackings = following(encoder, first, masks)
    held = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    held[:, 96:120] = True

    free, beside = step_together(trackings, then, embedding), step_together(trackings, then, embedding, held)

    assert iou(free[0].found.label_map == 1, truths[0]) > 0.7
    assert iou(free[1].found.label_map == 2, truths[1]) > 0.7
    for number, step in enumerate(beside, 1):
        assert not step.found.label_map[:, 96:120].any()
        assert (step.found.label_map == number).any()
    # The steps share one label map.
    assert (free[0].found.label_map == free[1].found.label_map).all()
