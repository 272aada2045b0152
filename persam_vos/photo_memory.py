"""The method ``memory`` on photos: what tells the object from all else in its references, asked of other photos."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.cells import cell_features
from persam_vos.decoder import Decoder
from persam_vos.encoder import ImageEmbedding
from persam_vos.frame import Frame
from persam_vos.likeness import Likeness, among
from persam_vos.matching import vote
from persam_vos.memory import Memory, View
from persam_vos.photo_config import PhotoSettings
from persam_vos.photo_method import Reference, Sighting
from persam_vos.prior import ridge_probability
from persam_vos.prior_decoder import Example, PriorDecoder, prior_odds

# Share of an object's cells that are less like the others than what counts as its kind, and how much less like them
# that may be, in cosine similarity.
_LEAST_ALIKE = 0.1
_ROOM = 0.05
# A probability above this is taken for the object, and below this, for something else.
_LIKELY = 0.5
_ELSEWHERE = 1e-3


class PhotoMemory:
    """The ridge regression and the matching of the memory tracker, without a frame before.

    Attributes:
        usual: See ``PhotoMethod``.
    """

    def __init__(self, decoder: Decoder, settings: PhotoSettings) -> None:
        self._decoder = decoder
        self._settings = settings
        self._memory: Memory | None = None
        self._likeness: Likeness | None = None
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
        cells, covered = torch.cat(features), torch.cat(shares, dim=1)
        memory = Memory.learn(cells, covered, self._settings.regularisation)
        self._likeness = Likeness.learn(features, shares)
        self.usual = self._likeness.usual
        if self._settings.all_instances:
            kept = ~_look_alikes(memory)
            memory = Memory.learn(cells[kept], covered[:, kept], self._settings.regularisation)
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
        assert self._likeness is not None
        geometry, decoder = embedding.geometry, self._decoder
        if taken is not None:
            decoder = decoder.without(geometry.to_grid(taken[None], 4 * embedding.cells)[0] > 0.5)
        cells = cell_features(embedding)
        odds = self._odds(self._memory.basis.view(cells), embedding, taken)
        patches, predicted_iou = PriorDecoder(decoder, self._settings).decode(frame, embedding, odds, self._tokens)
        likeness_of = partial(self._likeness.of_masks, cells, self._likeness.nearest(cells))
        return Sighting(patches, predicted_iou, likeness_of)

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
        if self._settings.all_instances:
            prior = _most_of_one_part(prior)
        return prior_odds(prior, embedding)


def _look_alikes(memory: Memory) -> Tensor:
    """Say which cells of the references are as like the one object as its own are, though it is not there.

    More of its kind, perhaps, which nobody has marked: to learn that they are something else would hide all of them.

    Returns:
        bool, cells.
    """
    view, shares = memory.first
    usual = among(memory.own_keys[0][0]).quantile(_LEAST_ALIKE)
    return (memory.nearest(view)[0] > usual - _ROOM) & (shares[0] == 0)


def _most_of_one_part(prior: Tensor) -> Tensor:
    """Keep, of 1 x rows x columns, the connected part that is most of the object; elsewhere nothing is likely."""
    likely = (prior[0] > _LIKELY).cpu().numpy()
    count, parts = cv2.connectedComponents(likely.astype(np.uint8), connectivity=4)
    if count <= 2:
        return prior
    sizes = np.bincount(parts.ravel(), weights=prior[0].cpu().numpy().ravel())
    sizes[0] = 0
    others = torch.from_numpy(likely & (parts != int(sizes.argmax()))).to(prior.device)
    return prior.masked_fill(others, _ELSEWHERE)
