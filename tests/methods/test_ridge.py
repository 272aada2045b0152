"""The ridge regression and its moments, against least squares."""

from __future__ import annotations

import numpy as np
import torch

from persam_vos.methods.memory.ridge import Moments


def weighted_cells(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(50, 6, generator=generator), torch.rand(3, 50, generator=generator).clamp(min=0.3) - 0.3


def test_the_ridge_is_the_class_balanced_least_squares_solution() -> None:
    inputs, weights = weighted_cells()
    ridge = Moments.of(inputs, weights).solve(0.1)

    for weight, found in zip(weights.double().numpy(), ridge, strict=True):
        # Each cell is a sample of the object by its share and of the rest by what remains, each class of weight 1.
        balance = np.concatenate([weight / weight.sum(), (1 - weight) / (1 - weight).sum()])
        x = np.concatenate([inputs.double().numpy()] * 2) * np.sqrt(balance)[:, None]
        y = np.repeat([1.0, -1.0], 50) * np.sqrt(balance)
        x, y = np.concatenate([x, np.sqrt(0.1) * np.eye(6)]), np.concatenate([y, np.zeros(6)])
        np.testing.assert_allclose(found, np.linalg.lstsq(x, y, rcond=None)[0], rtol=1e-3, atol=1e-4)


def test_objects_do_not_disturb_each_others_moments() -> None:
    inputs, weights = weighted_cells(1)
    together = Moments.of(inputs, weights)

    for i in range(3):
        alone = Moments.of(inputs, weights[i : i + 1])
        torch.testing.assert_close(together.second[i], alone.second[0])
        torch.testing.assert_close(together.first[i], alone.first[0])


def test_moments_are_means_over_both_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(50, 5, generator=generator)
    weights = torch.rand(3, 50, generator=generator) * torch.tensor([[0.1], [1.0], [1.0]])
    weights[2] = weights[2].clamp(min=0.8)

    moments = Moments.of(inputs, weights)

    for k, weight in enumerate(weights):
        inside, outside = weight / weight.sum(), (1 - weight) / (1 - weight).sum()
        torch.testing.assert_close(moments.first[k], (inside - outside) @ inputs, atol=1e-4, rtol=1e-4)
        second = (inputs * (inside + outside)[:, None]).T @ inputs
        torch.testing.assert_close(moments.second[k], second, atol=1e-4, rtol=1e-4)
