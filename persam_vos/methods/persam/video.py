"""PerSAM and PerSAM-F on video: the annotated frame goes in, then each frame; a ``Segmentation`` of each comes out.

Each frame is segmented anew by the target features; only box, anchor and agreement of candidates link it to the last
one. See arXiv 2305.03048, section 3.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import LabelMap, Mask, anchor_point, grown_box
from persam_vos.media.frame import Frame
from persam_vos.methods.base import Segmentation
from persam_vos.methods.calibrations import PERSAM_VIDEO
from persam_vos.methods.competition import hard_argmax, resolve_overlaps
from persam_vos.methods.persam.cascade import Cascade, MaskPrediction, mix
from persam_vos.methods.persam.choice import choose_candidate
from persam_vos.methods.persam.concept import Concept, learn_concept, mask_cells, update_concept
from persam_vos.methods.persam.mask_weights import learn_mask_weights
from persam_vos.methods.persam.presence import ConceptPresence
from persam_vos.methods.persam.similarity import similarity_maps
from persam_vos.methods.score import Evidence
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.patches import Patch
from persam_vos.sam.prompts import PADDING, POSITIVE, Candidates, Prompts
from persam_vos.sam.regions import Region
from persam_vos.settings.video import TrackerSettings


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
    """Follows objects by their target features."""

    def __init__(self, decoder: Decoder, settings: TrackerSettings) -> None:
        self._cascade = Cascade(decoder, settings)
        self._settings = settings

    def start(
        self,
        frame: Frame,  # noqa: ARG002 - its embedding says it all
        embedding: ImageEmbedding,
        label_map: LabelMap,
        object_ids: Sequence[int],
        /,
    ) -> tuple[PersamTracking, Segmentation]:
        """Learn the objects of the annotated frame; see ``VideoMethod``."""
        tracks = [self._learn(embedding, object_id, label_map == object_id) for object_id in object_ids]
        tracking = PersamTracking(self._cascade, self._settings, tracks)
        if self._settings.method == "persam-f":
            tracking.learn_weights(embedding)
        return tracking, tracking.annotated(label_map, embedding)

    def _learn(self, embedding: ImageEmbedding, object_id: int, mask: Mask) -> ObjectTrack:
        on_device = torch.from_numpy(mask).to(embedding.features.device)
        concept = learn_concept([(embedding, on_device)], self._settings.target)
        return ObjectTrack(object_id, concept, None, mask, seen=True)


class PersamTracking:
    """N objects of a video while their target features follow them; see ``VideoTracking``."""

    warnings: tuple[str, ...] = ()

    def __init__(self, cascade: Cascade, settings: TrackerSettings, tracks: list[ObjectTrack]) -> None:
        self._cascade = cascade
        self._settings = settings
        self.tracks = tracks

    def annotated(self, label_map: LabelMap, embedding: ImageEmbedding) -> Segmentation:
        """Return the annotated frame's own segmentation."""
        similarity = self._mean_similarity(label_map, similarity_maps(self._concepts, embedding), embedding)
        return Segmentation(label_map, torch.ones(len(self.tracks)), similarity)

    def step(self, _: Frame, embedding: ImageEmbedding, /) -> Segmentation:
        """Find the objects in the next frame."""
        similarity = similarity_maps(self._concepts, embedding)
        predicted = self._predict(embedding, similarity)
        label_map = self._label_map(predicted.logits, similarity, embedding)
        mean = self._mean_similarity(label_map, similarity, embedding)
        evidence = self._evidence(predicted.predicted_iou, mean)
        self.tracks = self._updated_tracks(label_map, predicted.predicted_iou, mean, embedding)
        return Segmentation(label_map, evidence.score, mean, evidence=evidence)

    def copy(self) -> PersamTracking:
        """Return what goes on from here; see ``VideoTracking``."""
        return copy.copy(self)

    @property
    def _concepts(self) -> list[Concept]:
        return [track.concept for track in self.tracks]

    def learn_weights(self, embedding: ImageEmbedding) -> None:
        """Learn PerSAM-F's mask weights on the annotated frame, from a single first pass."""
        similarity = similarity_maps(self._concepts, embedding)
        candidates = self._first_pass(embedding, similarity, self._prompts(embedding, similarity))
        learnt = []
        for track, logits in zip(self.tracks, candidates.logits, strict=True):
            weights = learn_mask_weights(
                embedding.geometry.to_frame(logits[1:]).flatten(1),
                torch.from_numpy(track.last_mask).to(logits.device).flatten(),
                steps=self._settings.finetune_steps,
                learning_rate=self._settings.finetune_learning_rate,
            )
            learnt.append(replace(track, mask_weights=weights))
        self.tracks = learnt

    def _predict(self, embedding: ImageEmbedding, similarity: Tensor) -> MaskPrediction:
        """Decode the first pass and refine it twice."""
        prompts = self._prompts(embedding, similarity)
        first = self._first_pass(embedding, similarity, prompts)
        seen = self._seen(similarity.device)
        everything = torch.ones_like(seen)
        if self._settings.method == "persam-f":
            weights = torch.stack([t.mask_weights for t in self.tracks if t.mask_weights is not None])
            return self._cascade.refine(embedding, prompts, mix(first, weights), boxed=everything)
        # An object that was out of sight had no box in the first pass, so it gets one in the second.
        boxed = everything if self._settings.refinement_box == "both" else ~seen
        return self._cascade.refine(embedding, prompts, self._choose(embedding, first), boxed=boxed)

    def _label_map(self, logits: Tensor, similarity: Tensor, embedding: ImageEmbedding) -> LabelMap:
        """Give each pixel to the highest logit among the objects that are there."""
        geometry, object_ids = embedding.geometry, [track.object_id for track in self.tracks]
        whole = Region.whole(geometry.height, geometry.width)
        patches = [Patch(whole, mask) for mask in geometry.to_frame(logits)]
        presence = ConceptPresence(
            self._concepts,
            object_ids,
            similarity,
            embedding,
            presence=self._settings.presence,
            rival_margin=self._settings.rival_margin,
            area_tie_break=self._settings.area_tie_break,
        )
        label_map: LabelMap = resolve_overlaps(patches, object_ids, geometry, hard_argmax, presence).cpu().numpy()
        return label_map

    def _seen(self, device: torch.device) -> Tensor:
        return torch.tensor([track.seen for track in self.tracks], device=device)

    def _prompts(self, embedding: ImageEmbedding, similarity: Tensor) -> Prompts:
        """Points of the location prior, and one on the object as it was last seen."""
        prompts = self._cascade.prompts(embedding, similarity)
        if self._settings.anchor == "none":
            return prompts
        middle = self._settings.anchor == "box_centre"
        anchors = torch.tensor(
            [anchor_point(track.last_mask, middle=middle) for track in self.tracks], device=similarity.device
        )
        kinds = torch.where(self._seen(similarity.device), POSITIVE, PADDING)
        return prompts.with_points(anchors[:, None].float(), kinds[:, None])

    def _first_pass(self, embedding: ImageEmbedding, similarity: Tensor, prompts: Prompts) -> Candidates:
        margin = self._settings.box_margin
        boxes = [grown_box(track.last_mask, margin) for track in self.tracks]
        prompts = prompts.with_boxes(torch.tensor(boxes, device=similarity.device), self._seen(similarity.device))
        return self._cascade.first_pass(embedding, similarity, self._concepts, prompts)

    def _choose(self, embedding: ImageEmbedding, first: Candidates) -> Tensor:
        last = torch.from_numpy(np.stack([track.last_mask for track in self.tracks])).to(first.logits.device)
        return choose_candidate(
            first,
            embedding.geometry,
            self._settings.first_pass,
            last=last,
            seen=self._seen(first.logits.device),
        )

    def _mean_similarity(self, label_map: LabelMap, similarity: Tensor, embedding: ImageEmbedding) -> Tensor:
        """Return float, N: of the cells under each mask to its concept; NaN where there is no mask."""
        mean = torch.full((len(self.tracks),), torch.nan)
        for i, (track, cosine) in enumerate(zip(self.tracks, similarity, strict=True)):
            mask = torch.from_numpy(label_map == track.object_id)
            if mask.any():
                mean[i] = cosine[mask_cells(mask.to(cosine.device), embedding)].mean()
        return mean

    def _evidence(self, predicted_iou: Tensor, mean_similarity: Tensor) -> Evidence:
        """Return what the masks are judged by."""
        usual = torch.tensor([track.concept.similarity for track in self.tracks])
        features = {"predicted_iou": predicted_iou.cpu(), "similarity_share": mean_similarity / usual}
        return Evidence.of(features, PERSAM_VIDEO, missing=mean_similarity.isnan())

    def _updated_tracks(
        self, label_map: LabelMap, predicted_iou: Tensor, similarity: Tensor, embedding: ImageEmbedding
    ) -> list[ObjectTrack]:
        """Return the tracks after a frame; a good mask may move the target feature."""
        tracks = []
        for track, quality, mean in zip(self.tracks, predicted_iou.tolist(), similarity.tolist(), strict=True):
            mask = label_map == track.object_id
            if not mask.any():
                tracks.append(replace(track, seen=False))
                continue
            concept = track.concept
            sure = (
                quality >= self._settings.update_min_iou
                and mean >= self._settings.update_min_similarity * concept.similarity
            )
            if self._settings.update_target and sure:
                on_device = torch.from_numpy(mask).to(embedding.features.device)
                newer = learn_concept([(embedding, on_device)], self._settings.target)
                concept = update_concept(concept, newer, self._settings.update_target)
            tracks.append(replace(track, concept=concept, last_mask=mask, seen=True))
        return tracks
