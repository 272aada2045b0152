"""The method ``memory`` on photos: annotated references go in, then each photo; its ``Proposal`` comes out.

Ridge regression and global matching make the prior, as on video; without a frame before, there is no local
matching and no gate. Where all instances are wanted, the prior is confined to one instance at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.media.frame import Frame
from persam_vos.methods.base import Proposal, Reference, blocked_samples
from persam_vos.methods.memory.appearance import AppearanceModel, shallow_features
from persam_vos.methods.memory.bidirectional import BidirectionalSimilarity, self_similarity
from persam_vos.methods.memory.decoding import AnnotatedPrior, PriorDecoder, prior_to_logits
from persam_vos.methods.memory.evidence import photo_evidence
from persam_vos.methods.memory.gate import RULED_OUT_PROBABILITY
from persam_vos.methods.memory.matching import TopK, read_out
from persam_vos.methods.memory.memory import Memory
from persam_vos.methods.memory.pieces import keep_most_similar_pieces, largest_piece
from persam_vos.methods.memory.prior import ridge_probability
from persam_vos.methods.memory.separation import largest_component, separate_instance
from persam_vos.sam.cells import cell_features
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.settings.photos import PhotoSettings


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What references have taught.

    Attributes:
        memory: Of N objects.
        similarity: Of masks to their objects.
        appearance: Of the one object of which all instances are wanted; None otherwise.
    """

    memory: Memory
    similarity: BidirectionalSimilarity
    appearance: AppearanceModel | None


class MemoryPhotos:
    """Finds objects in photos by ridge regression and global matching.

    Attributes:
        reference_similarity: See ``PhotoMethod``; NaN before ``learn``.
        instance_size: See ``PhotoMethod``; None before ``learn``.
    """

    def __init__(self, decoder: Decoder, settings: PhotoSettings) -> None:
        self._decoder = decoder
        self._settings = settings
        self._learnt: _Learnt | None = None
        self._tokens: Tensor | None = None
        self.reference_similarity = torch.empty(0)
        self.instance_size: float | None = None

    def learn(self, references: Sequence[Reference], object_ids: Sequence[int], /) -> None:
        """Learn from the cells of all references together; see ``PhotoMethod``."""
        features = [cell_features(reference.embedding) for reference in references]
        masks = [reference.masks(object_ids) for reference in references]
        coverage = [
            reference.embedding.geometry.to_cells(mask, reference.embedding.cells).flatten(1)
            for reference, mask in zip(references, masks, strict=True)
        ]
        cells, covered = torch.cat(features), torch.cat(coverage, dim=1)
        memory, appearance = Memory.learn(cells, covered, self._settings), None
        similarity = BidirectionalSimilarity.learn(features, coverage, self._settings)
        if self._settings.all_instances:
            kept = ~_look_alikes(memory, self._settings)
            memory = Memory.learn(cells[kept], covered[:, kept], self._settings)
            shallow = torch.cat([shallow_features(reference.embedding) for reference in references])
            appearance = AppearanceModel.learn(shallow[kept], covered[0, kept], self._settings)
            self.instance_size = max(float(mask.sum() ** 0.5) / max(mask.shape) for (mask,) in masks)
        self.reference_similarity = similarity.within_reference
        self._learnt = _Learnt(memory, similarity, appearance)
        self._tokens = self._learn_tokens(references, features, masks, memory) if self._settings.mask_token else None

    def look(
        self, frame: Frame, embedding: ImageEmbedding, *, occupied: Tensor | None = None, ignored: Tensor | None = None
    ) -> Proposal:
        """Make a prior and decode it; see ``PhotoMethod``."""
        if (learnt := self._learnt) is None:
            raise RuntimeError("learn must come before look")
        geometry = embedding.geometry
        blocked = blocked_samples(occupied, geometry)
        cells = cell_features(embedding)
        prior, place = self._prior(learnt.memory, cells, embedding), None
        if learnt.appearance is not None:
            for pixels in (occupied, ignored):
                if pixels is not None:
                    prior = prior * (1 - geometry.to_cells(pixels[None], embedding.cells))
            evidence = learnt.appearance.evidence(shallow_features(embedding)).unflatten(0, prior.shape[1:])
            prior, place = self._confine_to_instance(embedding, prior, evidence, blocked)
        logits = prior_to_logits(prior, embedding)
        decoder = PriorDecoder(self._decoder, self._settings)
        decoded = decoder.decode(frame, embedding, logits, self._tokens, blocked=blocked)
        similarity_of = partial(learnt.similarity.of_masks, cells, learnt.similarity.nearest(cells))
        evidence_of = partial(photo_evidence, decoded.features, self.reference_similarity)
        return Proposal(decoded.patches, similarity_of, evidence_of, place)

    def settle(
        self,
        label_map: Tensor,
        object_ids: Sequence[int],
        similarity: Tensor,
        proposal: Proposal,
        embedding: ImageEmbedding,
        /,
    ) -> Tensor:
        """Keep only the best piece if it alone is at least as similar as the whole mask; see ``PhotoMethod``.

        The pieces then are several things: two halves of one thing are less similar than both together, since the
        similarity also asks how much of the object a mask shows.
        """
        return keep_most_similar_pieces(
            label_map, object_ids, similarity, proposal, embedding, self._settings.other_piece_share
        )

    def single_instance(self, mask: Tensor, /) -> Tensor:
        """Leave out pieces that are other instances; see ``PhotoMethod``."""
        return largest_piece(mask, self._settings.other_piece_share) if self._settings.all_instances else mask

    def _prior(self, memory: Memory, cells: Tensor, embedding: ImageEmbedding) -> Tensor:
        """Return the probability of each object: float, N x rows x columns in 0..1."""
        settings, view = self._settings, memory.view(cells)
        # ``recent`` holds all cells of the references. With ``sample_cells`` of them PerSeg's IoU falls by 0.4.
        stored, top_k = memory.recent, TopK(settings.top_k, settings.matching_temperature)
        matched = read_out(view.keys @ stored.keys.T, stored.values, top_k)
        prior = torch.lerp(ridge_probability(view, settings), matched, settings.matching)
        laid_out: Tensor = prior.unflatten(1, embedding.geometry.valid(embedding.cells))
        return laid_out

    def _learn_tokens(
        self, references: Sequence[Reference], features: Sequence[Tensor], masks: Sequence[Tensor], memory: Memory
    ) -> Tensor:
        examples = [
            AnnotatedPrior(
                each.embedding, prior_to_logits(self._prior(memory, cells, each.embedding), each.embedding), mask
            )
            for each, cells, mask in zip(references, features, masks, strict=True)
        ]
        return PriorDecoder(self._decoder, self._settings).learn_tokens(examples)

    def _confine_to_instance(
        self, embedding: ImageEmbedding, prior: Tensor, evidence: Tensor, blocked: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Confine a prior, 1 x rows x columns, to one instance.

        Args:
            embedding: Of the photo.
            prior: Of the object.
            evidence: float, rows x columns: by ``AppearanceModel``.
            blocked: See ``Decoder.decode``.

        Returns:
            The confined prior; bool, rows x columns: the instance's cells.
        """
        settings = self._settings
        # What no reference shows is often likely, by comparison, although it looks unlike the object.
        around = functional.avg_pool2d(evidence[None], 3, stride=1, padding=1, count_include_pad=False)
        reduced = prior * (around / settings.sure_evidence).clamp(0, 1)
        place = largest_component(reduced[0], min_cells=settings.min_component_cells)
        if not bool(place.any()):
            return torch.full_like(prior, RULED_OUT_PROBABILITY), place
        place, likely = separate_instance(self._decoder, embedding, prior[0], place, settings, blocked=blocked)
        return likely[None], place


def _look_alikes(memory: Memory, settings: PhotoSettings) -> Tensor:
    """Return which background cells of the references are as similar to the object as its own: bool, cells.

    They may be more instances that nobody has marked; learnt as background, they would hide all instances.
    """
    stored = memory.recent
    usual = self_similarity(memory.object_keys[0][0]).quantile(settings.look_alike_quantile)
    return (memory.similarity(stored.keys)[0] > usual - settings.look_alike_margin) & (stored.values[0] == 0)
