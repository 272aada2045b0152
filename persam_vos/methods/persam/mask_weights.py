"""Nested candidates and an annotation go in; out come the weights of PerSAM-F's mix (arXiv 2305.03048, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Focal loss (arXiv 1708.02002) as in PerSAM's script: weight of the object, and exponent of the error.
_FOCAL_ALPHA = 0.25
_FOCAL_GAMMA = 2.0


def learn_mask_weights(logits: Tensor, mask: Tensor, *, steps: int, learning_rate: float) -> Tensor:
    """Learn the mask weights of one object (PerSAM, arXiv 2305.03048, section 3.3, equation 8).

    Two weights are free, the third is one minus their sum. The loss is Dice + focal (alpha 0.25, gamma 2), minimised
    by AdamW (eps 1e-4) under a cosine schedule. Only the weights change, so the decoder has been run once, before.

    Args:
        logits: float, 3 x n: the nested candidates at places of the annotated frame, or of several.
        mask: bool or float, n, in 0..1: the annotation.
        steps: Number of optimiser steps.
        learning_rate: At the first step.

    Returns:
        float, 3, summing to 1.
    """
    # inference_mode must be left: the caller's tensors may come from it, so they are copied.
    with torch.inference_mode(False), torch.no_grad():
        flat, target = logits.clone(), mask.clone().float()
        # The weights sum to 1: the first candidate loses the weight that a free one gains.
        against_first = flat[1:] - flat[0]
        free = torch.full((2,), 1 / 3, device=flat.device, requires_grad=True)
        optimizer = torch.optim.AdamW([free], lr=learning_rate, eps=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            free.grad = against_first @ _loss_gradient(torch.addmv(flat[0], against_first.T, free), target)
            optimizer.step()
            schedule.step()
        return torch.cat([1 - free.sum(dim=0, keepdim=True), free])


def _loss_gradient(logits: Tensor, target: Tensor) -> Tensor:
    """Return the gradient of the loss by each logit, float n, in a third of autograd's time."""
    probability = logits.sigmoid()
    both, either = 2 * (probability @ target) + 1, probability.sum() + target.sum() + 1
    wrong = probability - target
    cross_entropy = functional.softplus(logits).addcmul_(logits, target, value=-1)
    right = torch.exp(-cross_entropy)
    missed = 1 - right
    focal = missed.pow(_FOCAL_GAMMA - 1).mul_(missed.addcmul_(right, cross_entropy, value=_FOCAL_GAMMA)).mul_(wrong)
    focal.mul_((2 * _FOCAL_ALPHA - 1) * target + (1 - _FOCAL_ALPHA)).div_(len(target))
    dice = (both / either - 2 * target).mul_(probability).mul_(1 - probability)
    return focal.add_(dice.div_(either))
