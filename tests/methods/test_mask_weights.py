from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from persam_vos.methods.persam.mask_weights import learn_mask_weights


def square(size: int) -> torch.Tensor:
    mask = torch.zeros(48, 64, dtype=torch.bool)
    mask[4 : 4 + size, 4 : 4 + size] = True
    return mask


SIZES = (6, 16, 36)


@pytest.mark.parametrize("right", [0, 1, 2])
def test_the_candidate_that_fits_gains_weight(right: int) -> None:
    logits = torch.stack([torch.where(square(size), 8.0, -8.0) for size in SIZES])
    logits[right] *= 0.5

    weights = learn_mask_weights(logits.flatten(1), square(SIZES[right]).flatten(), steps=800, learning_rate=4e-3)

    assert float(weights.sum()) == pytest.approx(1, abs=1e-5)
    mixed = torch.einsum("k,khw->hw", weights, logits) > 0
    assert torch.equal(mixed, square(SIZES[right]))
    assert int(weights.argmax()) == right


def test_two_weights_are_learnt_as_the_paper_says() -> None:
    """The loss written out, and the optimiser run on the two free weights (equations 8 and 9)."""
    generator = torch.Generator().manual_seed(0)
    logits, mask = torch.randn(3, 48, 64, generator=generator) * 4, square(16)
    free = torch.full((2,), 1 / 3, requires_grad=True)
    optimizer = torch.optim.AdamW([free], lr=1e-2, eps=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30)
    for _ in range(30):
        mixed = (1 - free.sum()) * logits[0] + free[0] * logits[1] + free[1] * logits[2]
        p, t = mixed.sigmoid(), mask.float()
        dice = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
        p_t = p * t + (1 - p) * (1 - t)
        cross_entropy = functional.binary_cross_entropy_with_logits(mixed, t, reduction="none")
        focal = ((0.25 * t + 0.75 * (1 - t)) * (1 - p_t) ** 2 * cross_entropy).mean()
        optimizer.zero_grad()
        (dice + focal).backward()
        optimizer.step()
        schedule.step()

    found = learn_mask_weights(logits.flatten(1), mask.flatten(), steps=30, learning_rate=1e-2)

    torch.testing.assert_close(found[1:], free.detach(), rtol=1e-4, atol=1e-5)


def test_learning_works_from_inference_tensors() -> None:
    with torch.inference_mode():
        logits = torch.stack([torch.where(square(size), 8.0, -8.0) for size in SIZES])
        weights = learn_mask_weights(logits.flatten(1), square(16).flatten(), steps=5, learning_rate=1e-2)

    assert torch.isfinite(weights).all()
