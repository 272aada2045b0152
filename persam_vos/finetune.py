"""PerSAM-F: three numbers, learnt on the annotated frame, say how to mix the decoder's nested masks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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
    with torch.inference_mode(False), torch.enable_grad():
        flat, target = logits.clone(), mask.clone().float()
        free = torch.full((2,), 1 / 3, device=flat.device, requires_grad=True)
        optimizer = torch.optim.AdamW([free], lr=learning_rate, eps=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            mixed = _complete(free) @ flat
            loss = _dice_loss(mixed, target) + _focal_loss(mixed, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return _complete(free.detach())


def _complete(free: Tensor) -> Tensor:
    return torch.cat([1 - free.sum(dim=0, keepdim=True), free])


def _dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    probability = logits.sigmoid()
    return 1 - (2 * (probability * target).sum() + 1) / (probability.sum() + target.sum() + 1)


def _focal_loss(logits: Tensor, target: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    missed = 1 - torch.exp(-cross_entropy)
    balance = alpha * target + (1 - alpha) * (1 - target)
    return (balance * missed**gamma * cross_entropy).mean()
