"""Frames and priors go in; out come finer masks, from a crop around the objects that is encoded and decoded once more.

The setting ``closer_look`` is the share of the crop's memory in the prior, and of its masks in the masks.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from persam_vos.media.frame import Frame
from persam_vos.methods.memory.closer_records import CloserKnowledge, CloserState, CropLook
from persam_vos.methods.memory.crop import Resampling, cropped, fading, mix_patches, place_crop
from persam_vos.methods.memory.decoding import AnnotatedPrior, Decoded, PriorDecoder, prior_to_logits
from persam_vos.methods.memory.memory import KeyValues, Memory
from persam_vos.methods.memory.prior import Query, foreground_prior
from persam_vos.sam.cells import cell_features
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.networks.sizes import GRID_SIDE_CELLS, MASK_SIDE_SAMPLES
from persam_vos.sam.patches import Patch
from persam_vos.sam.prompts import OUTSIDE_LOGIT
from persam_vos.sam.regions import Region, mask_regions
from persam_vos.settings.video import TrackerSettings

# Cells along the side of a cell of the whole frame, by which distances that objects may move are scaled. It is that of
# a crop of half the frame's sides; the larger an object is in its crop, the less it moves in proportion.
_USUAL_SCALE = 2


class CloserLook:
    """A memory of a crop around the objects."""

    records = (CloserKnowledge, CloserState, Region)

    def __init__(
        self,
        encoder: Encoder,
        decoder: PriorDecoder,
        settings: TrackerSettings,
        dtype: torch.dtype,
        object_ids: Tensor,
        state: CloserState,
    ) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._settings = settings
        self._dtype = dtype
        self._object_ids = object_ids
        self._frame_tokens: Tensor | None = None
        self._tokens: Tensor | None = None
        # What the next frame starts from, and what it will leave if it succeeds.
        self._state = self._next_state = state
        self._look: CropLook | None = None
        self._learnt_whole = state.crop == Region.whole(*state.label_map.shape)

    @classmethod
    def learn(
        cls,
        encoder: Encoder,
        decoder: PriorDecoder,
        frame: Frame,
        embedding: ImageEmbedding,
        label_map: Tensor,
        object_ids: Tensor,
        settings: TrackerSettings,
        dtype: torch.dtype = torch.float32,
    ) -> CloserLook | None:
        """Learn the objects of the annotated frame.

        Args:
            encoder: For the crop.
            decoder: For the crop.
            frame: The annotated frame.
            embedding: Of the whole frame.
            label_map: uint8, H x W: the annotation.
            object_ids: uint8, N: of the objects in it.
            settings: Of the tracker.
            dtype: Of the cells' features; see ``cell_features``.

        Returns:
            None if the objects cover no cell.
        """
        masks, geometry = label_map == object_ids[:, None, None], embedding.geometry
        if (crop := _placed(geometry.to_cells(masks, embedding.cells), geometry, settings, None)) is None:
            return None
        _, closer = _encoded(encoder, crop, frame, embedding)
        coverage = closer.geometry.to_cells(masks[(..., *crop)], closer.cells)
        memory = Memory.learn(cell_features(closer, dtype), coverage.flatten(1), settings)
        learnt = _mostly_inside(masks, crop, settings)
        state = CloserState(memory, crop, label_map.clone(), learnt, learnt)
        return cls(encoder, decoder, settings, dtype, object_ids, state)

    @property
    def knowledge(self) -> CloserKnowledge:
        """What ``resume`` needs to go on after the last frame."""
        tokens = self._frame_tokens, self._tokens
        return CloserKnowledge(self._object_ids, *tokens, self._state, self._learnt_whole)

    @classmethod
    def resume(
        cls,
        encoder: Encoder,
        decoder: PriorDecoder,
        settings: TrackerSettings,
        dtype: torch.dtype,
        knowledge: CloserKnowledge,
    ) -> CloserLook:
        """Go on from what another one knew; see ``learn`` for the other arguments."""
        closer = cls(encoder, decoder, settings, dtype, knowledge.object_ids, knowledge.state)
        closer._frame_tokens, closer._tokens = knowledge.frame_tokens, knowledge.tokens
        closer._learnt_whole = knowledge.learnt_whole
        return closer

    def learn_tokens(self, frame: Frame, query: Query, examples: Sequence[AnnotatedPrior]) -> None:
        """Learn the objects' mask tokens.

        Args:
            frame: The annotated frame that was learnt from.
            query: Of it.
            examples: Annotated frames with the priors of the whole frame, this one first.
        """
        first = examples[0]
        logits = self.refine_prior(first.prior_logits, frame, first.embedding, query, query.seen)
        mixed = [replace(first, prior_logits=logits), *examples[1:]]
        # Where the crop would be the whole frame, its tokens are the frame's.
        self._frame_tokens = self._tokens = self._decoder.learn_tokens(mixed)
        if (look := self._look) is not None:
            example = AnnotatedPrior(look.embedding, look.prior_logits, first.masks[(..., *look.crop)])
            self._tokens = self._decoder.learn_tokens([example])

    def out_of_sight(self) -> CloserLook:
        """Return what looks for the same objects after a frame that shows none of them."""
        other, state = copy.copy(self), self._state
        nothing = torch.zeros_like(state.tracked)
        other._state = other._next_state = replace(state, label_map=torch.zeros_like(state.label_map), tracked=nothing)
        other._look = None
        return other

    @property
    def spoken_of(self) -> Tensor:
        """Bool, N: of which objects the crop's memory has said where they are in the frame in work."""
        return torch.zeros_like(self._state.tracked) if self._look is None else self._look.query.seen

    def decode(
        self,
        logits: Tensor,
        frame: Frame,
        embedding: ImageEmbedding,
        query: Query,
        trusted: Tensor,
        rivals: Tensor | None = None,
    ) -> Decoded | None:
        """Return finer masks of the objects that it has ``spoken_of``; None if there are none.

        For the arguments see ``refine_prior`` and ``PriorDecoder.decode``.
        """
        mixed = self.refine_prior(logits, frame, embedding, query, trusted)
        if not bool(self.spoken_of.any()):
            return None
        decoded = self._decoder.decode(frame, embedding, mixed, self._frame_tokens, rivals=rivals)
        return replace(decoded, patches=self.refine_masks(decoded.patches, frame))

    def refine_prior(
        self, logits: Tensor, frame: Frame, embedding: ImageEmbedding, query: Query, trusted: Tensor
    ) -> Tensor:
        """Mix the prior of this memory into that of the whole frame's.

        An object that was out of sight, or outside the crop, is first only learnt again. The state stays as it is until
        ``update``, so that a step that fails can be repeated.

        Args:
            logits: float, N x 256 x 256 over the padded square: of the whole frame's prior.
            frame: The frame in work.
            embedding: Of the whole frame.
            query: Of the whole frame: where objects were that were not seen in the last frame is unknown.
            trusted: bool, N: whether each object is worth the look; the others are as if out of sight.

        Returns:
            float, N x 256 x 256.
        """
        state, settings = self._state, self._settings
        self._look, self._next_state = None, replace(state, tracked=torch.zeros_like(state.tracked))
        whole = Region.whole(frame.height, frame.width)
        wanted = query.seen & trusted
        crop = _placed(query.last[wanted & state.learnt], embedding.geometry, settings, state.crop)
        if crop is None or (crop == whole and self._learnt_whole) or self._meets_another(crop, wanted):
            return logits
        picture, seen_as = _encoded(self._encoder, crop, frame, embedding)
        state, was = self._moved_to(crop, seen_as)
        scale = 1 if crop == whole else _USUAL_SCALE
        known = wanted & state.tracked
        closer = Query.of(state.memory, cell_features(seen_as, self._dtype), was, known, scale=scale)
        to_crop = Resampling.between(whole, crop, MASK_SIDE_SAMPLES, logits.device)
        there = to_crop(logits).masked_fill(~to_crop.inside, OUTSIDE_LOGIT)
        if bool(known.any()):
            prior = prior_to_logits(foreground_prior(state.memory, closer, settings), seen_as)
            share = settings.closer_look * known[:, None, None].float()
            there = torch.lerp(there, prior, share)
            back = Resampling.between(crop, whole, MASK_SIDE_SAMPLES, logits.device)
            logits = torch.lerp(logits, back(prior), share * back.inside)
        self._look, self._next_state = CropLook(crop, picture, seen_as, closer, there), state
        return logits

    def _meets_another(self, crop: Region, wanted: Tensor) -> bool:
        """Tell whether an object lies in a crop that its memory cannot tell from those that are wanted: bool, N."""
        labels, known = self._state.label_map[crop], self._object_ids[wanted & self._state.learnt]
        return bool(((labels != 0) & ~torch.isin(labels, known)).any())

    def _moved_to(self, crop: Region, embedding: ImageEmbedding) -> tuple[CloserState, Tensor]:
        """Return the state with its recent cells moved to another crop, and the coverage of the cells there."""
        state, cells = self._state, embedding.cells
        was = embedding.geometry.to_cells(state.label_map[crop] == self._object_ids[:, None, None], cells)
        if crop == state.crop:
            return state, was
        keys, (rows, columns) = state.memory.recent.keys, Geometry(state.crop.height, state.crop.width).valid(cells)
        square = keys.new_zeros(keys.shape[1], cells, cells)
        square[:, :rows, :columns] = keys.T.unflatten(1, (rows, columns))
        moved = Resampling.between(state.crop, crop, cells, keys.device, nearest=True)
        here = (..., slice(was.shape[1]), slice(was.shape[2]))
        recent = KeyValues(moved(square)[here].flatten(1).T.contiguous(), (was * moved.inside[here]).flatten(1))
        return replace(state, memory=replace(state.memory, recent=recent), crop=crop), was

    def refine_masks(self, patches: list[Patch], frame: Frame) -> list[Patch]:
        """Mix the decoder's masks of the crop into those of the whole frame.

        Args:
            patches: N masks on the frame that ``refine_prior`` saw.
            frame: That frame.

        Returns:
            N masks on the frame.
        """
        look = self._look
        if look is None or not bool(look.query.seen.any()):
            return patches
        closer = self._decoder.decode(look.frame, look.embedding, look.prior_logits, self._tokens).patches
        shares = self._settings.closer_look * fading(look.crop, (frame.height, frame.width), look.prior_logits.device)
        return [
            mix_patches(whole, near, look.crop, shares) if known else whole
            for whole, near, known in zip(patches, closer, look.query.seen.tolist(), strict=True)
        ]

    def update(self, label_map: Tensor, seen: Tensor) -> None:
        """Learn from the masks of the frame that ``refine_prior`` saw.

        Args:
            label_map: uint8, H x W: of that frame.
            seen: bool, N: whether each object is there.
        """
        # The caller's label map is handed out, and may be drawn on.
        state, look = replace(self._next_state, label_map=label_map.clone()), self._look
        if look is not None:
            masks = label_map == self._object_ids[:, None, None]
            inside = look.embedding.geometry.to_cells(masks[(..., *look.crop)], look.embedding.cells).flatten(1)
            tracked = seen & state.learnt & _mostly_inside(masks, look.crop, self._settings)
            usual = state.memory.usual_similarity
            memory = state.memory.update(look.query.view, inside, tracked, usual, self._settings)
            state = replace(state, memory=memory, tracked=tracked)
        self._state, self._look = state, None


def _placed(coverage: Tensor, geometry: Geometry, settings: TrackerSettings, last: Region | None) -> Region | None:
    """Place a crop around objects, given their coverage of the frame's cells; None where there is none."""
    held = coverage > (0.5 * coverage.amax(dim=(1, 2), keepdim=True)).clamp(max=settings.crop_coverage)
    boxes = [box for box in mask_regions(held) if box.height]
    boxes = [geometry.region_to_frame(box, GRID_SIDE_CELLS) for box in boxes]
    boxes = [box for box in boxes if box.height and box.width]
    return place_crop(boxes, (geometry.height, geometry.width), settings, last) if boxes else None


def _encoded(encoder: Encoder, crop: Region, frame: Frame, embedding: ImageEmbedding) -> tuple[Frame, ImageEmbedding]:
    """Return a crop as a frame of its own, encoded; the frame and its embedding where the crop is all of it."""
    if crop == Region.whole(frame.height, frame.width):
        return frame, embedding
    picture = cropped(frame, crop)
    return picture, encoder.encode([picture])[0]


def _mostly_inside(masks: Tensor, crop: Region, settings: TrackerSettings) -> Tensor:
    """Tell of which masks, bool N x H x W, a share of more than ``crop_min_share`` lies in the crop: bool, N."""
    inside, area = masks[(..., *crop)].sum(dim=(1, 2)), masks.sum(dim=(1, 2))
    return (area > 0) & (inside > settings.crop_min_share * area)
