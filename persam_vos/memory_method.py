"""The method ``memory``: propagate, ask the decoder about the prior, fuse both, remember only what was recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from persam_vos.cells import cell_features
from persam_vos.closer_look import CloserLook
from persam_vos.config import TrackerSettings
from persam_vos.decoder import Decoder
from persam_vos.encoder import Encoder, ImageEmbedding
from persam_vos.frame import Frame
from persam_vos.memory import LIKENESS_BEFORE, Memory, View
from persam_vos.objects import Found, LabelMap, soft_aggregation
from persam_vos.prior import foreground_prior
from persam_vos.prior_decoder import Example, PriorDecoder, prior_odds

# What is smaller than this share of the object as last seen is nothing.
_SPECK = 0.01


@dataclass(frozen=True, slots=True)
class _State:
    """What goes from one frame to the next: the memory, where N objects were last seen, and whether just now."""

    memory: Memory
    last: Tensor
    seen: Tensor


class MemoryMethod:
    """Follows N objects by a memory that tells them from everything else."""

    def __init__(self, encoder: Encoder, decoder: Decoder, settings: TrackerSettings) -> None:
        self._decoder = PriorDecoder(decoder, settings)
        self._settings = settings
        self._object_ids: Sequence[int] = ()
        self._state: _State | None = None
        self._tokens: Tensor | None = None
        self._closer = CloserLook(encoder, settings) if settings.closer_look else None

    def start(
        self, frame: Frame, embedding: ImageEmbedding, label_map: LabelMap, object_ids: Sequence[int], /
    ) -> Found:
        """Learn the objects of the annotated frame."""
        masks = _masks(label_map, object_ids, embedding)
        shares = embedding.geometry.to_cells(masks, embedding.cells)
        memory = Memory.learn(cell_features(embedding), shares.flatten(1), self._settings.regularisation)
        self._object_ids = object_ids
        self._state = _State(memory, shares, torch.ones(len(masks), dtype=torch.bool, device=masks.device))
        if self._closer is not None:
            self._closer.start(frame, embedding, masks)
        if self._settings.mask_token:
            self._tokens = self._decoder.learn_tokens([self._example(frame, embedding, masks)])
        ones = torch.ones(len(masks))
        return Found(label_map, ones, ones)

    def step(self, frame: Frame, embedding: ImageEmbedding, /) -> Found:
        """Find the objects in the next frame."""
        state = self._state
        assert state is not None
        view = state.memory.basis.view(cell_features(embedding))
        nearest = state.memory.nearest(view)
        odds = self._propagate(frame, embedding, view, nearest)
        probability, predicted_iou = self._decoder.decode(frame, embedding, odds, self._tokens)
        label_map, shares, likeness = self._recognise(embedding, probability, nearest)
        seen = ~likeness.isnan()
        memory = state.memory.update(view, shares.flatten(1), seen, likeness, self._settings)
        self._state = _State(memory, torch.where(seen[:, None, None], shares, state.last), seen)
        if self._closer is not None:
            self._closer.update(embedding, _masks(label_map, self._object_ids, embedding), seen)
        return Found(label_map, predicted_iou, likeness)

    def _propagate(self, frame: Frame, embedding: ImageEmbedding, view: View, nearest: Tensor) -> Tensor:
        """Return the prior's log-odds, float N x 256 x 256 over the padded square."""
        state = self._state
        assert state is not None
        prior = foreground_prior(state.memory, view, nearest, state.last, state.seen, self._settings)
        odds = prior_odds(prior, embedding)
        if self._closer is not None:
            odds = self._closer.sharpen(odds, frame, embedding, state.last, state.seen)
        return odds

    def _example(self, frame: Frame, embedding: ImageEmbedding, masks: Tensor) -> Example:
        """Return the annotated frame with what the memory would say of it."""
        assert self._state is not None
        memory = self._state.memory
        odds = self._propagate(frame, embedding, memory.first[0], memory.nearest(memory.first[0]))
        return Example(embedding, odds, masks)

    def _recognise(
        self, embedding: ImageEmbedding, probability: Tensor, nearest: Tensor
    ) -> tuple[LabelMap, Tensor, Tensor]:
        """Share the pixels out among the objects that are there: SAM answers for those that are not as well.

        The object whose mask is least like its memory leaves, and the others compete anew for what it had won.

        Returns:
            The label map; float, N x rows x columns: share of each cell that its masks cover; float, N: mean of
            ``nearest`` under each mask, NaN where there is none.
        """
        assert self._state is not None
        needed = self._settings.memory_presence * self._state.memory.likeness.nan_to_num(LIKENESS_BEFORE)
        geometry, ids = embedding.geometry, self._object_ids
        label_map = soft_aggregation(probability, ids)
        masks = _masks(label_map, ids, embedding)
        shares = geometry.to_cells(masks, embedding.cells)
        while True:
            likeness = (nearest * shares.flatten(1)).sum(dim=1) / shares.sum(dim=(1, 2))
            likeness[~masks.flatten(1).any(dim=1)] = torch.nan
            surplus = (likeness - needed).nan_to_num(0.0)
            # A speck where a moment ago was an object is left over from the competition, not seen.
            speck = shares.sum(dim=(1, 2)) < _SPECK * self._state.last.sum(dim=(1, 2))
            surplus[speck & ~likeness.isnan()] = -1
            worst = int(surplus.argmin())
            if not self._settings.memory_presence or float(surplus[worst]) >= 0:
                return label_map, shares, likeness
            freed = masks[worst].clone()
            probability[worst] = 0
            won = soft_aggregation(probability[:, freed], ids)
            label_map[freed.cpu().numpy()] = won
            changed = [k for k, object_id in enumerate(ids) if k == worst or object_id in won]
            masks[changed] = _masks(label_map, [ids[k] for k in changed], embedding)
            shares[changed] = geometry.to_cells(masks[changed], embedding.cells)


def _masks(label_map: LabelMap, object_ids: Sequence[int], embedding: ImageEmbedding) -> Tensor:
    """Return bool, N x H x W, one mask per object."""
    ids = torch.tensor(object_ids, dtype=torch.uint8, device=embedding.features.device)
    return torch.from_numpy(label_map).to(ids.device) == ids[:, None, None]
