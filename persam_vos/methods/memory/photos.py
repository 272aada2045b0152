"""The method ``memory`` on photos: what tells the object from all else in its references, asked of other photos."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.media.frame import Frame
from persam_vos.methods.base import Proposal, Reference
from persam_vos.methods.memory.appearance import AppearanceModel, shallow_features
from persam_vos.methods.memory.bidirectional import BidirectionalSimilarity, self_similarity
from persam_vos.methods.memory.decoding import AnnotatedFrame, PriorDecoder, prior_to_logits
from persam_vos.methods.memory.matching import read_out
from persam_vos.methods.memory.memory import Memory, View
from persam_vos.methods.memory.prior import ridge_probability
from persam_vos.methods.memory.separation import largest_component, separate_instance
from persam_vos.sam.cells import cell_features
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.networks.sizes import MASK_SIDE_SAMPLES
from persam_vos.settings.photos import PhotoSettings

# Share of an object's cells that are less like the others than what counts as its kind, and how much less like them
# that may be, in cosine similarity.
_LEAST_ALIKE = 0.1
_ROOM = 0.05
# Probability of what lies elsewhere than the instance that is looked at.
_ELSEWHERE = 1e-3
# How much a cell and those around it must look like the object, on the scale of ``AppearanceModel``, not to be doubted.
_LOOKS_LIKE = 0.5


class MemoryPhotos:
    """The ridge regression and the matching of the memory tracker, without a frame before.

    Attributes:
        reference_similarity: See ``PhotoMethod``.
        both_ways: See ``PhotoMethod``.
        size: See ``PhotoMethod``.
    """

    both_ways = True

    def __init__(self, decoder: Decoder, settings: PhotoSettings) -> None:
        self._decoder = decoder
        self._settings = settings
        self._memory: Memory | None = None
        self._similarity: BidirectionalSimilarity | None = None
        self._tokens: Tensor | None = None
        self._appearance: AppearanceModel | None = None
        self.reference_similarity = torch.empty(0)
        self.size: float | None = None

    def learn(self, references: Sequence[Reference], object_ids: Sequence[int], /) -> None:
        """Learn from the cells of all references together; see ``PhotoMethod``."""
        features = [cell_features(reference.embedding) for reference in references]
        masks = [reference.masks(object_ids) for reference in references]
        coverage = [
            reference.embedding.geometry.to_cells(mask, reference.embedding.cells).flatten(1)
            for reference, mask in zip(references, masks, strict=True)
        ]
        cells, covered = torch.cat(features), torch.cat(coverage, dim=1)
        memory = Memory.learn(cells, covered, self._settings.regularisation)
        self._similarity = BidirectionalSimilarity.learn(features, coverage)
        self.reference_similarity = self._similarity.within_reference
        if self._settings.all_instances:
            kept = ~_look_alikes(memory)
            memory = Memory.learn(cells[kept], covered[:, kept], self._settings.regularisation)
            shallow = torch.cat([shallow_features(reference.embedding) for reference in references])
            self._appearance = AppearanceModel.learn(shallow[kept], covered[0, kept])
            self.size = max(float(mask.sum() ** 0.5) / max(mask.shape) for (mask,) in masks)
        self._memory, self._tokens = memory, None
        if self._settings.mask_token:
            examples = [
                AnnotatedFrame(
                    each.embedding,
                    prior_to_logits(self._prior(memory.view(cells), each.embedding), each.embedding),
                    mask,
                )
                for each, cells, mask in zip(references, features, masks, strict=True)
            ]
            self._tokens = PriorDecoder(self._decoder, self._settings).learn_tokens(examples)

    def look(
        self, frame: Frame, embedding: ImageEmbedding, taken: Tensor | None = None, aside: Tensor | None = None, /
    ) -> Proposal:
        """Ask the memory, then the decoder about what it says; see ``PhotoMethod``."""
        assert self._memory is not None
        assert self._similarity is not None
        geometry = embedding.geometry
        blocked = None if taken is None else geometry.to_grid(taken[None], MASK_SIDE_SAMPLES)[0] > 0.5
        cells = cell_features(embedding)
        prior, place = self._prior(self._memory.view(cells), embedding), None
        if self._appearance is not None:
            for pixels in (taken, aside):
                if pixels is not None:
                    prior = prior * (1 - geometry.to_cells(pixels[None], embedding.cells))
            looks = self._appearance.evidence(shallow_features(embedding)).unflatten(0, prior.shape[1:])
            prior, place = _one_instance(embedding, self._decoder, prior, looks, blocked)
        prior_logits = prior_to_logits(prior, embedding)
        patches, predicted_iou = PriorDecoder(self._decoder, self._settings).decode(
            frame, embedding, prior_logits, self._tokens, blocked=blocked
        )
        similarity_of = partial(self._similarity.of_masks, cells, self._similarity.nearest(cells))
        return Proposal(patches, predicted_iou, similarity_of, place)

    def _prior(self, view: View, embedding: ImageEmbedding) -> Tensor:
        """Say where the objects probably are: float, N x rows x columns in 0..1."""
        memory = self._memory
        assert memory is not None
        # Nothing is learnt later: these are all cells of the references. With fewer of them, PerSeg's IoU falls by 0.4.
        keys, coverage = memory.last
        prior = torch.lerp(ridge_probability(view), read_out(view.keys @ keys.T, coverage), self._settings.matching)
        laid_out: Tensor = prior.unflatten(1, embedding.geometry.valid(embedding.cells))
        return laid_out


def _one_instance(
    embedding: ImageEmbedding, decoder: Decoder, prior: Tensor, looks: Tensor, blocked: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Confine a prior, 1 x rows x columns, to one instance.

    Args:
        embedding: Of the photo.
        decoder: SAM's.
        prior: Of the object.
        looks: float, rows x columns: what ``AppearanceModel`` says of the cells.
        blocked: See ``Decoder.decode``.

    Returns:
        That prior; bool, rows x columns: the cells.
    """
    # What the reference did not show is often likely, by comparison, although it looks unlike the object.
    around = functional.avg_pool2d(looks[None], 3, stride=1, padding=1, count_include_pad=False)
    place = largest_component((prior * (around / _LOOKS_LIKE).clamp(0, 1))[0])
    if not bool(place.any()):
        return torch.full_like(prior, _ELSEWHERE), place
    place, likely = separate_instance(decoder, embedding, prior[0], place, blocked)
    return likely[None], place


def _look_alikes(memory: Memory) -> Tensor:
    """Say which cells of the references are as like the one object as its own are, though it is not there.

    More of its kind, perhaps, which nobody has marked: to learn that they are something else would hide all of them.

    Returns:
        bool, cells.
    """
    keys, coverage = memory.last
    usual = self_similarity(memory.object_keys[0][0]).quantile(_LEAST_ALIKE)
    return (memory.similarity(keys)[0] > usual - _ROOM) & (coverage[0] == 0)
