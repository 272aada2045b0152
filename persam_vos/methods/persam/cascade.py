"""Concepts and a frame go in; out come masks, by PerSAM's three decoder passes (arXiv 2305.03048, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from persam_vos.masks import box_xyxy
from persam_vos.methods.persam.concept import Concept
from persam_vos.methods.persam.similarity import attention_bias, location_prior
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.prompts import Candidates, Guidance, Prompts
from persam_vos.settings.common import PersamSettings


@dataclass(frozen=True, slots=True)
class MaskPrediction:
    """One mask per object: float N x 256 x 256 logits over the padded square, and float N predicted IoUs."""

    logits: Tensor
    predicted_iou: Tensor


class Cascade:
    """The passes that PerSAM and PerSAM-F share, on video and on photos: one guided by the prior, two refinements."""

    def __init__(self, decoder: Decoder, settings: PersamSettings, blocked: Tensor | None = None) -> None:
        """Take SAM's decoder; ``blocked`` is where no mask may lie, see ``Decoder.decode``."""
        self._decoder = decoder
        self._settings = settings
        self._blocked = blocked

    def prompts(self, embedding: ImageEmbedding, similarity: Tensor) -> Prompts:
        """Return the points of the location prior.

        Args:
            embedding: Of the frame.
            similarity: float, N x h x w over the padded square: of each concept with the frame.
        """
        points, labels = location_prior(
            similarity,
            embedding.geometry,
            positive=self._settings.positive_points,
            negative=self._settings.negative_points,
        )
        return Prompts(points, labels)

    def first_pass(
        self, embedding: ImageEmbedding, similarity: Tensor, concepts: Sequence[Concept], prompts: Prompts
    ) -> Candidates:
        """Decode the prompts with PerSAM's guidance (section 3.2)."""
        return self._decoder.decode(
            embedding, prompts, self._guidance(embedding, similarity, concepts), blocked=self._blocked
        )

    def refine(self, embedding: ImageEmbedding, prompts: Prompts, logits: Tensor, *, boxed: Tensor) -> MaskPrediction:
        """Refine twice (section 3.2, "cascaded post-refinement").

        Args:
            embedding: Of the frame.
            prompts: As in the first pass, without any box.
            logits: float, N x 256 x 256: the candidates chosen from the first pass.
            boxed: bool, N: whether the tight box joins the first refinement already.
        """
        refined = self._refine_once(embedding, prompts, logits, boxed)
        return self._refine_once(embedding, prompts, refined.logits, torch.ones_like(boxed))

    def _refine_once(
        self, embedding: ImageEmbedding, prompts: Prompts, logits: Tensor, boxed: Tensor
    ) -> MaskPrediction:
        """Decode once more with the last logits and, for the objects ``boxed``, their tight box."""
        boxes = [box_xyxy(mask) for mask in (embedding.geometry.to_frame(logits) > 0).cpu().numpy()]
        known = boxed & torch.tensor([box is not None for box in boxes], device=logits.device)
        corners = torch.tensor([box or (0, 0, 0, 0) for box in boxes], device=logits.device).float()
        candidates = self._decoder.decode(
            embedding, prompts.with_mask(logits).with_boxes(corners, known), blocked=self._blocked
        )
        index = candidates.predicted_iou[:, 1:].argmax(dim=1) + 1
        rows = torch.arange(len(index), device=index.device)
        return MaskPrediction(candidates.logits[rows, index], candidates.predicted_iou[rows, index])

    def _guidance(self, embedding: ImageEmbedding, similarity: Tensor, concepts: Sequence[Concept]) -> Guidance | None:
        kind = self._settings.guidance
        if kind == "none":
            return None
        bias = attention_bias(similarity, embedding.geometry, alignment=self._settings.guidance_alignment)
        return Guidance(
            attention=bias if kind in ("attention", "both") else None,
            target=torch.stack([c.embedding for c in concepts]) if kind in ("prompting", "both") else None,
        )


def mix(candidates: Candidates, weights: Tensor) -> Tensor:
    """Mix the nested candidates of N objects by PerSAM-F's weights, float N x 3 (equation 8): N x 256 x 256."""
    return torch.einsum("nk,nkhw->nhw", weights, candidates.logits[:, 1:])
