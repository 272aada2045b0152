"""The methods ``persam`` and ``persam-f``: location prior and cascaded refinement, each frame anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import LabelMap, Mask, anchor_point, grown_box
from persam_vos.media.frame import Frame
from persam_vos.methods.base import Segmentation
from persam_vos.methods.persam.cascade import Cascade, MaskPrediction, mix
from persam_vos.methods.persam.choice import choose
from persam_vos.methods.persam.concept import Concept, learn_concept, mask_cells, update_concept
from persam_vos.methods.persam.mask_weights import learn_mask_weights
from persam_vos.methods.persam.recognition import exclusive_label_map, recognise
from persam_vos.methods.persam.similarity import similarity_maps
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.prompts import PADDING, POSITIVE, Candidates, Prompts
from persam_vos.settings.video import TrackerSettings

# A frame may change the target feature only if the decoder trusts its mask and the mask is as like the target as
# this share of what the annotation was.
_UPDATE_MIN_IOU = 0.8
_UPDATE_MIN_SIMILARITY = 0.8


@dataclass(frozen=True, slots=True)
class ObjectTrack:
    """What is known of one object between two frames.

    Attributes:
        object_id: Its value in the label map.
        concept: What it looks like.
        mask_weights: float, 3, learnt by PerSAM-F; None for PerSAM.
        last_mask: bool, H x W, where it was last seen.
        seen: Whether that was in the last frame.
    """

    object_id: int
    concept: Concept
    mask_weights: Tensor | None
    last_mask: Mask
    seen: bool


class PersamVideo:
    """PerSAM and PerSAM-F (arXiv 2305.03048) on the objects of one video."""

    def __init__(self, decoder: Decoder, settings: TrackerSettings) -> None:
        self._cascade = Cascade(decoder, settings)
        self._settings = settings
        self._tracks: list[ObjectTrack] = []

    def start(
        self, _: Frame, embedding: ImageEmbedding, label_map: LabelMap, object_ids: Sequence[int], /
    ) -> Segmentation:
        """Learn the objects of the annotated frame."""
        self._tracks = [self._learn(embedding, object_id, label_map == object_id) for object_id in object_ids]
        if self._settings.method == "persam-f":
            self._tracks = self._finetune(embedding)
        return self._found(
            label_map, torch.ones(len(self._tracks)), similarity_maps(self._concepts, embedding), embedding
        )

    def step(self, _: Frame, embedding: ImageEmbedding, /) -> Segmentation:
        """Find the objects in the next frame."""
        similarity = similarity_maps(self._concepts, embedding)
        best = self._segment(embedding, similarity)
        label_map = self._compete(embedding.geometry.to_frame(best.logits), similarity, embedding)
        found = self._found(label_map, best.predicted_iou, similarity, embedding)
        self._remember(found, embedding)
        return found

    @property
    def _concepts(self) -> list[Concept]:
        return [track.concept for track in self._tracks]

    def _learn(self, embedding: ImageEmbedding, object_id: int, mask: Mask) -> ObjectTrack:
        on_device = torch.from_numpy(mask).to(embedding.features.device)
        concept = learn_concept([(embedding, on_device)], self._settings.target)
        return ObjectTrack(object_id, concept, None, mask, seen=True)

    def _finetune(self, embedding: ImageEmbedding) -> list[ObjectTrack]:
        similarity = similarity_maps(self._concepts, embedding)
        candidates = self._first_pass(embedding, similarity, self._prompts(embedding, similarity))
        learnt = []
        for track, logits in zip(self._tracks, candidates.logits, strict=True):
            weights = learn_mask_weights(
                embedding.geometry.to_frame(logits[1:]).flatten(1),
                torch.from_numpy(track.last_mask).to(logits.device).flatten(),
                steps=self._settings.finetune_steps,
                learning_rate=self._settings.finetune_learning_rate,
            )
            learnt.append(replace(track, mask_weights=weights))
        return learnt

    def _segment(self, embedding: ImageEmbedding, similarity: Tensor) -> MaskPrediction:
        """Prompt, then refine twice."""
        prompts = self._prompts(embedding, similarity)
        first = self._first_pass(embedding, similarity, prompts)
        seen = self._seen(similarity.device)
        everything = torch.ones_like(seen)
        if self._settings.method == "persam-f":
            weights = torch.stack([t.mask_weights for t in self._tracks if t.mask_weights is not None])
            return self._cascade.refine(embedding, prompts, mix(first, weights), boxed=everything)
        # An object that is being looked for had no box in the first pass, so it gets one in the second.
        boxed = everything if self._settings.refinement_box == "both" else ~seen
        return self._cascade.refine(embedding, prompts, self._choose(embedding, first), boxed=boxed)

    def _compete(self, logits: Tensor, similarity: Tensor, embedding: ImageEmbedding) -> LabelMap:
        """Share the pixels out among the objects that are there.

        The object whose mask is least like it leaves, and the others compete anew for what it had won, until no mask
        shows something else than its object.
        """
        object_ids = [track.object_id for track in self._tracks]
        while True:
            label_map = exclusive_label_map(logits, object_ids)
            if not self._settings.presence:
                return label_map
            masks = torch.from_numpy(np.stack([label_map == i for i in object_ids])).to(logits.device)
            surplus = recognise(masks, self._concepts, similarity, embedding, self._settings.presence)
            # Of two that are equally wrong, the one that took more has more to give back.
            worst = int((surplus - 1e-4 * masks.float().mean(dim=(1, 2))).argmin())
            if float(surplus[worst]) >= 0:
                return label_map
            logits[worst] = -torch.inf

    def _seen(self, device: torch.device) -> Tensor:
        return torch.tensor([track.seen for track in self._tracks], device=device)

    def _prompts(self, embedding: ImageEmbedding, similarity: Tensor) -> Prompts:
        """Points of the location prior, and one on the object as it was last seen."""
        prompts = self._cascade.prompts(embedding, similarity)
        if self._settings.anchor == "none":
            return prompts
        middle = self._settings.anchor == "box_centre"
        anchors = torch.tensor(
            [anchor_point(track.last_mask, middle=middle) for track in self._tracks], device=similarity.device
        )
        kinds = torch.where(self._seen(similarity.device), POSITIVE, PADDING)
        return prompts.with_points(anchors[:, None].float(), kinds[:, None])

    def _first_pass(self, embedding: ImageEmbedding, similarity: Tensor, prompts: Prompts) -> Candidates:
        margin = self._settings.box_margin
        boxes = [grown_box(track.last_mask, margin) for track in self._tracks]
        prompts = prompts.with_boxes(torch.tensor(boxes, device=similarity.device), self._seen(similarity.device))
        return self._cascade.first_pass(embedding, similarity, self._concepts, prompts)

    def _choose(self, embedding: ImageEmbedding, first: Candidates) -> Tensor:
        last = torch.from_numpy(np.stack([track.last_mask for track in self._tracks])).to(first.logits.device)
        return choose(
            first,
            embedding.geometry,
            rule=self._settings.first_pass,
            last=last,
            seen=self._seen(first.logits.device),
        )

    def _found(
        self, label_map: LabelMap, predicted_iou: Tensor, similarity: Tensor, embedding: ImageEmbedding
    ) -> Segmentation:
        mask_similarity = torch.full((len(self._tracks),), torch.nan)
        for i, (track, cosine) in enumerate(zip(self._tracks, similarity, strict=True)):
            mask = torch.from_numpy(label_map == track.object_id)
            if mask.any():
                mask_similarity[i] = cosine[mask_cells(mask.to(cosine.device), embedding)].mean()
        return Segmentation(label_map, predicted_iou, mask_similarity)

    def _remember(self, found: Segmentation, embedding: ImageEmbedding) -> None:
        tracks = []
        for track, score, mask_similarity in zip(
            self._tracks, found.predicted_iou.tolist(), found.similarity.tolist(), strict=True
        ):
            mask = found.label_map == track.object_id
            if not mask.any():
                tracks.append(replace(track, seen=False))
                continue
            concept = track.concept
            sure = score >= _UPDATE_MIN_IOU and mask_similarity >= _UPDATE_MIN_SIMILARITY * concept.similarity
            if self._settings.update_target and sure:
                on_device = torch.from_numpy(mask).to(embedding.features.device)
                newer = learn_concept([(embedding, on_device)], self._settings.target)
                concept = update_concept(concept, newer, self._settings.update_target)
            tracks.append(replace(track, concept=concept, last_mask=mask, seen=True))
        self._tracks = tracks
