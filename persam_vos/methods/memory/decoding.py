"""Priors go in, masks on the frame come out: SAM's decoder is prompted with the prior, and its mask is mixed with it.

The best candidates are those that agree with the prior; the object's own mask token and its colour model correct them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import box_xyxy, interior_depth
from persam_vos.media.frame import Frame
from persam_vos.methods.colour_model import follow_colours
from persam_vos.methods.memory.mask_token import learn_mask_token
from persam_vos.methods.memory.prior import MIN_PROBABILITY
from persam_vos.sam.cells import upsample_to_square
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.networks.sizes import MASK_SIDE_SAMPLES, SAMPLES_PER_CELL_SIDE
from persam_vos.sam.patches import MIN_MASK_LOGIT, Patch, masks_to_patches
from persam_vos.sam.prompts import OUTSIDE_LOGIT, Prompts
from persam_vos.sam.windows import windows_around
from persam_vos.settings.common import MemorySettings

# Largest absolute logit of a mask prompt: a property of the network, whose training had no larger ones.
_MAX_PROMPT_LOGIT = 10.0
# Each pass: whether it has the mask prompt, and by how many ``box_growth`` its box grows. SAM's answer depends on the
# box more than it should, and without the mask prompt it is another opinion.
_PASSES = ((True, 0.0), (False, 0.0), (True, 1.0), (True, 0.5))
# Of ``Decoded``, in the order in which they are computed.
_FEATURES = ("predicted_iou", "softness", "prior_softness", "cells")


@dataclass(frozen=True, slots=True)
class AnnotatedPrior:
    """An annotated frame and its prior, from which mask tokens are learnt.

    Attributes:
        embedding: Of the frame.
        prior_logits: float, N x 256 x 256 over the padded square: logits of the priors, see ``prior_to_logits``.
        masks: bool, N x H x W: the annotation.
    """

    embedding: ImageEmbedding
    prior_logits: Tensor
    masks: Tensor


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the decoder makes of the priors of N objects.

    Attributes:
        patches: N masks on the frame.
        features: Their evidence as far as it is seen here, float N each: ``predicted_iou``; ``softness`` of the mask
            and ``prior_softness`` of the prior under it, 0 where all is certain, towards 1 where all is undecided; area
            in ``cells``. All are 0 for an object that is likely nowhere.
    """

    patches: list[Patch]
    features: dict[str, Tensor]

    def where(self, taken: Tensor, other: Decoded) -> Decoded:
        """Return these masks, but the others of the objects that are ``taken``: bool, N."""
        pairs = zip(self.patches, other.patches, taken.tolist(), strict=True)
        features = {name: torch.where(taken, other.features[name], own) for name, own in self.features.items()}
        return Decoded([theirs if take else own for own, theirs, take in pairs], features)


def prior_to_logits(prior: Tensor, embedding: ImageEmbedding) -> Tensor:
    """Bring priors, float N x rows x columns in 0..1, to logits on the decoder's grid: N x 256 x 256."""
    return upsample_to_square(prior.logit(eps=MIN_PROBABILITY), MASK_SIDE_SAMPLES, embedding.cells, OUTSIDE_LOGIT)


class PriorDecoder:
    """Turns priors of N objects into their masks."""

    def __init__(self, decoder: Decoder, settings: MemorySettings) -> None:
        self._decoder = decoder
        self._settings = settings

    def learn_tokens(self, examples: Sequence[AnnotatedPrior]) -> Tensor:
        """Segment annotated frames as if they were not annotated, and learn what the masks lack.

        Args:
            examples: Annotated frames of the same N objects, at least one.

        Returns:
            float, N x (``token_size`` + 1): of each object, the constant last; 0 for an object that no prior shows.
        """
        prior_logits = examples[0].prior_logits
        tokens = prior_logits.new_zeros(len(prior_logits), self._decoder.token_size + 1)
        # One object at a time: the upscaled embedding is large.
        for i in range(len(prior_logits)):
            samples = [sample for example in examples if (sample := self._token_samples(example, i)) is not None]
            if samples:
                features, logits, annotated = (torch.cat(each, dim=-1) for each in zip(*samples, strict=True))
                tokens[i] = learn_mask_token(
                    features, logits, annotated, regularisation=self._settings.token_regularisation
                )
        return tokens

    def _token_samples(self, example: AnnotatedPrior, i: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """Return the arguments of ``learn_mask_token`` for object ``i``; None if the prior does not show it."""
        embedding, prior_logits = example.embedding, example.prior_logits[[i]]
        geometry = embedding.geometry
        points, boxes, known = _points_and_boxes(prior_logits, geometry)
        if not bool(known):
            return None
        windows = windows_around(boxes, geometry, embedding.cells)
        every_number = torch.eye(self._decoder.token_size, device=prior_logits.device)[None]
        prompts = next(self._prompts(prior_logits, points, boxes))
        answers = self._decoder.decode(embedding, prompts, windows=windows, extra_tokens=every_number)
        weights = self._weigh(answers.logits, answers.predicted_iou, prior_logits, geometry)
        here = (..., *windows[0].scaled(SAMPLES_PER_CELL_SIDE))
        return (
            answers.extra_logits[0][here].flatten(1),
            _mix(answers.logits, weights)[0][here].flatten(),
            geometry.to_grid(example.masks[[i]], MASK_SIDE_SAMPLES)[0][here].flatten(),
        )

    def decode(
        self,
        frame: Frame,
        embedding: ImageEmbedding,
        prior_logits: Tensor,
        tokens: Tensor | None,
        *,
        blocked: Tensor | None = None,
        rivals: Tensor | None = None,
    ) -> Decoded:
        """Turn priors into masks.

        An object that is likely nowhere is left out: the decoder would segment something all the same.

        Args:
            frame: The frame.
            embedding: Of it.
            prior_logits: float, N x 256 x 256 over the padded square: logits of the priors, see ``prior_to_logits``.
            tokens: Of the N objects, by ``learn_tokens``; None for none.
            blocked: See ``Decoder.decode``.
            rivals: float, 256 x 256 in 0..1: the highest probability of an object besides these; None for none.
        """
        geometry = embedding.geometry
        points, boxes, known = _points_and_boxes(prior_logits, geometry)
        found = torch.full_like(prior_logits, OUTSIDE_LOGIT)
        features = {name: prior_logits.new_zeros(len(prior_logits)) for name in _FEATURES}
        if bool(known.any()):
            prior_logits = prior_logits[known]
            own = None if tokens is None else tokens[known]
            asked = points[known], boxes[known], own, blocked
            logits, predicted_iou = self._predict(embedding, prior_logits, *asked)
            prior = prior_logits.sigmoid()
            judged = predicted_iou, *_certainty(logits.sigmoid(), prior, geometry)
            for name, values in zip(_FEATURES, judged, strict=True):
                features[name][known] = values
            # The decoder would give a person the ball in front of them; scale by the object's share of the best prior.
            best = prior.amax(dim=0) if rivals is None else prior.amax(dim=0).maximum(rivals)
            mask = self._fuse(logits.sigmoid(), prior, geometry) * (prior / best)
            found[known] = mask.logit(eps=MIN_PROBABILITY)
        if not self._settings.colours:
            return Decoded(masks_to_patches(found, geometry, MIN_MASK_LOGIT), features)
        return Decoded(follow_colours(found, frame.rgb, geometry, self._settings, MIN_MASK_LOGIT), features)

    def _predict(
        self,
        embedding: ImageEmbedding,
        prior_logits: Tensor,
        points: Tensor,
        boxes: Tensor,
        tokens: Tensor | None,
        blocked: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Run all passes and mix their candidates: N x 256 x 256 logits, N predicted IoUs."""
        geometry = embedding.geometry
        windows = windows_around(boxes, geometry, embedding.cells)
        own = None if tokens is None else tokens[:, None, :-1]
        answers = [
            self._decoder.decode(embedding, prompts, windows=windows, extra_tokens=own, blocked=blocked)
            for prompts in self._prompts(prior_logits, points, boxes)
        ]
        logits = torch.cat([each.logits for each in answers], dim=1)
        predicted_iou = torch.cat([each.predicted_iou for each in answers], dim=1)
        weights = self._weigh(logits, predicted_iou, prior_logits, geometry)
        mixed = _mix(logits, weights)
        if tokens is not None:
            # Add the token after weighing: a common term would make the candidates look alike.
            lacking = torch.cat([each.extra_logits for each in answers], dim=1)
            mixed += _mix(lacking, weights.unflatten(1, (len(answers), -1)).sum(dim=2)) + tokens[:, -1, None, None]
        return mixed, (predicted_iou * weights).sum(dim=1)

    def _prompts(self, prior_logits: Tensor, points: Tensor, boxes: Tensor) -> Iterator[Prompts]:
        """Yield the prompts of each pass."""
        settings = self._settings
        every = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
        point_only = Prompts(points[:, None], every[:, None].int())
        masked = point_only.with_mask(
            (settings.mask_prompt * prior_logits).clamp(-_MAX_PROMPT_LOGIT, _MAX_PROMPT_LOGIT)
        )
        for with_mask, growth in _PASSES[: settings.passes]:
            room = growth * settings.box_growth * (boxes[:, 2:] - boxes[:, :2])
            grown = torch.cat([boxes[:, :2] - room, boxes[:, 2:] + room], dim=1)
            yield (masked if with_mask else point_only).with_boxes(grown, every)

    def _weigh(self, logits: Tensor, predicted_iou: Tensor, prior_logits: Tensor, geometry: Geometry) -> Tensor:
        """Weigh the candidates of all passes by their agreement with the prior and predicted IoU: N x C, of sum 1."""
        agreement = _soft_iou(logits.sigmoid(), prior_logits[:, None].sigmoid(), geometry)
        value = agreement + self._settings.quality_share * predicted_iou
        return (value / self._settings.choice_temperature).softmax(dim=1)

    def _fuse(self, mask: Tensor, prior: Tensor, geometry: Geometry) -> Tensor:
        """Mix the decoder's mask with the prior, both N x 256 x 256 in 0..1; the less they agree, the more prior.

        The decoder knows edges; the prior knows the object. Where they disagree, the decoder has most often segmented
        something else.
        """
        doubt = (self._settings.agreed_iou - _soft_iou(mask, prior, geometry)).clamp(min=0)
        share = (self._settings.prior_share + self._settings.doubt * doubt).clamp(max=self._settings.max_prior_share)
        return torch.lerp(mask, prior, share[:, None, None])


def _mix(grids: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sums of N x C x h x w, with weights N x C: N x h x w."""
    return (grids * weights[..., None, None]).sum(dim=1)


def _certainty(mask: Tensor, prior: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor, Tensor]:
    """Return softness, prior_softness and cells, see ``Decoded``, of N x 256 x 256 in 0..1."""
    rows, columns = geometry.valid(MASK_SIDE_SAMPLES)
    mask, prior = mask[:, :rows, :columns], prior[:, :rows, :columns]
    area = mask.sum(dim=(1, 2)).clamp(min=1)
    softness, prior_softness = (4 * (mask * (1 - each) * each).sum(dim=(1, 2)) / area for each in (mask, prior))
    cells = (mask > 0.5).sum(dim=(1, 2)) / SAMPLES_PER_CELL_SIDE**2
    return softness, prior_softness, cells


def _soft_iou(a: Tensor, b: Tensor, geometry: Geometry) -> Tensor:
    """Return the sum of minima over the sum of maxima, of the picture's part of ... x 256 x 256 in 0..1."""
    rows, columns = geometry.valid(MASK_SIDE_SAMPLES)
    a, b = a[..., :rows, :columns], b[..., :rows, :columns]
    return torch.minimum(a, b).sum(dim=(-2, -1)) / torch.maximum(a, b).sum(dim=(-2, -1))


def _points_and_boxes(logits: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor, Tensor]:
    """Find the point deepest inside each likely region, weighted by probability, and the tight box of the region.

    Args:
        logits: float, N x 256 x 256 over the padded square.
        geometry: Of the frame.

    Returns:
        Points, float N x 2, and boxes, float N x 4 as XYXY, in pixels of the frame; bool, N: whether any
        pixel is likely; otherwise point and box are 0.
    """
    rows, columns = geometry.valid(MASK_SIDE_SAMPLES)
    located = np.zeros((len(logits), 6), np.float32)
    for i, probability in enumerate(logits[:, :rows, :columns].sigmoid().cpu().numpy()):
        likely = probability > 0.5
        if (box := box_xyxy(likely)) is None:
            continue
        y, x = np.unravel_index(int((interior_depth(likely) * probability).argmax()), likely.shape)
        located[i] = (x + 0.5, y + 0.5, box[0], box[1], box[2] + 1, box[3] + 1)
    scale = np.tile(geometry.sample_size(MASK_SIDE_SAMPLES), 3)
    placed = torch.from_numpy((located * scale).astype(np.float32)).to(logits.device)
    # A box holds a sample at least.
    return placed[:, :2], placed[:, 2:], placed[:, 4] > placed[:, 2]
