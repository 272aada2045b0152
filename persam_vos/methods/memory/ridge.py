"""Cell features and coverage become a discriminative head: a ridge regression to +1 on the object, -1 elsewhere.

The closed form on frozen features is that of Bertinetto et al., arXiv 1805.08136.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Cells that either class of a regression has at least: a mask may cover the whole frame.
_MIN_CLASS_CELLS = 1e-3


@dataclass(frozen=True, slots=True)
class Basis:
    """Directions onto which cell features are projected; fixed by the annotated frame.

    Attributes:
        directions: float32 or bfloat16, D x d, of unit length, the principal ones first.
        key_dimensions: How many of them make a key.
    """

    directions: Tensor
    key_dimensions: int

    @classmethod
    def of(cls, features: Tensor, dimensions: int, key_dimensions: int) -> Basis:
        """Return the principal directions of cell features.

        Args:
            features: float32 or bfloat16, cells x D; the directions are of the same type.
            dimensions: Most directions that are kept.
            key_dimensions: How many of them make a key.
        """
        dtype, features = features.dtype, features.float()
        moments = (features.T @ features).double()
        # Of many equal eigenvalues, as made-up features have, LAPACK may fail to tell the directions apart.
        ramp = 1e-9 * moments.trace() * torch.linspace(1, 2, len(moments), dtype=moments.dtype, device=moments.device)
        directions = torch.linalg.eigh(moments + ramp.diag()).eigenvectors.flip(1)
        return cls(directions[:, :dimensions].to(dtype).contiguous(), key_dimensions)

    @property
    def key_directions(self) -> Tensor:
        """The directions that make a key."""
        return self.directions[:, : self.key_dimensions]

    def inputs(self, features: Tensor) -> Tensor:
        """Project cell features, cells x D, of the same type, and add a constant: float, cells x (d + 1)."""
        inputs = features.new_ones(len(features), self.directions.shape[1] + 1, dtype=torch.float32)
        inputs[:, :-1] = features @ self.directions
        return inputs


@dataclass(frozen=True, slots=True)
class Moments:
    """Class-balanced moments of the cells of N objects, each against the rest of the frame.

    Attributes:
        second: float, N x (d + 1) x (d + 1): mean of x x^T over the object's cells, plus that over all others.
        first: float, N x (d + 1): mean of x over the object's cells, minus that over all others.
    """

    second: Tensor
    first: Tensor

    @classmethod
    def of(cls, inputs: Tensor, weights: Tensor) -> Moments:
        """Collect the moments of one frame.

        Args:
            inputs: float, cells x (d + 1).
            weights: float, N x cells in 0..1: coverage of each object; the rest of a cell counts as background, so that
                objects are each other's negatives.
        """
        # The sum over the frame serves all objects; each object adds only its own few cells.
        whole, total = inputs.T @ inputs, inputs.sum(dim=0)
        second, first = [], []
        for weight in weights:
            # Sum over the smaller class: subtracting nearly the whole frame would leave only rounding errors.
            large = float(weight.sum()) > len(inputs) / 2
            part = (1 - weight).clamp(min=0) if large else weight
            own = part.nonzero()[:, 0]
            weighted = inputs[own] * part[own, None]
            inner, summed, count = weighted.T @ inputs[own], weighted.sum(dim=0), part.sum()
            others = (len(inputs) - count).clamp(min=_MIN_CLASS_CELLS)
            count = count.clamp(min=_MIN_CLASS_CELLS)
            second.append(inner / count + (whole - inner) / others)
            difference = summed / count - (total - summed) / others
            first.append(-difference if large else difference)
        return cls(torch.stack(second), torch.stack(first))

    def lerp(self, newer: Moments, rate: Tensor | float) -> Moments:
        """Interpolate towards newer moments by a rate, a number or float N."""
        share = torch.as_tensor(rate, device=self.first.device).expand(len(self.first))
        return Moments(
            torch.lerp(self.second, newer.second, share[:, None, None]),
            torch.lerp(self.first, newer.first, share[:, None]),
        )

    def solve(self, regularisation: float) -> Tensor:
        """Return the weights of the ridge regression, float N x (d + 1), the constant's last."""
        damped = self.second + regularisation * torch.eye(self.second.shape[-1], device=self.second.device)
        return torch.cholesky_solve(self.first[..., None], torch.linalg.cholesky(damped))[..., 0]
