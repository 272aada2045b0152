"""Follow the objects of the annotated frame: PerSAM and PerSAM-F with cascaded refinement, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from persam_vos.choice import choose
from persam_vos.concept import Concept, cells_of, learn_concept, update_concept
from persam_vos.config import TrackerSettings
from persam_vos.decoder import PADDING, POSITIVE, Candidates, Decoder, Guidance, Prompts
from persam_vos.encoder import Encoder, ImageEmbedding
from persam_vos.errors import EmptyMaskError, MaskSizeError, VideoError
from persam_vos.finetune import learn_mask_weights
from persam_vos.frame import Frame
from persam_vos.objects import (
    FrameResult,
    LabelMap,
    Mask,
    ObjectResult,
    anchor_point,
    box_xyxy,
    exclusive_label_map,
    grown_box,
    recognise,
)
from persam_vos.similarity import attention_bias, location_prior, similarity_maps

# A frame may change the target feature only if the decoder trusts its mask and the mask is as like the target as
# this share of what the annotation was.
_UPDATE_MIN_IOU = 0.8
_UPDATE_MIN_LIKENESS = 0.8


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
class _Best:
    """One mask per object: N x 256 x 256 logits and N predicted IoUs."""

    logits: Tensor
    predicted_iou: Tensor


class Tracker:
    """Tracks every object of the first frame.

    ``start`` with the annotated frame, then ``step`` with each frame after it. Frames may be embedded beforehand, many
    at once; otherwise the tracker embeds them itself.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, settings: TrackerSettings) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._settings = settings
        self._tracks: list[ObjectTrack] = []

    @torch.inference_mode()
    def start(self, frame: Frame, label_map: LabelMap, embedding: ImageEmbedding | None = None) -> FrameResult:
        """Learn the objects of the annotated frame.

        Args:
            frame: The annotated frame.
            label_map: uint8, H x W of the frame; every value but 0 is an object.
            embedding: The frame's, if it exists already.

        Returns:
            The annotation itself as a result, each object with a score of 1.

        Raises:
            MaskSizeError: If the label map is not of the frame's size.
            EmptyMaskError: If it holds no object.
        """
        if label_map.shape != frame.rgb.shape[:2]:
            height, width = label_map.shape
            raise MaskSizeError(f"mask is {height} x {width}, video is {frame.height} x {frame.width}")
        object_ids = [int(i) for i in np.unique(label_map) if i]
        if not object_ids:
            raise EmptyMaskError("the mask holds no object: every pixel is 0")
        embedding = embedding or self._encoder.encode([frame])[0]
        self._tracks = [self._learn(embedding, object_id, label_map == object_id) for object_id in object_ids]
        if self._settings.method == "persam-f":
            self._tracks = self._finetune(embedding)
        ones = torch.ones(len(self._tracks))
        return self._result(frame, label_map.copy(), ones, similarity_maps(self._concepts, embedding), embedding)

    @torch.inference_mode()
    def step(self, frame: Frame, embedding: ImageEmbedding | None = None) -> FrameResult:
        """Find the objects in the next frame.

        Args:
            frame: Of the same size as the annotated one.
            embedding: The frame's, if it exists already.

        Raises:
            EmptyMaskError: If ``start`` has not been called.
            VideoError: If the frame is of another size.
        """
        if not self._tracks:
            raise EmptyMaskError("no object is tracked yet: call start with the annotated frame first")
        if self._tracks[0].last_mask.shape != frame.rgb.shape[:2]:
            height, width = self._tracks[0].last_mask.shape
            raise VideoError(f"frame {frame.index} is {frame.height} x {frame.width}, the first was {height} x {width}")
        embedding = embedding or self._encoder.encode([frame])[0]
        similarity = similarity_maps(self._concepts, embedding)
        best = self._segment(embedding, similarity)
        label_map = self._compete(embedding.geometry.to_frame(best.logits), similarity, embedding)
        result = self._result(frame, label_map, best.predicted_iou, similarity, embedding)
        self._remember(result, embedding)
        return result

    @property
    def _concepts(self) -> list[Concept]:
        return [track.concept for track in self._tracks]

    def _learn(self, embedding: ImageEmbedding, object_id: int, mask: Mask) -> ObjectTrack:
        on_device = torch.from_numpy(mask).to(embedding.features.device)
        concept = learn_concept(embedding, on_device, self._settings.target)
        return ObjectTrack(object_id, concept, None, mask, seen=True)

    def _finetune(self, embedding: ImageEmbedding) -> list[ObjectTrack]:
        similarity = similarity_maps(self._concepts, embedding)
        candidates = self._first_pass(embedding, similarity, self._prompts(embedding, similarity))
        learnt = []
        for track, logits in zip(self._tracks, candidates.logits, strict=True):
            weights = learn_mask_weights(
                embedding.geometry.to_frame(logits[1:]),
                torch.from_numpy(track.last_mask).to(logits.device),
                steps=self._settings.finetune_steps,
                learning_rate=self._settings.finetune_learning_rate,
            )
            learnt.append(replace(track, mask_weights=weights))
        return learnt

    def _segment(self, embedding: ImageEmbedding, similarity: Tensor) -> _Best:
        """Prompt, then refine twice (PerSAM, section 3.2, "cascaded post-refinement")."""
        prompts = self._prompts(embedding, similarity)
        first = self._first_pass(embedding, similarity, prompts)
        seen = self._seen(similarity.device)
        everything = torch.ones_like(seen)
        if self._settings.method == "persam-f":
            logits, boxed = self._mix(first), everything
        else:
            # An object that is being looked for had no box in the first pass, so it gets one in the second.
            logits = self._choose(embedding, first)
            boxed = everything if self._settings.refinement_box == "both" else ~seen
        refined = self._refine(embedding, prompts, logits, boxed=boxed)
        return self._refine(embedding, prompts, refined.logits, boxed=everything)

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
        points, labels = location_prior(
            similarity,
            embedding.geometry,
            positive=self._settings.positive_points,
            negative=self._settings.negative_points,
        )
        if self._settings.anchor != "none":
            middle = self._settings.anchor == "box_centre"
            anchors = torch.tensor(
                [anchor_point(track.last_mask, middle=middle) for track in self._tracks], device=points.device
            )
            points = torch.cat([points, anchors[:, None].float()], dim=1)
            kinds = torch.where(self._seen(points.device), POSITIVE, PADDING)
            labels = torch.cat([labels, kinds[:, None]], dim=1)
        return Prompts(points, labels)

    def _first_pass(self, embedding: ImageEmbedding, similarity: Tensor, prompts: Prompts) -> Candidates:
        margin = self._settings.box_margin
        boxes = [grown_box(track.last_mask, margin) for track in self._tracks]
        prompts = prompts.with_boxes(torch.tensor(boxes, device=similarity.device), self._seen(similarity.device))
        return self._decoder.decode(embedding, prompts, self._guidance(embedding, similarity))

    def _guidance(self, embedding: ImageEmbedding, similarity: Tensor) -> Guidance | None:
        kind = self._settings.guidance
        if kind == "none":
            return None
        return Guidance(
            attention=attention_bias(similarity, embedding.geometry) if kind in ("attention", "both") else None,
            target=torch.stack([c.embedding for c in self._concepts]) if kind in ("prompting", "both") else None,
        )

    def _choose(self, embedding: ImageEmbedding, first: Candidates) -> Tensor:
        last = torch.from_numpy(np.stack([track.last_mask for track in self._tracks])).to(first.logits.device)
        return choose(
            first,
            embedding.geometry,
            rule=self._settings.first_pass,
            last=last,
            seen=self._seen(first.logits.device),
        )

    def _mix(self, first: Candidates) -> Tensor:
        weights = torch.stack([t.mask_weights for t in self._tracks if t.mask_weights is not None])
        return torch.einsum("nk,nkhw->nhw", weights, first.logits[:, 1:])

    def _refine(self, embedding: ImageEmbedding, prompts: Prompts, logits: Tensor, *, boxed: Tensor) -> _Best:
        """One more pass with the logits of the last one and, for the objects ``boxed``, their tight box."""
        boxes = [box_xyxy(mask) for mask in (embedding.geometry.to_frame(logits) > 0).cpu().numpy()]
        known = boxed & torch.tensor([box is not None for box in boxes], device=logits.device)
        corners = torch.tensor([box or (0, 0, 0, 0) for box in boxes], device=logits.device).float()
        candidates = self._decoder.decode(embedding, prompts.with_mask(logits).with_boxes(corners, known))
        index = candidates.predicted_iou[:, 1:].argmax(dim=1) + 1
        rows = torch.arange(len(index), device=index.device)
        return _Best(candidates.logits[rows, index], candidates.predicted_iou[rows, index])

    def _result(
        self, frame: Frame, label_map: LabelMap, predicted_iou: Tensor, similarity: Tensor, embedding: ImageEmbedding
    ) -> FrameResult:
        objects = []
        for track, score, cosine in zip(self._tracks, predicted_iou.tolist(), similarity, strict=True):
            mask = label_map == track.object_id
            box = box_xyxy(mask)
            likeness = None
            if box is not None:
                likeness = float(cosine[cells_of(torch.from_numpy(mask).to(cosine.device), embedding)].mean())
            objects.append(
                ObjectResult(
                    object_id=track.object_id,
                    present=box is not None,
                    score=min(max(score, 0.0), 1.0) if box is not None else 0.0,
                    similarity=likeness,
                    area=int(mask.sum()),
                    box_xyxy=box,
                )
            )
        return FrameResult(frame.index, frame.pts, frame.time_base, label_map, tuple(objects))

    def _remember(self, result: FrameResult, embedding: ImageEmbedding) -> None:
        tracks = []
        for track, found in zip(self._tracks, result.objects, strict=True):
            if not found.present:
                tracks.append(replace(track, seen=False))
                continue
            mask = result.label_map == track.object_id
            concept = track.concept
            if self._settings.update_target and self._is_sure(track, found):
                newer = learn_concept(
                    embedding, torch.from_numpy(mask).to(embedding.features.device), self._settings.target
                )
                concept = update_concept(concept, newer, self._settings.update_target)
            tracks.append(replace(track, concept=concept, last_mask=mask, seen=True))
        self._tracks = tracks

    def _is_sure(self, track: ObjectTrack, found: ObjectResult) -> bool:
        return (
            found.score >= _UPDATE_MIN_IOU
            and found.similarity is not None
            and found.similarity >= _UPDATE_MIN_LIKENESS * track.concept.likeness
        )
