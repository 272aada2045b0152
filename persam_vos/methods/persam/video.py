"""PerSAM and PerSAM-F on video: the annotated frame goes in, then each frame; a ``Segmentation`` of each comes out.

Each frame is segmented anew by the target features; only box, anchor and agreement of candidates link it to the last
one. See arXiv 2305.03048, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import LabelMap, Mask, anchor_point, grown_box
from persam_vos.media.frame import Frame
from persam_vos.methods.base import Segmentation
from persam_vos.methods.calibrations import PERSAM_VIDEO
from persam_vos.methods.competition import hard_argmax
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


@dataclass(frozen=True, slots=True)
class PersamStudy:
    """An annotated frame; see ``Study``.

    Attributes:
        embedding: Of the frame.
        object_ids: Of the N objects.
        segmentation: The annotation.
    """

    embedding: ImageEmbedding
    object_ids: Sequence[int]
    segmentation: Segmentation

    def mask(self, object_id: int) -> Mask:
        """Return bool, H x W: the pixels of an object."""
        mask: Mask = self.segmentation.label_map == object_id
        return mask


class PersamVideo:
    """Follows objects by their target features."""

    records = (ObjectTrack, Concept)

    def __init__(self, decoder: Decoder, settings: TrackerSettings) -> None:
        self._cascade = Cascade(decoder, settings)
        self._settings = settings

    def study(
        self,
        frame: Frame,  # noqa: ARG002 - its embedding says it all
        embedding: ImageEmbedding,
        label_map: LabelMap,
        object_ids: Sequence[int],
        /,
    ) -> PersamStudy:
        """Look at an annotated frame; see ``VideoMethod``."""
        certain, similarity = torch.ones(len(object_ids)), torch.full((len(object_ids),), torch.nan)
        for i, number in enumerate(object_ids):
            if (mask := label_map == number).any():
                concept = self._learn([(embedding, mask)])
                cosine = similarity_maps([concept], embedding)[0]
                similarity[i] = cosine[mask_cells(_on(mask, cosine.device), embedding)].mean()
        return PersamStudy(embedding, object_ids, Segmentation(label_map, certain, similarity))

    def start(self, study: PersamStudy, others: Sequence[PersamStudy] = (), /) -> PersamTracking:
        """Learn the objects; see ``VideoMethod``."""
        showing = [each for each in (study, *others) if all(each.mask(number).any() for number in study.object_ids)]
        assert showing, "a frame shows the objects"
        tracks = []
        for number in study.object_ids:
            concept = self._learn([(each.embedding, each.mask(number)) for each in showing])
            tracks.append(ObjectTrack(number, concept, None, showing[0].mask(number), seen=True))
        tracking = PersamTracking(self._cascade, self._settings, tracks)
        if self._settings.method == "persam-f":
            tracking = tracking.with_weights(showing[0].embedding)
        if showing[0] is not study:
            tracking = tracking.with_tracks([replace(track, seen=False) for track in tracking.tracks])
        return tracking

    def resume(self, knowledge: Sequence[ObjectTrack], /) -> PersamTracking:
        """Go on from what a tracking knew; see ``VideoMethod``."""
        return PersamTracking(self._cascade, self._settings, list(knowledge))

    def _learn(self, references: Sequence[tuple[ImageEmbedding, Mask]]) -> Concept:
        on_device = [(embedding, _on(mask, embedding.features.device)) for embedding, mask in references]
        return learn_concept(on_device, self._settings.target)


def _on(mask: Mask, device: torch.device) -> Tensor:
    return torch.from_numpy(mask).to(device)


class PersamTracking:
    """N objects of a video while their target features follow them; see ``VideoTracking``."""

    aggregate = staticmethod(hard_argmax)
    warnings: tuple[str, ...] = ()

    def __init__(self, cascade: Cascade, settings: TrackerSettings, tracks: list[ObjectTrack]) -> None:
        self._cascade = cascade
        self._settings = settings
        self.tracks = tracks

    @property
    def object_ids(self) -> Sequence[int]:
        """Ids of the objects."""
        return [track.object_id for track in self.tracks]

    @property
    def knowledge(self) -> Sequence[ObjectTrack]:
        """What ``PersamVideo.resume`` needs; see ``VideoTracking``."""
        return self.tracks

    def look(self, _: Frame, embedding: ImageEmbedding, /) -> PersamLook:
        """Look for the objects in the next frame; see ``VideoTracking``."""
        return self._look(embedding)

    def with_tracks(self, tracks: list[ObjectTrack]) -> PersamTracking:
        """Return what follows the same objects with other knowledge of them."""
        return PersamTracking(self._cascade, self._settings, tracks)

    def with_weights(self, embedding: ImageEmbedding) -> PersamTracking:
        """Learn PerSAM-F's mask weights on an annotated frame, from a single first pass."""
        learnt = []
        for track, logits in zip(self.tracks, self._look(embedding).first_pass().logits, strict=True):
            weights = learn_mask_weights(
                embedding.geometry.to_frame(logits[1:]).flatten(1),
                torch.from_numpy(track.last_mask).to(logits.device).flatten(),
                steps=self._settings.finetune_steps,
                learning_rate=self._settings.finetune_learning_rate,
            )
            learnt.append(replace(track, mask_weights=weights))
        return self.with_tracks(learnt)

    def _look(self, embedding: ImageEmbedding) -> PersamLook:
        return PersamLook(self, self._cascade, self._settings, embedding)


class PersamLook:
    """A frame by the target features of N objects; see ``VideoLook``."""

    prior = None

    def __init__(
        self, tracking: PersamTracking, cascade: Cascade, settings: TrackerSettings, embedding: ImageEmbedding
    ) -> None:
        self._tracking, self._tracks = tracking, tracking.tracks
        self._cascade, self._settings, self._embedding = cascade, settings, embedding
        self._concepts = [track.concept for track in self._tracks]
        self._similarity = similarity_maps(self._concepts, embedding)
        self._prompts = self._points()
        self._predicted_iou: Tensor | None = None

    def first_pass(self) -> Candidates:
        """Decode the prior's points, guided by the similarity."""
        device, margin = self._similarity.device, self._settings.box_margin
        boxes = [grown_box(track.last_mask, margin) for track in self._tracks]
        prompts = self._prompts.with_boxes(torch.tensor(boxes, device=device), self._seen(device))
        return self._cascade.first_pass(self._embedding, self._similarity, self._concepts, prompts)

    def masks(self, _: Tensor | None = None, /) -> tuple[Sequence[Patch], ConceptPresence]:
        """Decode the objects' masks; see ``VideoLook``. Other trackings compete for pixels only."""
        predicted, geometry = self._predict(), self._embedding.geometry
        self._predicted_iou = predicted.predicted_iou
        whole = Region.whole(geometry.height, geometry.width)
        patches = [Patch(whole, mask) for mask in geometry.to_frame(predicted.logits)]
        presence = ConceptPresence(
            self._concepts,
            self._tracking.object_ids,
            self._similarity,
            self._embedding,
            presence=self._settings.presence,
            rival_margin=self._settings.rival_margin,
            area_tie_break=self._settings.area_tie_break,
        )
        return patches, presence

    def settle(self, label_map: Tensor, /) -> tuple[PersamTracking, Segmentation]:
        """Move the target features; see ``VideoLook``."""
        assert self._predicted_iou is not None, "masks come first"
        found: LabelMap = label_map.cpu().numpy()
        mean = self._mean_similarity(found)
        evidence = self._evidence(self._predicted_iou, mean)
        tracks = self._updated_tracks(found, self._predicted_iou, mean)
        return self._tracking.with_tracks(tracks), Segmentation(found, evidence.score, mean, evidence=evidence)

    def _predict(self) -> MaskPrediction:
        """Decode the first pass and refine it twice."""
        first = self.first_pass()
        seen = self._seen(self._similarity.device)
        everything = torch.ones_like(seen)
        if self._settings.method == "persam-f":
            weights = torch.stack([t.mask_weights for t in self._tracks if t.mask_weights is not None])
            return self._cascade.refine(self._embedding, self._prompts, mix(first, weights), boxed=everything)
        # An object that was out of sight had no box in the first pass, so it gets one in the second.
        boxed = everything if self._settings.refinement_box == "both" else ~seen
        return self._cascade.refine(self._embedding, self._prompts, self._choose(first), boxed=boxed)

    def _seen(self, device: torch.device) -> Tensor:
        return torch.tensor([track.seen for track in self._tracks], device=device)

    def _points(self) -> Prompts:
        """Points of the location prior, and one on the object as it was last seen."""
        similarity = self._similarity
        prompts = self._cascade.prompts(self._embedding, similarity)
        if self._settings.anchor == "none":
            return prompts
        middle = self._settings.anchor == "box_centre"
        anchors = torch.tensor(
            [anchor_point(track.last_mask, middle=middle) for track in self._tracks], device=similarity.device
        )
        kinds = torch.where(self._seen(similarity.device), POSITIVE, PADDING)
        return prompts.with_points(anchors[:, None].float(), kinds[:, None])

    def _choose(self, first: Candidates) -> Tensor:
        last = torch.from_numpy(np.stack([track.last_mask for track in self._tracks])).to(first.logits.device)
        return choose_candidate(
            first,
            self._embedding.geometry,
            self._settings.first_pass,
            last=last,
            seen=self._seen(first.logits.device),
        )

    def _mean_similarity(self, label_map: LabelMap) -> Tensor:
        """Return float, N: of the cells under each mask to its concept; NaN where there is no mask."""
        mean = torch.full((len(self._tracks),), torch.nan)
        for i, (track, cosine) in enumerate(zip(self._tracks, self._similarity, strict=True)):
            mask = torch.from_numpy(label_map == track.object_id)
            if mask.any():
                mean[i] = cosine[mask_cells(mask.to(cosine.device), self._embedding)].mean()
        return mean

    def _evidence(self, predicted_iou: Tensor, mean_similarity: Tensor) -> Evidence:
        """Return what the masks are judged by."""
        usual = torch.tensor([track.concept.similarity for track in self._tracks])
        features = {"predicted_iou": predicted_iou.cpu(), "similarity_share": mean_similarity / usual}
        return Evidence.of(features, PERSAM_VIDEO, missing=mean_similarity.isnan())

    def _updated_tracks(self, label_map: LabelMap, predicted_iou: Tensor, similarity: Tensor) -> list[ObjectTrack]:
        """Return the tracks after a frame; a good mask may move the target feature."""
        tracks = []
        for track, quality, mean in zip(self._tracks, predicted_iou.tolist(), similarity.tolist(), strict=True):
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
                on_device = _on(mask, self._embedding.features.device)
                newer = learn_concept([(self._embedding, on_device)], self._settings.target)
                concept = update_concept(concept, newer, self._settings.update_target)
            tracks.append(replace(track, concept=concept, last_mask=mask, seen=True))
        return tracks
