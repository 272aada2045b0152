"""Masks and concepts become a verdict: whether each mask shows its object, or the object is absent."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from persam_vos.methods.persam.concept import Concept, mask_cells
from persam_vos.sam.encoder import ImageEmbedding


class ConceptPresence:
    """Tests masks by the target features, since SAM answers every prompt, also for an absent object."""

    def __init__(
        self,
        concepts: Sequence[Concept],
        object_ids: Sequence[int],
        similarity: Tensor,
        embedding: ImageEmbedding,
        *,
        presence: float,
        rival_margin: float,
        area_tie_break: float,
    ) -> None:
        """Say what a mask needs.

        Args:
            concepts: N.
            object_ids: N ids.
            similarity: float, N x h x w over the padded square: of each concept with the frame.
            embedding: The frame's.
            presence: Share of the annotation's similarity, 0..1, that a mask needs; 0 accepts every mask.
            rival_margin: Cosine similarity by which another object must be more similar for the mask to be its.
            area_tie_break: Cosine similarity that a wrong mask of the whole frame counts as less: among equally wrong
                masks, the largest leaves first.
        """
        self._object_ids = object_ids
        self._similarity = similarity
        self._embedding = embedding
        self._presence = presence
        self._rival_margin = rival_margin
        self._area_tie_break = area_tie_break
        self._annotated = torch.tensor([concept.similarity for concept in concepts], device=similarity.device)

    def surplus(self, label_map: Tensor, changed: Sequence[int]) -> Tensor:  # noqa: ARG002
        """Rate the masks; see ``PresenceTest``. Masks are exclusive: none is judged by what another object won."""
        count, similarity = len(self._object_ids), self._similarity
        if not self._presence:
            return similarity.new_zeros(count)
        masks = torch.stack([label_map == object_id for object_id in self._object_ids])
        found = masks.flatten(1).any(dim=1)
        cells = torch.zeros_like(similarity, dtype=torch.bool)
        for i in found.nonzero()[:, 0].tolist():
            cells[i] = mask_cells(masks[i], self._embedding)
        flat = cells.flatten(1).float()
        # by_object[i, k]: similarity of the mask of object i to object k
        by_object = flat @ similarity.flatten(1).T / flat.sum(dim=1).clamp(min=1)[:, None]
        # With one object there is no rival: the maximum is its own similarity.
        needed = torch.maximum(self._presence * self._annotated, by_object.amax(dim=1) - self._rival_margin)
        surplus = torch.where(found, by_object.diagonal() - needed, 0.0)
        return torch.where(surplus < 0, surplus - self._area_tie_break * masks.float().mean(dim=(1, 2)), surplus)
