"""The method ``memory``: propagate, ask the decoder about the prior, fuse both, remember only what was recognised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.cells import cell_features, onto_square
from persam_vos.closer_look import CloserLook
from persam_vos.colours import follow_colours
from persam_vos.config import TrackerSettings
from persam_vos.decoder import NO_PICTURE, Decoder, Prompts, windows_around
from persam_vos.encoder import Encoder, ImageEmbedding
from persam_vos.frame import Frame, Geometry
from persam_vos.mask_token import learn_mask_token
from persam_vos.memory import LIKENESS_BEFORE, Memory, View
from persam_vos.objects import Found, LabelMap, box_xyxy, cell_shares, soft_aggregation
from persam_vos.patches import Patch, patches_of
from persam_vos.prior import SHARPEST, foreground_prior
from persam_vos.region import NOWHERE

# Side of the decoder's masks, of which it takes one as a prompt, and the strongest logits it was trained on there.
_FINE = 256
_STRONGEST = 10.0
# What each pass is told: whether with the mask prompt, and by which share of its size the box is grown. SAM's answer
# hangs on the box more than it should, and without the mask prompt it is another opinion.
_PASSES = ((True, 0.0), (False, 0.0), (True, 0.1), (True, 0.05))
# A mask that agrees with the prior less than this is doubted.
_AGREED = 0.8
# However much the mask is doubted, the share of the prior stays under this.
_MOST_OF_PRIOR = 0.9
# Log-odds under which a mask is nothing: a share of 0.01, which never wins a pixel and hardly ever decides who does.
_NOTHING = -4.6
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
        self._decoder = decoder
        self._settings = settings
        self._object_ids: Sequence[int] = ()
        self._state: _State | None = None
        self._tokens: Tensor | None = None
        self._closer = CloserLook(encoder, settings) if settings.closer_look else None

    def start(
        self, frame: Frame, embedding: ImageEmbedding, label_map: LabelMap, object_ids: Sequence[int], /
    ) -> Found:
        """Learn the objects of the annotated frame."""
        ids = torch.tensor(object_ids, dtype=torch.uint8, device=embedding.features.device)
        masks = torch.from_numpy(label_map).to(ids.device) == ids[:, None, None]
        shares = embedding.geometry.to_cells(masks, embedding.cells)
        memory = Memory.learn(cell_features(embedding), shares.flatten(1), self._settings.regularisation)
        self._object_ids = object_ids
        self._state = _State(memory, shares, torch.ones(len(masks), dtype=torch.bool, device=masks.device))
        if self._closer is not None:
            self._closer.start(frame, embedding, masks)
        if self._settings.mask_token:
            self._tokens = self._learn_tokens(frame, embedding, masks)
        ones = torch.ones(len(masks))
        return Found(label_map, ones, ones)

    def step(self, frame: Frame, embedding: ImageEmbedding, /) -> Found:
        """Find the objects in the next frame."""
        state = self._state
        assert state is not None
        view = state.memory.basis.view(cell_features(embedding))
        nearest = state.memory.nearest(view)
        odds = self._propagate(frame, embedding, view, nearest)
        patches, predicted_iou = self._decode(frame, embedding, odds)
        label_map, shares, likeness = self._recognise(embedding, patches, nearest)
        seen = ~likeness.isnan()
        memory = state.memory.update(view, shares.flatten(1), seen, likeness, self._settings)
        self._state = _State(memory, torch.where(seen[:, None, None], shares, state.last), seen)
        windows = [patch.window for patch in patches]
        if self._closer is not None:
            finer = cell_shares(label_map, self._object_ids, windows, embedding.geometry, 2 * embedding.cells)
            self._closer.update(finer, seen)
        return Found(label_map.cpu().numpy(), predicted_iou, likeness, windows)

    def _propagate(self, frame: Frame, embedding: ImageEmbedding, view: View, nearest: Tensor) -> Tensor:
        """Return the prior's log-odds, float N x 256 x 256 over the padded square."""
        state = self._state
        assert state is not None
        prior = foreground_prior(state.memory, view, nearest, state.last, state.seen, self._settings)
        odds = onto_square(prior.logit(eps=SHARPEST), _FINE, embedding.cells, NO_PICTURE)
        if self._closer is not None:
            odds = self._closer.sharpen(odds, frame, embedding, state.last, state.seen)
        return odds

    def _learn_tokens(self, frame: Frame, embedding: ImageEmbedding, masks: Tensor) -> Tensor:
        """Answer the annotated frame as if it were another one, and learn what the answers lack.

        Returns:
            float, N x (``token_size`` + 1): of each object, the constant last; 0 for one that the prior does not show.
        """
        assert self._state is not None
        geometry, size = embedding.geometry, self._decoder.token_size
        memory = self._state.memory
        odds = self._propagate(frame, embedding, memory.first[0], memory.nearest(memory.first[0]))
        points, boxes, known = _located(odds, geometry)
        annotated = geometry.to_grid(masks, _FINE)
        every_number = torch.eye(size, device=odds.device)[None]
        tokens = odds.new_zeros(len(odds), size + 1)
        # One by one: the upscaled embedding is large.
        for i in known.nonzero()[:, 0].tolist():
            windows = windows_around(boxes[[i]], geometry, embedding.cells)
            prompts = next(self._prompts(odds[[i]], points[[i]], boxes[[i]]))
            answers = self._decoder.decode(embedding, prompts, windows=windows, own_tokens=every_number)
            weights = self._weigh(answers.logits, answers.predicted_iou, odds[[i]], geometry)
            here = windows[0].cut(4)
            tokens[i] = learn_mask_token(
                answers.own_logits[0][here].flatten(1),
                _mix(answers.logits, weights)[0][here].flatten(),
                annotated[i][here].flatten(),
            )
        return tokens

    def _decode(self, frame: Frame, embedding: ImageEmbedding, odds: Tensor) -> tuple[list[Patch], Tensor]:
        """Turn log-odds, N x 256 x 256, into N masks on the frame, and N predicted IoUs.

        For an object that is likely nowhere the decoder is not asked: it would answer all the same.
        """
        geometry = embedding.geometry
        points, boxes, known = _located(odds, geometry)
        found = torch.full_like(odds, NO_PICTURE)
        predicted_iou = odds.new_zeros(len(odds))
        if bool(known.any()):
            odds = odds[known]
            tokens = None if self._tokens is None else self._tokens[known]
            logits, predicted_iou[known] = self._ask(embedding, odds, points[known], boxes[known], tokens)
            prior = odds.sigmoid()
            # To the decoder, a ball in front of a person is part of the person; the prior knows whose cell it is.
            mask = self._fuse(logits.sigmoid(), prior, geometry) * (prior / prior.amax(dim=0))
            found[known] = mask.logit(eps=SHARPEST)
        if not self._settings.colours:
            return patches_of(found, geometry, _NOTHING), predicted_iou
        return follow_colours(found, frame.rgb, geometry, self._settings.colours, _NOTHING), predicted_iou

    def _ask(
        self, embedding: ImageEmbedding, odds: Tensor, points: Tensor, boxes: Tensor, tokens: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Prompt the decoder with all that the prior says, and choose: N x 256 x 256 logits, N predicted IoUs."""
        geometry = embedding.geometry
        windows = windows_around(boxes, geometry, embedding.cells)
        own = None if tokens is None else tokens[:, None, :-1]
        answers = [
            self._decoder.decode(embedding, prompts, windows=windows, own_tokens=own)
            for prompts in self._prompts(odds, points, boxes)
        ]
        logits = torch.cat([each.logits for each in answers], dim=1)
        predicted_iou = torch.cat([each.predicted_iou for each in answers], dim=1)
        weights = self._weigh(logits, predicted_iou, odds, geometry)
        mixed = _mix(logits, weights)
        if tokens is not None:
            # Added after the choice: what all candidates share would make them look more alike than they are.
            lacking = torch.cat([each.own_logits for each in answers], dim=1)
            mixed += _mix(lacking, weights.unflatten(1, (len(answers), -1)).sum(dim=2)) + tokens[:, -1, None, None]
        return mixed, (predicted_iou * weights).sum(dim=1)

    def _prompts(self, odds: Tensor, points: Tensor, boxes: Tensor) -> Iterator[Prompts]:
        """Yield the prompts of each pass."""
        settings = self._settings
        every = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
        bare = Prompts(points[:, None], every[:, None].int())
        told = bare.with_mask((settings.mask_prompt * odds).clamp(-_STRONGEST, _STRONGEST))
        for with_mask, growth in _PASSES[: settings.passes]:
            room = growth * (boxes[:, 2:] - boxes[:, :2])
            grown = torch.cat([boxes[:, :2] - room, boxes[:, 2:] + room], dim=1)
            yield (told if with_mask else bare).with_boxes(grown, every)

    def _weigh(self, logits: Tensor, predicted_iou: Tensor, odds: Tensor, geometry: Geometry) -> Tensor:
        """Weigh the candidates, N x C, of all passes by what decoder and prior agree on best: N x C, of sum 1."""
        agreement = _soft_iou(logits.sigmoid(), odds[:, None].sigmoid(), geometry)
        value = agreement + self._settings.quality_share * predicted_iou
        return (value / self._settings.choice_temperature).softmax(dim=1)

    def _fuse(self, mask: Tensor, prior: Tensor, geometry: Geometry) -> Tensor:
        """Mix the decoder's mask with the prior, both N x 256 x 256 in 0..1; the less they agree, the more prior.

        The decoder knows edges; the prior knows the object. Where they part, the decoder has most often taken
        something else for it.
        """
        doubt = (_AGREED - _soft_iou(mask, prior, geometry)).clamp(min=0)
        share = (self._settings.prior_share + self._settings.doubt * doubt).clamp(max=_MOST_OF_PRIOR)
        return torch.lerp(mask, prior, share[:, None, None])

    def _recognise(
        self, embedding: ImageEmbedding, patches: list[Patch], nearest: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Share the pixels out among the objects that are there: SAM answers for those that are not as well.

        The object whose mask is least like its memory leaves, and its patch; the others compete anew for what it had
        won.

        Returns:
            uint8, H x W: the label map; float, N x rows x columns: share of each cell that its masks cover; float, N:
            mean of ``nearest`` under each mask, NaN where there is none.
        """
        assert self._state is not None
        needed = self._settings.memory_presence * self._state.memory.likeness.nan_to_num(LIKENESS_BEFORE)
        geometry, ids = embedding.geometry, self._object_ids
        label_map = soft_aggregation(patches, ids, (slice(0, geometry.height), slice(0, geometry.width)))
        shares = cell_shares(label_map, ids, [patch.window for patch in patches], geometry, embedding.cells)
        while True:
            covered = shares.sum(dim=(1, 2))
            likeness = (nearest * shares.flatten(1)).sum(dim=1) / covered
            surplus = (likeness - needed).nan_to_num(0.0)
            # A speck where a moment ago was an object is left over from the competition, not seen.
            speck = covered < _SPECK * self._state.last.sum(dim=(1, 2))
            surplus[speck & ~likeness.isnan()] = -1
            worst = int(surplus.argmin())
            if not self._settings.memory_presence or float(surplus[worst]) >= 0:
                return label_map, shares, likeness
            changed = self._withdraw(worst, patches, label_map)
            shares[changed] = cell_shares(
                label_map,
                [ids[k] for k in changed],
                [patches[k].window for k in changed],
                geometry,
                embedding.cells,
            )

    def _withdraw(self, which: int, patches: list[Patch], label_map: Tensor) -> list[int]:
        """Take an object out of the competition, in place, and return whose masks that changes: its own, others'."""
        ids, leaves = self._object_ids, patches[which]
        patches[which] = Patch(NOWHERE, leaves.log_odds[NOWHERE])
        here = label_map[leaves.window]
        freed = here == ids[which]
        won = soft_aggregation(patches, ids, leaves.window)[freed]
        here[freed] = won
        pixels = won.bincount(minlength=256).tolist()
        return [k for k, object_id in enumerate(ids) if k == which or pixels[object_id]]


def _mix(grids: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sums of N x C x h x w, with weights N x C: N x h x w."""
    return (grids * weights[..., None, None]).sum(dim=1)


def _soft_iou(a: Tensor, b: Tensor, geometry: Geometry) -> Tensor:
    """Return the sum of minima over the sum of maxima, of the picture's part of ... x 256 x 256 in 0..1."""
    rows, columns = geometry.valid(_FINE)
    a, b = a[..., :rows, :columns], b[..., :rows, :columns]
    return torch.minimum(a, b).sum(dim=(-2, -1)) / torch.maximum(a, b).sum(dim=(-2, -1))


def _located(logits: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor, Tensor]:
    """Find the point deepest inside each likely region, weighed by how likely, and its tight box.

    Args:
        logits: float, N x 256 x 256 over the padded square.
        geometry: Of the frame.

    Returns:
        Points, float N x 2, and boxes, float N x 4 as XYXY, in pixels of the frame; bool, N: whether there are any,
        which are 0 where nothing is likely.
    """
    rows, columns = geometry.valid(_FINE)
    located = np.zeros((len(logits), 6), np.float32)
    for i, probability in enumerate(logits[:, :rows, :columns].sigmoid().cpu().numpy()):
        likely = probability > 0.5
        if (box := box_xyxy(likely)) is None:
            continue
        depth = cv2.distanceTransform(np.pad(likely, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        y, x = np.unravel_index(int((depth[1:-1, 1:-1] * probability).argmax()), likely.shape)
        located[i] = (x + 0.5, y + 0.5, box[0], box[1], box[2] + 1, box[3] + 1)
    (height, width), pixel = geometry.resized, geometry.input_size / _FINE
    scale = np.tile([pixel * geometry.width / width, pixel * geometry.height / height], 3)
    placed = torch.from_numpy((located * scale).astype(np.float32)).to(logits.device)
    # A box has room for a sample at least.
    return placed[:, :2], placed[:, 2:], placed[:, 4] > placed[:, 2]
