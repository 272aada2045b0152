"""PerSAM and PerSAM-F on photos, as published: references go in, then each photo; its ``Proposal`` comes out.

See arXiv 2305.03048, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.media.frame import Frame
from persam_vos.methods.base import Proposal, Reference, blocked_samples
from persam_vos.methods.calibrations import PERSAM_PHOTOS
from persam_vos.methods.competition import mean_similarity
from persam_vos.methods.persam.cascade import Cascade, mix
from persam_vos.methods.persam.choice import choose_candidate
from persam_vos.methods.persam.concept import Concept, learn_concept
from persam_vos.methods.persam.mask_weights import learn_mask_weights
from persam_vos.methods.persam.similarity import similarity_maps
from persam_vos.methods.score import Evidence
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import MIN_MASK_LOGIT, masks_to_patches
from persam_vos.settings.photos import PhotoSettings

# Similarity of cells where nothing is searched: the least there is.
_HIDDEN_SIMILARITY = -1.0


class PersamPhotos:
    """PerSAM and PerSAM-F: a target feature, its similarity to a photo, and the cascade of decoder passes.

    Attributes:
        reference_similarity: See ``PhotoMethod``.
        instance_size: See ``PhotoMethod``: as published, each photo is looked at once.
    """

    instance_size: float | None = None

    def __init__(self, decoder: Decoder, settings: PhotoSettings) -> None:
        self._decoder = decoder
        self._settings = settings
        self._concepts: list[Concept] = []
        self._weights: Tensor | None = None
        self.reference_similarity = torch.empty(0)

    def learn(self, references: Sequence[Reference], object_ids: Sequence[int], /) -> None:
        """Learn the target features, and PerSAM-F's mask weights; see ``PhotoMethod``."""
        masks = [reference.masks(object_ids) for reference in references]
        self._concepts = [
            learn_concept(
                [(r.embedding, m[i]) for r, m in zip(references, masks, strict=True) if m[i].any()],
                self._settings.target,
                share=self._settings.target_cell_share,
            )
            for i in range(len(object_ids))
        ]
        self.reference_similarity = torch.tensor(
            [concept.similarity for concept in self._concepts], device=masks[0].device
        )
        self._weights = self._learn_weights(references, masks) if self._settings.method == "persam-f" else None

    def look(
        self,
        frame: Frame,  # noqa: ARG002 - its embedding says it all
        embedding: ImageEmbedding,
        *,
        occupied: Tensor | None = None,
        ignored: Tensor | None = None,
    ) -> Proposal:
        """Prompt with the location prior, then refine twice; see ``PhotoMethod``."""
        geometry = embedding.geometry
        similarity = similarity_maps(self._concepts, embedding)
        for hidden in (occupied, ignored):
            if hidden is not None:
                similarity = similarity.masked_fill(
                    geometry.to_grid(hidden[None], embedding.cells) > 0.5, _HIDDEN_SIMILARITY
                )
        blocked = blocked_samples(occupied, geometry)
        cascade = Cascade(self._decoder, self._settings, blocked)
        prompts = cascade.prompts(embedding, similarity)
        first = cascade.first_pass(embedding, similarity, self._concepts, prompts)
        if self._weights is not None:
            logits, boxed = mix(first, self._weights), True
        else:
            logits, boxed = (
                choose_candidate(first, geometry, self._settings.first_pass),
                self._settings.refinement_box == "both",
            )
        everything = torch.ones(len(similarity), dtype=torch.bool, device=similarity.device)
        best = cascade.refine(embedding, prompts, logits, boxed=everything & boxed)
        rows, columns = geometry.valid(embedding.cells)
        shown = similarity[:, :rows, :columns]
        place = _around_most_similar(shown[0]) if self._settings.all_instances else None
        patches = masks_to_patches(best.logits, geometry, MIN_MASK_LOGIT)
        return Proposal(patches, partial(mean_similarity, shown), partial(self._evidence, best.predicted_iou), place)

    def settle(
        self,
        label_map: Tensor,  # noqa: ARG002
        object_ids: Sequence[int],  # noqa: ARG002
        similarity: Tensor,
        proposal: Proposal,  # noqa: ARG002
        embedding: ImageEmbedding,  # noqa: ARG002
        /,
    ) -> Tensor:
        """Leave masks as they are, as published; see ``PhotoMethod``."""
        return similarity

    def single_instance(self, mask: Tensor, /) -> Tensor:
        """Leave the mask as it is, as published; see ``PhotoMethod``."""
        return mask

    def _evidence(self, predicted_iou: Tensor, similarity: Tensor) -> Evidence:
        """Return what the masks are judged by; see ``Proposal.evidence_of``."""
        features = {"predicted_iou": predicted_iou, "similarity_share": similarity / self.reference_similarity}
        return Evidence.of(features, PERSAM_PHOTOS, missing=similarity.isnan())

    def _learn_weights(self, references: Sequence[Reference], masks: Sequence[Tensor]) -> Tensor:
        """Learn the mask weights of each object from the pixels of all references that show it: N x 3."""
        cascade = Cascade(self._decoder, self._settings)
        answers = []
        for reference in references:
            similarity = similarity_maps(self._concepts, reference.embedding)
            prompts = cascade.prompts(reference.embedding, similarity)
            answers.append(cascade.first_pass(reference.embedding, similarity, self._concepts, prompts).logits[:, 1:])
        weights = []
        for i in range(len(self._concepts)):
            shown = [k for k, mask in enumerate(masks) if mask[i].any()]
            samples = [_samples(references[k].embedding.geometry, answers[k][i], masks[k][i]) for k in shown]
            logits, annotated = (torch.cat(each, dim=-1) for each in zip(*samples, strict=True))
            weights.append(
                learn_mask_weights(
                    logits,
                    annotated,
                    steps=self._settings.finetune_steps,
                    learning_rate=self._settings.finetune_learning_rate,
                )
            )
        return torch.stack(weights)


def _around_most_similar(similarity: Tensor) -> Tensor:
    """Return the component around the most similar cell, bool rows x columns, above the middle of maximum and mean."""
    known = similarity[similarity > _HIDDEN_SIMILARITY]
    if not len(known):
        return torch.zeros_like(similarity, dtype=torch.bool)
    alike = (similarity > (similarity.max() + known.mean()) / 2).cpu().numpy()
    _, parts = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
    row, column = divmod(int(similarity.argmax()), similarity.shape[1])
    around = torch.from_numpy(parts == parts[row, column]).to(similarity.device)
    around[row, column] = True
    return around


def _samples(geometry: Geometry, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the candidates, 3 x n, and the share of the annotation, n, at the decoder's samples of the picture.

    The published script learns from every pixel of the photo, between which the candidates are interpolated: of a
    photo of 12 megapixels, two hundred times as many numbers that say the same.
    """
    rows, columns = geometry.valid(logits.shape[-1])
    annotated = geometry.to_grid(mask[None], logits.shape[-1])[0]
    return logits[:, :rows, :columns].flatten(1), annotated[:rows, :columns].flatten()
