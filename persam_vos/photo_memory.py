"""The method ``memory`` on photos: what tells the object from all else in its references, asked of other photos."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from persam_vos.cells import cell_features
from persam_vos.decoder import Decoder
from persam_vos.encoder import ImageEmbedding
from persam_vos.frame import Frame
from persam_vos.matching import vote
from persam_vos.memory import Memory, View
from persam_vos.photo_config import PhotoSettings
from persam_vos.photo_method import Reference, Sighting
from persam_vos.prior import ridge_probability
from persam_vos.prior_decoder import Example, PriorDecoder, prior_odds


class PhotoMemory:
    """The ridge regression and the matching of the memory tracker, without a frame before.

    Attributes:
        usual: See ``PhotoMethod``.
    """

    def __init__(self, decoder: Decoder, settings: PhotoSettings) -> None:
        self._decoder = decoder
        self._settings = settings
        self._memory: Memory | None = None
        self._tokens: Tensor | None = None
        self.usual = torch.empty(0)

    def learn(self, references: Sequence[Reference], object_ids: Sequence[int], /) -> None:
        """Learn from the cells of all references together; see ``PhotoMethod``."""
        features = [cell_features(reference.embedding) for reference in references]
        masks = [reference.masks(object_ids) for reference in references]
        shares = [
            reference.embedding.geometry.to_cells(mask, reference.embedding.cells).flatten(1)
            for reference, mask in zip(references, masks, strict=True)
        ]
        memory = Memory.learn(torch.cat(features), torch.cat(shares, dim=1), self._settings.regularisation)
        # What was learnt from is like itself.
        self.usual = features[0].new_ones(len(object_ids))
        self._memory, self._tokens = memory, None
        if self._settings.mask_token:
            examples = [
                Example(each.embedding, self._odds(memory.basis.view(cells), each.embedding, None), mask)
                for each, cells, mask in zip(references, features, masks, strict=True)
            ]
            self._tokens = PriorDecoder(self._decoder, self._settings).learn_tokens(examples)

    def look(self, frame: Frame, embedding: ImageEmbedding, taken: Tensor | None = None, /) -> Sighting:
        """Ask the memory, then the decoder about what it says; see ``PhotoMethod``."""
        assert self._memory is not None
        geometry, decoder = embedding.geometry, self._decoder
        if taken is not None:
            decoder = decoder.without(geometry.to_grid(taken[None], 4 * embedding.cells)[0] > 0.5)
        view = self._memory.basis.view(cell_features(embedding))
        odds = self._odds(view, embedding, taken)
        probability, predicted_iou = PriorDecoder(decoder, self._settings).decode(frame, embedding, odds, self._tokens)
        similarity = self._memory.nearest(view).unflatten(1, geometry.valid(embedding.cells))
        return Sighting(probability.logit(), predicted_iou, similarity)

    def _odds(self, view: View, embedding: ImageEmbedding, taken: Tensor | None) -> Tensor:
        """Return the prior's log-odds, float N x 256 x 256 over the padded square."""
        memory, geometry = self._memory, embedding.geometry
        assert memory is not None
        first, shares = memory.first
        matched = vote(view.keys @ first.keys.T, shares)
        prior = torch.lerp(ridge_probability(memory, view), matched, self._settings.matching)
        prior = prior.unflatten(1, geometry.valid(embedding.cells))
        if taken is not None:
            prior = prior * (1 - geometry.to_cells(taken[None], embedding.cells))
        return prior_odds(prior, embedding)
