"""The decoder's answer to an annotated frame goes in; out comes a mask token that corrects it on other frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

# Least root mean square that a feature is scaled by, as a share of the largest feature's.
_MIN_RELATIVE_RMS = 0.01
MASK_TOKEN_IMPORTS = ("scipy.optimize",)
"""Modules that learning a mask token imports when it is first needed; importing them earlier hides their time."""
_Numbers = npt.NDArray[np.float64]


def learn_mask_token(features: Tensor, logits: Tensor, mask: Tensor, *, regularisation: float) -> Tensor:
    """Learn what to add to the decoder's answer for one object.

    SAM's masks are products of a token with the upscaled embedding, 32 numbers for each of its samples. One more token
    and a constant are fitted to what separates the answer from the annotation: a logistic regression, regularised
    towards adding nothing. PerSAM-F (arXiv 2305.03048, section 3.3) learns two numbers from the answer
    alone; these 33 see what SAM saw, and take a fraction of a second.

    Args:
        features: float, C x n: the upscaled embedding at n samples.
        logits: float, n: the decoder's answer.
        mask: float, n in 0..1: the annotation.
        regularisation: Weight of the squared token, for features of mean square 1, beside the mean loss of a sample.

    Returns:
        float, C + 1: the token, and the constant last.
    """
    # Only here: the import takes a third of a second; see ``MASK_TOKEN_IMPORTS``.
    from scipy import optimize

    inputs = torch.cat([features, torch.ones_like(features[:1])]).T.double().cpu()
    size = inputs.square().mean(dim=0).sqrt()
    # A feature that is nearly 0 here must not get a weight that dominates when the feature grows in a later frame.
    scale = size.clamp(min=_MIN_RELATIVE_RMS * float(size.max()))
    inputs /= scale
    offset, target = logits.double().cpu(), mask.double().cpu()

    # PyTorch's products: NumPy's threads wait for each other at full speed, and the encoder needs the cores.
    def loss(token: _Numbers) -> tuple[float, _Numbers]:
        weights = torch.from_numpy(token)
        answer = offset + inputs @ weights
        value = functional.binary_cross_entropy_with_logits(answer, target) + 0.5 * regularisation * weights @ weights
        slope = inputs.T @ (answer.sigmoid() - target) / len(target) + regularisation * weights
        return float(value), slope.numpy()

    def curvature(token: _Numbers) -> _Numbers:
        probability = (offset + inputs @ torch.from_numpy(token)).sigmoid()
        weighted = inputs * (probability * (1 - probability) / len(target))[:, None]
        return (inputs.T @ weighted + regularisation * torch.eye(len(token))).numpy()

    found = optimize.minimize(loss, np.zeros(inputs.shape[1]), jac=True, hess=curvature, method="trust-exact")
    return (torch.from_numpy(found.x) / scale).float().to(features.device)
