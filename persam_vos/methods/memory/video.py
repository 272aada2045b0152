"""The method ``memory`` on video: the annotated frame goes in, then each frame; a ``Segmentation`` of each comes out.

A step looks at the frame through the memory, makes a prior of it, asks the decoder, lets the masks compete, and
remembers only the objects that were recognised.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.methods.base import Segmentation
from persam_vos.methods.competition import (
    CellPresence,
    mean_similarity,
    no_threshold,
    resolve_overlaps,
    soft_aggregation,
)
from persam_vos.methods.memory.closer_look import CloserLook
from persam_vos.methods.memory.decoding import AnnotatedPrior, PriorDecoder, prior_to_logits
from persam_vos.methods.memory.evidence import video_evidence
from persam_vos.methods.memory.first_mask import snap_first_masks
from persam_vos.methods.memory.memory import Memory
from persam_vos.methods.memory.nearer_view import nearer_view
from persam_vos.methods.memory.prior import Query, foreground_prior
from persam_vos.sam.cells import cell_features
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.sam.patches import Patch
from persam_vos.settings.video import TrackerSettings

_NO_WARNINGS: tuple[str, ...] = ()


class MemoryVideo:
    """Follows objects by a memory that tells them from everything else."""

    def __init__(self, encoder: Encoder, decoder: Decoder, settings: TrackerSettings) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._settings = settings

    def start(
        self, frame: Frame, embedding: ImageEmbedding, label_map: LabelMap, object_ids: Sequence[int], /
    ) -> tuple[MemoryTracking, Segmentation]:
        """Learn the objects of the annotated frame; see ``VideoMethod``."""
        settings, dtype, tokens = self._settings, self._decoder.dtype, None
        decoder, features = PriorDecoder(self._decoder, settings), cell_features(embedding, dtype)
        learnt, warnings = label_map, _NO_WARNINGS
        if not settings.keep_first_mask:
            learnt, warnings = snap_first_masks(frame, embedding, features, label_map, object_ids, decoder, settings)
        ids = torch.tensor(object_ids, dtype=torch.uint8, device=embedding.features.device)
        labels = torch.from_numpy(learnt).to(ids.device)
        masks = labels == ids[:, None, None]
        coverage = embedding.geometry.to_cells(masks, embedding.cells)
        share = settings.nearer_view
        view = nearer_view(self._encoder, frame, masks, dtype, share) if share else None
        memory = Memory.learn(features, coverage.flatten(1), settings, view=view)
        seen = torch.ones(len(masks), dtype=torch.bool, device=masks.device)
        state = _State(memory, coverage, seen, coverage.sum(dim=(1, 2)), frame.index)
        closer = None
        if settings.closer_look:
            closer = CloserLook.learn(self._encoder, decoder, frame, embedding, labels, ids, settings, dtype)
        if settings.mask_token:
            query = Query.of(memory, features, coverage, state.seen)
            logits = prior_to_logits(foreground_prior(memory, query, settings), embedding)
            if closer is not None:
                logits = closer.refine_prior(logits, frame, embedding, query)
            tokens = decoder.learn_tokens([AnnotatedPrior(embedding, logits, masks)])
            if closer is not None:
                closer.learn_tokens(masks, tokens)
        certain = torch.ones(len(masks))
        tracking = MemoryTracking(decoder, dtype, settings, object_ids, state, tokens, closer, warnings)
        return tracking, Segmentation(label_map, certain, certain)


@dataclass(frozen=True, slots=True)
class _State:
    """What passes from one frame to the next.

    Attributes:
        memory: Of N objects.
        last: float, N x rows x columns in 0..1: coverage by each object when last seen.
        seen: bool, N: whether that was in the last frame.
        size: float, N: cells that each object covers, as a slowly sinking maximum over all frames.
        index: Of the last frame.
    """

    memory: Memory
    last: Tensor
    seen: Tensor
    size: Tensor
    index: int


class MemoryTracking:
    """N objects of a video while the memory follows them; see ``VideoTracking``."""

    def __init__(
        self,
        decoder: PriorDecoder,
        dtype: torch.dtype,
        settings: TrackerSettings,
        object_ids: Sequence[int],
        state: _State,
        tokens: Tensor | None,
        closer: CloserLook | None,
        warnings: tuple[str, ...],
    ) -> None:
        self._decoder = decoder
        self._dtype = dtype
        self._settings = settings
        self._object_ids = object_ids
        self._state = state
        self.tokens = tokens
        self._closer = closer
        self.warnings = warnings

    def step(self, frame: Frame, embedding: ImageEmbedding, /) -> Segmentation:
        """Find the objects in the next frame."""
        state, settings = self._state, self._settings
        query = Query.of(state.memory, cell_features(embedding, self._dtype), state.last, state.seen)
        logits = prior_to_logits(foreground_prior(state.memory, query, settings), embedding)
        if self._closer is not None:
            logits = self._closer.refine_prior(logits, frame, embedding, query)
        decoded = self._decoder.decode(frame, embedding, logits, self.tokens)
        patches = decoded.patches
        if self._closer is not None:
            patches = self._closer.refine_masks(patches, frame)
        presence = self._presence(patches, embedding, query)
        label_map = resolve_overlaps(patches, self._object_ids, embedding.geometry, soft_aggregation, presence)
        coverage, similarity = presence.coverage, presence.similarity
        seen = ~similarity.isnan()
        memory = state.memory.update(query.view, coverage.flatten(1), seen, similarity, settings)
        windows = [patch.window for patch in patches]
        last = torch.where(seen[:, None, None], coverage, state.last)
        # The size sinks out of sight as well: an object may come back smaller. Not every frame need be tracked.
        left = settings.size_decay ** max(frame.index - state.index, 1)
        size = (seen * coverage.sum(dim=(1, 2))).maximum(left * state.size)
        new_state = _State(memory, last, seen, size, frame.index)
        evidence = video_evidence(decoded.features, coverage, seen, query, state.memory)
        found = Segmentation(label_map.cpu().numpy(), evidence.score, similarity, windows, evidence)
        # Replace all state last, so that a step that runs out of memory can be repeated and nothing is learnt twice.
        if self._closer is not None:
            self._closer.update(label_map, seen)
        self._state = new_state
        return found

    def copy(self) -> MemoryTracking:
        """Return what goes on from here; see ``VideoTracking``."""
        other = copy.copy(self)
        other._closer = copy.copy(self._closer)
        return other

    def _presence(self, patches: Sequence[Patch], embedding: ImageEmbedding, query: Query) -> CellPresence:
        """Accept masks about as similar to their memory as usual, and not much smaller than the object was."""
        memory, settings = self._state.memory, self._settings
        needed, min_cells = no_threshold(len(patches), query.last.device), query.last.new_zeros(len(patches))
        if settings.memory_presence:
            needed = settings.memory_presence * memory.expected_similarity(settings.initial_similarity)
            min_cells = settings.min_area_share * query.last.sum(dim=(1, 2))
            min_cells = torch.where(query.seen, min_cells, settings.min_return_share * self._state.size)
        similarity_of = partial(mean_similarity, query.on_grid(query.similarity))
        return CellPresence(patches, self._object_ids, embedding, similarity_of, needed=needed, min_cells=min_cells)
