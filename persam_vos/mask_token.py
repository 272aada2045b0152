"""A mask token of the object's own, learnt on the annotated frame: what the decoder's answer lacks there."""

from __future__ import annotations

import importlib
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from persam_vos.beforehand import begin

# Keeps the token small, for features of mean square 1 beside the mean loss of a sample. On nine sequences twice as much
# gains about as much; with a fifth, one of them falls by twelve points.
_REGULARISATION = 0.05
# Of the loudest number, what the quietest is taken for.
_QUIETEST = 0.01

Vector = npt.NDArray[np.float64]


def get_ready() -> None:
    """Begin to import what learning needs: it takes a third of a second, in which the first frame is encoded."""
    begin("import", partial(importlib.import_module, "scipy.optimize"))


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
    # Only here; see ``get_ready``.
    from scipy import optimize
    from scipy.special import expit

    inputs = torch.cat([features, torch.ones_like(features[:1])]).T.double().cpu().numpy()
    size = np.sqrt((inputs**2).mean(axis=0))
    # A number that is silent here must not be given a weight that shouts when it speaks up in a later frame.
    scale = size.clip(min=_QUIETEST * size.max())
    inputs /= scale
    offset, target = (each.double().cpu().numpy() for each in (logits, mask))

    def loss(token: Vector) -> tuple[float, Vector]:
        answer = offset + inputs @ token
        value = np.mean(np.logaddexp(0, answer) - target * answer) + 0.5 * _REGULARISATION * token @ token
        return float(value), inputs.T @ (expit(answer) - target) / len(target) + _REGULARISATION * token

    def curvature(token: Vector) -> npt.NDArray[np.float64]:
        probability = expit(offset + inputs @ token)
        weighted = inputs * (probability * (1 - probability) / len(target))[:, None]
        result: npt.NDArray[np.float64] = inputs.T @ weighted + _REGULARISATION * np.eye(len(token))
        return result

    found = optimize.minimize(loss, np.zeros(inputs.shape[1]), jac=True, hess=curvature, method="trust-exact")
    return torch.from_numpy(found.x / scale).float().to(features.device)
