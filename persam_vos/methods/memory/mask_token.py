"""A mask token of the object's own, learnt on the annotated frame: what the decoder's answer lacks there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

# Keeps the token small, for features of mean square 1 beside the mean loss of a sample. On nine sequences twice as much
# gains about as much; with a fifth, one of them falls by twelve points.
_REGULARISATION = 0.05
# Of the loudest number, what the quietest is taken for.
_QUIETEST = 0.01
_Numbers = npt.NDArray[np.float64]


def learn_mask_token(features: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
    """Learn what to add to the decoder's answer for one object.

    SAM's masks are products of a token with the upscaled embedding, 32 numbers for each of its samples. One more token
    and a constant are fitted to what separates the answer from the annotation: a logistic regression, regularised
    towards adding nothing. PerSAM-F (arXiv 2305.03048, section 3.3) learns two numbers from the answer
    alone; these 33 see what SAM saw, and take a fraction of a second.

    Args:
        features: float, C x n: the upscaled embedding at n samples.
        logits: float, n: the decoder's answer.
        mask: float, n in 0..1: the annotation.

    Returns:
        float, C + 1: the token, and the constant last.
    """
    # Only here: the import takes a third of a second; see ``Engine.warm_up``.
    from scipy import optimize

    inputs = torch.cat([features, torch.ones_like(features[:1])]).T.double().cpu()
    size = inputs.square().mean(dim=0).sqrt()
    # A number that is silent here must not be given a weight that shouts when it speaks up in a later frame.
    scale = size.clamp(min=_QUIETEST * float(size.max()))
    inputs /= scale
    offset, target = logits.double().cpu(), mask.double().cpu()

    # PyTorch's products: NumPy's threads wait for each other at full speed, and the encoder needs the cores.
    def loss(token: _Numbers) -> tuple[float, _Numbers]:
        weights = torch.from_numpy(token)
        answer = offset + inputs @ weights
        value = functional.binary_cross_entropy_with_logits(answer, target) + 0.5 * _REGULARISATION * weights @ weights
        slope = inputs.T @ (answer.sigmoid() - target) / len(target) + _REGULARISATION * weights
        return float(value), slope.numpy()

    def curvature(token: _Numbers) -> _Numbers:
        probability = (offset + inputs @ torch.from_numpy(token)).sigmoid()
        weighted = inputs * (probability * (1 - probability) / len(target))[:, None]
        return (inputs.T @ weighted + _REGULARISATION * torch.eye(len(token))).numpy()

    found = optimize.minimize(loss, np.zeros(inputs.shape[1]), jac=True, hess=curvature, method="trust-exact")
    return (torch.from_numpy(found.x) / scale).float().to(features.device)
