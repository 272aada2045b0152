"""Cells of an annotated frame and of a second view of its objects go in; out come the moments that are learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from persam_vos.methods.memory.ridge import Basis, Moments


@dataclass(frozen=True, slots=True)
class SecondView:
    """Cells of the annotated objects in a second picture.

    The frame's own cells and these are learnt from together. Only the ridge regression does so: with them in global
    matching as well, J&F falls by 0.4 on plain sequences, and in the similarity that decides presence, by 5 where
    objects come back.

    Attributes:
        features: float32 or bfloat16, cells x D.
        coverage: float, N x cells in 0..1; an object may cover none.
        share: Of the moments of both pictures in those of the annotated frame, 0..1; the rest is the frame's alone.
    """

    features: Tensor
    coverage: Tensor
    share: float


@dataclass(frozen=True, slots=True)
class AnnotatedCells:
    """The cells of an annotated frame.

    Attributes:
        features: float32 or bfloat16, cells x D.
        coverage: float, N x cells in 0..1, of each object.
        view: More cells of the annotated objects, for the ridge regression only; None for none.
    """

    features: Tensor
    coverage: Tensor
    view: SecondView | None = None

    def moments(self, basis: Basis) -> tuple[Moments, Moments]:
        """Return the moments of the frame with its second view, and those of the frame alone."""
        inputs = basis.inputs(self.features)
        of_frame = Moments.of(inputs, self.coverage)
        if self.view is None:
            return of_frame, of_frame
        both = torch.cat([inputs, basis.inputs(self.view.features)])
        of_both = Moments.of(both, torch.cat([self.coverage, self.view.coverage], dim=1))
        return of_frame.lerp(of_both, self.view.share), of_frame
