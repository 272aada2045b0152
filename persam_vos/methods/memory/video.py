"""The method ``memory`` on video: annotated frames go in, then each other frame; a ``Segmentation`` of each comes out.

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
from persam_vos.methods.memory.annotated_cells import AnnotatedCells
from persam_vos.methods.memory.closer_look import CloserLook
from persam_vos.methods.memory.decoding import (
    AnnotatedPrior,
    Decoded,
    PriorDecoder,
    prior_to_logits,
)
from persam_vos.methods.memory.evidence import video_evidence
from persam_vos.methods.memory.first_mask import snap_first_masks
from persam_vos.methods.memory.knowledge import MEMORY_RECORDS, MemoryKnowledge, MemoryState
from persam_vos.methods.memory.memory import Memory
from persam_vos.methods.memory.nearer_view import nearer_view
from persam_vos.methods.memory.prior import Query, foreground_prior, outdone
from persam_vos.methods.memory.ridge import Basis
from persam_vos.sam.cells import cell_features
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import Region
from persam_vos.settings.video import TrackerSettings

_NO_WARNINGS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemoryStudy:
    """An annotated frame; see ``Study``.

    Attributes:
        frame: The frame.
        embedding: Of it.
        object_ids: Of the N objects.
        segmentation: The annotation as it was given.
        labels: uint8, H x W: what is learnt, whose outlines may lie on better edges than those that were given.
        masks: bool, N x H x W: the same; empty for an object that the frame does not show.
        coverage: float, N x rows x columns in 0..1: the same, of each cell.
        cells: What the memory learns from.
        basis: Of the cells; None if the frame shows no object.
        warnings: What makes the annotation doubtful.
    """

    frame: Frame
    embedding: ImageEmbedding
    object_ids: Sequence[int]
    segmentation: Segmentation
    labels: Tensor
    masks: Tensor
    coverage: Tensor
    cells: AnnotatedCells
    basis: Basis | None
    warnings: tuple[str, ...]

    @property
    def shown(self) -> Tensor:
        """Bool, N: whether the frame shows each object."""
        return self.coverage.flatten(1).any(dim=1)


class MemoryVideo:
    """Follows objects by a memory that tells them from everything else."""

    records = (*MEMORY_RECORDS, *CloserLook.records)

    def __init__(self, encoder: Encoder, decoder: Decoder, settings: TrackerSettings) -> None:
        self._encoder = encoder
        self._decoder = PriorDecoder(decoder, settings)
        self._dtype = decoder.dtype
        self._settings = settings

    def study(
        self, frame: Frame, embedding: ImageEmbedding, label_map: LabelMap, object_ids: Sequence[int], /
    ) -> MemoryStudy:
        """Look at an annotated frame; see ``VideoMethod``."""
        settings, features = self._settings, cell_features(embedding, self._dtype)
        learnt, warnings = label_map, _NO_WARNINGS
        shown = [number for number in object_ids if (label_map == number).any()]
        basis = Basis.of(features, settings.ridge_dimensions, settings.key_dimensions) if shown else None
        if basis is not None and not settings.keep_first_mask:
            given = frame, embedding, features, label_map, shown, self._decoder, settings
            learnt, warnings = snap_first_masks(*given, basis)
        ids = torch.tensor(object_ids, dtype=torch.uint8, device=embedding.features.device)
        labels = torch.from_numpy(learnt).to(ids.device)
        masks = labels == ids[:, None, None]
        coverage = embedding.geometry.to_cells(masks, embedding.cells)
        view = None
        if shown and settings.nearer_view:
            view = nearer_view(self._encoder, frame, masks, self._dtype, settings.nearer_view)
        cells = AnnotatedCells(features, coverage.flatten(1), view)
        certain = torch.ones(len(masks))
        as_given = Segmentation(label_map, certain, certain)
        return MemoryStudy(frame, embedding, object_ids, as_given, labels, masks, coverage, cells, basis, warnings)

    def start(self, study: MemoryStudy, others: Sequence[MemoryStudy] = (), /) -> MemoryTracking:
        """Learn the objects; see ``VideoMethod``."""
        settings = self._settings
        showing = [each for each in (study, *others) if bool(each.shown.all())]
        assert showing, "a frame shows the objects"
        first, more = showing[0], showing[1:]
        cells = first.cells
        memory = Memory.learn(cells.features, cells.coverage, settings, view=cells.view, basis=first.basis)
        memory = memory.learn_also([each.cells for each in more], settings)
        closer = self._learn_closer(first)
        tokens = None
        if settings.mask_token:
            tokens = self._learn_tokens(memory, first, more, closer)
        size = torch.stack([each.coverage.sum(dim=(1, 2)) for each in showing]).amax(dim=0)
        if first is not study:
            memory = memory.as_after(study.cells.features, study.cells.coverage)
            # The closer look is placed around objects that were seen, and learns again where they are.
            closer = None if closer is None else closer.out_of_sight()
        state = MemoryState(memory, study.coverage, study.shown, size, study.frame.index)
        return MemoryTracking(
            self._decoder, self._dtype, settings, study.object_ids, state, tokens, closer, study.warnings
        )

    def resume(self, knowledge: MemoryKnowledge, /) -> MemoryTracking:
        """Go on from what a tracking knew; see ``VideoMethod``."""
        settings, known, closer = self._settings, knowledge, None
        if known.closer is not None:
            closer = CloserLook.resume(self._encoder, self._decoder, settings, self._dtype, known.closer)
        learnt = known.object_ids, known.state, known.tokens, closer, known.warnings
        return MemoryTracking(self._decoder, self._dtype, settings, *learnt)

    def _learn_closer(self, study: MemoryStudy) -> CloserLook | None:
        if not self._settings.closer_look:
            return None
        ids = torch.tensor(study.object_ids, dtype=torch.uint8, device=study.labels.device)
        given = study.frame, study.embedding, study.labels, ids
        return CloserLook.learn(self._encoder, self._decoder, *given, self._settings, self._dtype)

    def _learn_tokens(
        self, memory: Memory, first: MemoryStudy, more: Sequence[MemoryStudy], closer: CloserLook | None
    ) -> Tensor:
        """Learn what the masks of annotated frames lack when they are segmented as if they were not annotated."""
        examples, queries = [], []
        for each in (first, *more):
            if each is not first:
                memory = memory.as_after(each.cells.features, each.cells.coverage)
            query = Query.of(memory, each.cells.features, each.coverage, each.shown)
            logits = prior_to_logits(foreground_prior(memory, query, self._settings), each.embedding)
            queries.append(query)
            examples.append(AnnotatedPrior(each.embedding, logits, each.masks))
        if closer is not None:
            closer.learn_tokens(first.frame, queries[0], examples)
        return self._decoder.learn_tokens(examples)


class MemoryTracking:
    """N objects of a video while the memory follows them; see ``VideoTracking``."""

    aggregate = staticmethod(soft_aggregation)

    def __init__(
        self,
        decoder: PriorDecoder,
        dtype: torch.dtype,
        settings: TrackerSettings,
        object_ids: Sequence[int],
        state: MemoryState,
        tokens: Tensor | None,
        closer: CloserLook | None,
        warnings: tuple[str, ...],
    ) -> None:
        self.decoder = decoder
        self.settings = settings
        self.object_ids = object_ids
        self.state = state
        self.tokens = tokens
        self.closer = closer
        self.warnings = warnings
        self._dtype = dtype

    @property
    def knowledge(self) -> MemoryKnowledge:
        """What ``MemoryVideo.resume`` needs; see ``VideoTracking``."""
        closer = None if self.closer is None else self.closer.knowledge
        return MemoryKnowledge(self.object_ids, self.state, self.tokens, closer, self.warnings)

    def look(self, frame: Frame, embedding: ImageEmbedding, /) -> MemoryLook:
        """Look for the objects in the next frame; see ``VideoTracking``."""
        state = self.state
        query = Query.of(state.memory, cell_features(embedding, self._dtype), state.last, state.seen)
        return MemoryLook(self, frame, embedding, query, foreground_prior(state.memory, query, self.settings))

    def after(self, state: MemoryState, closer: CloserLook | None) -> MemoryTracking:
        """Return the tracking after one more frame."""
        following = copy.copy(self)
        following.state, following.closer = state, closer
        return following


class MemoryLook:
    """A frame through the memory of N objects; see ``VideoLook``."""

    def __init__(
        self, tracking: MemoryTracking, frame: Frame, embedding: ImageEmbedding, query: Query, prior: Tensor
    ) -> None:
        self.prior = prior
        self._tracking, self._frame, self._embedding, self._query = tracking, frame, embedding, query
        # It changes while it looks; the tracking's own stays as it is.
        self._closer = copy.copy(tracking.closer)
        self._decoded: Decoded | None = None
        self._presence: CellPresence | None = None
        self._windows: list[Region] = []

    def masks(self, rivals: Tensor | None = None, /) -> tuple[Sequence[Patch], CellPresence]:
        """Ask the decoder for the objects' masks; see ``VideoLook``."""
        tracking, frame, embedding = self._tracking, self._frame, self._embedding
        prior = self.prior if rivals is None else outdone(self.prior, rivals, tracking.settings)
        logits = prior_to_logits(prior, embedding)
        others = None if rivals is None else prior_to_logits(rivals[None], embedding)[0].sigmoid()
        decoded = tracking.decoder.decode(frame, embedding, logits, tracking.tokens, rivals=others)
        if self._closer is not None:
            decoded = self._look_closer(self._closer, decoded, logits, others)
        self._decoded, self._presence = decoded, self._test(decoded.patches)
        self._windows = [patch.window for patch in decoded.patches]
        return decoded.patches, self._presence

    def _look_closer(self, closer: CloserLook, decoded: Decoded, logits: Tensor, others: Tensor | None) -> Decoded:
        """Give each object that is found and probably right its mask of the closer look, where that one scores higher.

        An object that is hardly recognised stays as it is: a closer look at something else only follows it more surely.
        """
        plain, settings = self._rate(decoded), self._tracking.settings
        trusted = plain > settings.closer_min_score
        near = closer.decode(logits, self._frame, self._embedding, self._query, trusted, others)
        if near is None:
            return decoded
        better = self._rate(near) > plain - settings.closer_margin
        return decoded.where(closer.spoken_of & better, near)

    def _rate(self, decoded: Decoded) -> Tensor:
        """Return the score, float, N, that masks would have if they were settled; 0 without a mask."""
        tracking, presence = self._tracking, self._test(decoded.patches)
        resolve_overlaps(decoded.patches, tracking.object_ids, self._embedding.geometry, tracking.aggregate, presence)
        seen = ~presence.similarity.isnan()
        return video_evidence(decoded.features, presence.coverage, seen, self._query, tracking.state.memory).score

    def settle(self, label_map: Tensor, /) -> tuple[MemoryTracking, Segmentation]:
        """Remember the objects that were recognised; see ``VideoLook``."""
        assert self._decoded is not None, "masks come first"
        assert self._presence is not None, "masks come first"
        state, query, settings = self._tracking.state, self._query, self._tracking.settings
        coverage, similarity = self._presence.coverage, self._presence.similarity
        present = ~similarity.isnan()
        evidence = video_evidence(self._decoded.features, coverage, present, query, state.memory)
        # What is probably another thing must not be learnt: it would be followed from then on.
        seen = present & (evidence.score >= settings.trusted_score)
        coverage = coverage * seen[:, None, None]
        memory = state.memory.update(query.view, coverage.flatten(1), seen, similarity, settings)
        last = torch.where(seen[:, None, None], coverage, state.last)
        # The size sinks out of sight as well: an object may come back smaller. Not every frame need be tracked.
        left = settings.size_decay ** max(abs(self._frame.index - state.index), 1)
        size = coverage.sum(dim=(1, 2)).maximum(left * state.size)
        found = Segmentation(label_map.cpu().numpy(), evidence.score, similarity, self._windows, evidence)
        closer = copy.copy(self._closer)
        if closer is not None:
            closer.update(label_map, seen)
        return self._tracking.after(MemoryState(memory, last, seen, size, self._frame.index), closer), found

    def _test(self, patches: Sequence[Patch]) -> CellPresence:
        """Accept masks about as similar to their memory as usual, and not much smaller than the object was."""
        state, query, settings = self._tracking.state, self._query, self._tracking.settings
        needed, min_cells = no_threshold(len(patches), query.last.device), query.last.new_zeros(len(patches))
        if settings.memory_presence:
            needed = settings.memory_presence * state.memory.expected_similarity(settings.initial_similarity)
            min_cells = settings.min_area_share * query.last.sum(dim=(1, 2))
            min_cells = torch.where(query.seen, min_cells, settings.min_return_share * state.size)
        ids, embedding = self._tracking.object_ids, self._embedding
        similarity_of = partial(mean_similarity, query.on_grid(query.similarity))
        return CellPresence(patches, ids, embedding, similarity_of, needed=needed, min_cells=min_cells)
