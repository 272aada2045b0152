"""The concept of the ``memory`` method: what tells each object from everything else, learnt while it is followed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Principal directions of the annotated frame's cells that are kept. 256 of 864 lose nothing of the ridge's accuracy and
# act as a regulariser: on nine sequences and three composites J&F is the same as with 384; with 192 it is 0.1 lower.
# 64 are as good as all for matching, and cost a tenth.
_RIDGE_DIMENSIONS = 256
_KEY_DIMENSIONS = 64
# Cells, at least, in either class of a regression: a mask may cover the whole frame.
_SOME = 1e-3


@dataclass(frozen=True, slots=True)
class Basis:
    """Directions onto which cell features are projected; fixed by the annotated frame.

    Attributes:
        directions: float32 or bfloat16, D x d, of unit length, the principal ones first.
    """

    directions: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Basis:
        """Take the principal directions of cell features, cells x D, float32 or bfloat16, which they will have too."""
        dtype, features = features.dtype, features.float()
        moments = (features.T @ features).double()
        # Of many equal eigenvalues, as made-up features have, LAPACK may fail to tell the directions apart.
        ramp = 1e-9 * moments.trace() * torch.linspace(1, 2, len(moments), dtype=moments.dtype, device=moments.device)
        directions = torch.linalg.eigh(moments + ramp.diag()).eigenvectors.flip(1)
        return cls(directions[:, :_RIDGE_DIMENSIONS].to(dtype).contiguous())

    @property
    def key_directions(self) -> Tensor:
        """Those of them that matching looks at."""
        return self.directions[:, :_KEY_DIMENSIONS]

    def inputs(self, features: Tensor) -> Tensor:
        """Project cell features, cells x D, of the same type, and add a constant: float, cells x (d + 1)."""
        inputs = features.new_ones(len(features), self.directions.shape[1] + 1, dtype=torch.float32)
        inputs[:, :-1] = features @ self.directions
        return inputs


@dataclass(frozen=True, slots=True)
class Moments:
    """Class-balanced second and first moments of the cells of N objects and of all that is not they.

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
            weights: float, N x cells in 0..1: share of each object; the rest of a cell speaks against the object, so
                that objects are each other's negatives.
        """
        # The frame's own sum serves all objects; what is added per object comes from its own few cells.
        whole, total = inputs.T @ inputs, inputs.sum(dim=0)
        second, first = [], []
        for weight in weights:
            # Summed over the smaller class: the little that is left of the frame by subtraction is rounding.
            large = float(weight.sum()) > len(inputs) / 2
            part = (1 - weight).clamp(min=0) if large else weight
            own = part.nonzero()[:, 0]
            weighted = inputs[own] * part[own, None]
            inner, summed, count = weighted.T @ inputs[own], weighted.sum(dim=0), part.sum()
            others = (len(inputs) - count).clamp(min=_SOME)
            count = count.clamp(min=_SOME)
            second.append(inner / count + (whole - inner) / others)
            difference = summed / count - (total - summed) / others
            first.append(-difference if large else difference)
        return cls(torch.stack(second), torch.stack(first))

    def lerp(self, newer: Moments, rate: Tensor | float) -> Moments:
        """Move towards newer moments by a share, a number or float N."""
        share = torch.as_tensor(rate, device=self.first.device).expand(len(self.first))
        return Moments(
            torch.lerp(self.second, newer.second, share[:, None, None]),
            torch.lerp(self.first, newer.first, share[:, None]),
        )

    def solve(self, regularisation: float) -> Tensor:
        """Return the ridge regression to +1 on the object and -1 elsewhere: float, N x (d + 1).

        The closed form of a discriminative head on frozen features, as in Bertinetto et al., arXiv 1805.08136.
        """
        damped = self.second + regularisation * torch.eye(self.second.shape[-1], device=self.second.device)
        return torch.cholesky_solve(self.first[..., None], torch.linalg.cholesky(damped))[..., 0]
