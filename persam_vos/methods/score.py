"""What tells good masks from bad ones goes in; out comes the score of each mask: its predicted IoU with the truth.

The network's own estimate of its IoU is high for a clean outline of the wrong thing. The score also asks how the mask
came about and what it looks like. It is a logistic function of a few numbers, fitted on masks whose truth is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Calibration:
    """The function that turns features into a predicted IoU: ``sigmoid(constant + sum of weight x feature)``.

    Attributes:
        constant: Logit where all features are 0.
        weights: Of each feature, by its name.
    """

    constant: float
    weights: Mapping[str, float]

    def predicted_j(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the IoU, float, N in 0..1, of masks with these features, float N each; NaN where a feature is."""
        logits = [weight * features[name].double() for name, weight in self.weights.items()]
        return (self.constant + torch.stack(logits).sum(dim=0)).sigmoid().float()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What N masks are judged by.

    Attributes:
        features: float, N each, by name; NaN for an object without a mask. There may be more than the score needs.
        calibration: Of the method that made the masks.
    """

    features: Mapping[str, Tensor]
    calibration: Calibration

    @classmethod
    def of(cls, features: Mapping[str, Tensor], calibration: Calibration, *, missing: Tensor) -> Evidence:
        """Take features, float N each, of which those of the objects ``missing``, bool N, mean nothing."""
        return cls({name: each.masked_fill(missing, torch.nan) for name, each in features.items()}, calibration)

    @property
    def score(self) -> Tensor:
        """The predicted IoU of each mask with the truth: float, N in 0..1; 0 without a mask."""
        return self.calibration.predicted_j(self.features).nan_to_num(0.0)
