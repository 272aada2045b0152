"""Alpha that a method gives with its masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cells import Seeing, started
from pictures import frame_of

from persam_vos.methods import step_together
from persam_vos.methods.competition import hard_argmax, soft_aggregation, soft_alpha
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import EMPTY_REGION, Region


def disc(left: float, side: int = 60) -> torch.Tensor:
    """Logits of a disc: 2 for each pixel from its edge."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    return torch.from_numpy(2 * (12.3 - np.hypot(x - left, y - side / 2)).astype(np.float32))


@pytest.mark.parametrize("aggregate", [soft_aggregation, hard_argmax])
def test_alpha_agrees_with_the_label_map_and_is_soft_at_the_edge(aggregate: object) -> None:
    whole = Region.whole(60, 60)
    patches = [Patch(whole, disc(15)), Patch(whole, disc(45))]
    label_map = aggregate(patches, [3, 9], whole).numpy()  # type: ignore[operator]

    alpha = soft_alpha(patches, [3, 9], label_map)

    assert ((alpha >= 128) == (label_map > 0)).all()
    assert 60 < ((alpha > 0) & (alpha < 255)).sum() < 600


def test_two_objects_that_touch_have_no_seam() -> None:
    whole = Region.whole(60, 60)
    x = torch.arange(60, dtype=torch.float32).expand(60, 60)
    patches = [Patch(whole, (29.5 - x) / 2), Patch(whole, (x - 29.5) / 2)]
    label_map = hard_argmax(patches, [1, 2], whole).numpy()

    assert soft_alpha(patches, [1, 2], label_map)[label_map > 0].min() > 250


def test_an_object_that_is_withdrawn_covers_nothing() -> None:
    window = Region.at(5, 10, 60, 40)
    patches = [Patch(window, disc(15)[:, :40]), Patch(EMPTY_REGION, disc(15)[EMPTY_REGION])]
    nothing = np.zeros((80, 90), np.uint8)

    assert not soft_alpha(patches, [1, 2], nothing).any()
    label_map = np.asarray(hard_argmax(patches, [1, 2], Region.whole(80, 90)).numpy())
    alpha = soft_alpha(patches, [1, 2], label_map)
    assert ((alpha >= 128) == (label_map > 0)).all()


def test_a_step_has_alpha_only_if_it_is_asked_for() -> None:
    encoder = Seeing()
    rgb = np.full((144, 256, 3), (20, 90, 200), np.uint8)
    rgb[48:96, 60:108] = (250, 20, 20)
    mask = (rgb[..., 0] > 200).astype(np.uint8)
    frame = frame_of(rgb)
    tracking = started(encoder, frame, mask).tracking
    (embedding,) = encoder.encode([frame])

    (plain,), (soft,) = (step_together([tracking], frame, embedding, soft=asked) for asked in (False, True))

    assert plain.found.alpha is None
    assert soft.found.alpha is not None
    assert (soft.found.label_map == plain.found.label_map).all()
    assert ((soft.found.alpha >= 128) == (soft.found.label_map > 0)).all()
