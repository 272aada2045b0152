"""The method ``memory``: propagate, ask the decoder about the prior, fuse both, remember only what was recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.methods.base import Segmentation
from persam_vos.methods.competition import cell_coverage, mean_under, no_threshold, resolve_overlaps
from persam_vos.methods.memory.closer_look import CloserLook
from persam_vos.methods.memory.decoding import AnnotatedFrame, PriorDecoder, prior_to_logits
from persam_vos.methods.memory.memory import USUAL_SIMILARITY, Memory, View
from persam_vos.methods.memory.prior import foreground_prior
from persam_vos.sam.cells import cell_features
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.sam.patches import Patch
from persam_vos.settings.video import TrackerSettings

# What is smaller than this share of the object as last seen is nothing.
_SPECK = 0.01


@dataclass(frozen=True, slots=True)
class _State:
    """What goes from one frame to the next: the memory, where N objects were last seen, and whether just now."""

    memory: Memory
    last: Tensor
    seen: Tensor


class MemoryVideo:
    """Follows N objects by a memory that tells them from everything else."""

    def __init__(self, encoder: Encoder, decoder: Decoder, settings: TrackerSettings) -> None:
        self._decoder = PriorDecoder(decoder, settings)
        self._dtype = decoder.dtype
        self._settings = settings
        self._object_ids: Sequence[int] = ()
        self._state: _State | None = None
        self._tokens: Tensor | None = None
        self._closer = CloserLook(encoder, settings, decoder.dtype) if settings.closer_look else None

    def start(
        self, frame: Frame, embedding: ImageEmbedding, label_map: LabelMap, object_ids: Sequence[int], /
    ) -> Segmentation:
        """Learn the objects of the annotated frame."""
        ids = torch.tensor(object_ids, dtype=torch.uint8, device=embedding.features.device)
        masks = torch.from_numpy(label_map).to(ids.device) == ids[:, None, None]
        coverage = embedding.geometry.to_cells(masks, embedding.cells)
        features = self._features(embedding)
        memory = Memory.learn(features, coverage.flatten(1), self._settings.regularisation)
        self._object_ids = object_ids
        self._state = _State(memory, coverage, torch.ones(len(masks), dtype=torch.bool, device=masks.device))
        if self._closer is not None:
            self._closer.start(frame, embedding, masks)
        if self._settings.mask_token:
            view = memory.view(features)
            prior_logits = self._propagate(frame, embedding, view, memory.similarity(view.keys))
            self._tokens = self._decoder.learn_tokens([AnnotatedFrame(embedding, prior_logits, masks)])
        ones = torch.ones(len(masks))
        return Segmentation(label_map, ones, ones)

    def step(self, frame: Frame, embedding: ImageEmbedding, /) -> Segmentation:
        """Find the objects in the next frame."""
        state = self._state
        assert state is not None
        view = state.memory.view(self._features(embedding))
        nearest = state.memory.similarity(view.keys)
        prior_logits = self._propagate(frame, embedding, view, nearest)
        patches, predicted_iou = self._decoder.decode(frame, embedding, prior_logits, self._tokens)
        label_map, coverage, similarity = self._recognise(embedding, patches, nearest)
        seen = ~similarity.isnan()
        memory = state.memory.update(view, coverage.flatten(1), seen, similarity, self._settings)
        windows = [patch.window for patch in patches]
        if self._closer is not None:
            finer = cell_coverage(label_map, self._object_ids, windows, embedding.geometry, 2 * embedding.cells)
            self._closer.update(finer, seen)
        # Last: a step that fails for want of memory is asked again, and nothing must be learnt twice.
        self._state = _State(memory, torch.where(seen[:, None, None], coverage, state.last), seen)
        return Segmentation(label_map.cpu().numpy(), predicted_iou, similarity, windows)

    def _features(self, embedding: ImageEmbedding) -> Tensor:
        return cell_features(embedding, self._dtype)

    def _propagate(self, frame: Frame, embedding: ImageEmbedding, view: View, nearest: Tensor) -> Tensor:
        """Return the prior's logits, float N x 256 x 256 over the padded square."""
        state = self._state
        assert state is not None
        prior = foreground_prior(state.memory, view, nearest, state.last, state.seen, self._settings)
        prior_logits = prior_to_logits(prior, embedding)
        if self._closer is not None:
            prior_logits = self._closer.sharpen(prior_logits, frame, embedding, state.last, state.seen)
        return prior_logits

    def _recognise(
        self, embedding: ImageEmbedding, patches: Sequence[Patch], nearest: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Share the pixels out among the objects that are as like their memory as usual; see ``resolve_overlaps``."""
        state, presence, ids = self._state, self._settings.memory_presence, self._object_ids
        assert state is not None
        similarity_of = partial(mean_under, nearest.unflatten(1, state.last.shape[1:]))
        if not presence:
            return resolve_overlaps(
                patches, ids, embedding, similarity_of, needed=no_threshold(len(ids), nearest.device)
            )
        needed = presence * state.memory.usual_similarity.nan_to_num(USUAL_SIMILARITY)
        least = _SPECK * state.last.sum(dim=(1, 2))
        return resolve_overlaps(patches, ids, embedding, similarity_of, needed=needed, least=least)
