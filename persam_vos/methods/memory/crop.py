"""A second memory of a crop around the objects, encoded at twice the scale; it refines the prior of the first one.

The setting ``closer_look`` is its share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.media.frame import Frame
from persam_vos.methods.memory.memory import KeyValues, Memory, View
from persam_vos.methods.memory.prior import MIN_PROBABILITY, Query, foreground_prior
from persam_vos.sam.cells import cell_features
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.sam.regions import Region
from persam_vos.settings.video import TrackerSettings


def crop_around(coverage: Tensor, min_coverage: float) -> Region | None:
    """Place a crop of half the rows and columns, rounded up, around the middle of the objects.

    Args:
        coverage: float, N x rows x columns in 0..1: of the frame's cells by each object.
        min_coverage: Coverage above which a cell counts; at most half of an object's highest one.

    Returns:
        The crop in cells of the frame; None if there is no object.
    """
    held = (coverage > (0.5 * coverage.amax(dim=(1, 2), keepdim=True)).clamp(max=min_coverage)).any(dim=0)
    if not bool(held.any()):
        return None
    (top, rows), (left, columns) = (
        _half_around(held.any(dim=dimension).nonzero()[:, 0], length)
        for length, dimension in zip(held.shape, (1, 0), strict=True)
    )
    return Region.at(top, left, rows, columns)


def _half_around(held: Tensor, length: int) -> tuple[int, int]:
    """Return the start and length of the half of ``length`` cells around the held ones."""
    half = -(-length // 2)
    middle = (int(held[0]) + int(held[-1]) + 1 - half) // 2
    return min(max(middle, 0), length - half), half


def crop_cells(crop: Region, grids: Tensor) -> Tensor:
    """Cut a crop out of N x h x w cells of half the side; beyond the picture, its border is repeated."""
    here = grids[(..., *crop.scaled(2))]
    beyond = (0, 2 * crop.width - here.shape[-1], 0, 2 * crop.height - here.shape[-2])
    return functional.pad(here, beyond, mode="replicate")


def shift_cells(grids: Tensor, crop: Region, to: Region) -> Tensor:
    """Shift ... x 2 rows x 2 columns cells of half the side onto another crop; 0 where the two do not overlap."""
    down, right = 2 * (to.top - crop.top), 2 * (to.left - crop.left)
    return functional.pad(grids, (-right, right, -down, down))


def enlarged_crop(crop: Region, frame: Frame, embedding: ImageEmbedding) -> Frame:
    """Return a crop of a frame at twice the scale at which the model sees the whole frame."""
    height, width = (2 * length for length in embedding.geometry.resized)
    rgb = np.ascontiguousarray(frame.rgb)
    if width < frame.width:
        # Average first where the crop is still smaller than the frame: warpAffine only interpolates between neighbours.
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    side = 2 * embedding.geometry.input_size // embedding.cells
    x_step, y_step = rgb.shape[1] / width, rgb.shape[0] / height
    # Positions are those of the middles of pixels.
    x, y = (side * crop.left + 0.5) * x_step - 0.5, (side * crop.top + 0.5) * y_step - 0.5
    crop_rgb = cv2.warpAffine(
        rgb,
        np.array([[x_step, 0, x], [0, y_step, y]]),
        (side * crop.width, side * crop.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return replace(frame, rgb=crop_rgb.astype(np.uint8, copy=False))


@dataclass(frozen=True, slots=True)
class _State:
    """What passes from one frame to the next.

    Attributes:
        memory: Of N objects; its recent cells are those of ``crop``.
        crop: Of the last frame that was encoded, in cells of the whole frame.
        learnt: bool, N: whether most of the object lay in the crop of the annotated frame.
        tracked: bool, N: whether most of it was found in the crop of the frame before this one.
    """

    memory: Memory
    crop: Region
    learnt: Tensor
    tracked: Tensor

    def moved_to(self, crop: Region) -> _State:
        """Return the state with the memory's recent cells shifted onto another crop."""
        recent, size = self.memory.recent, (2 * crop.height, 2 * crop.width)
        keys, values = (
            shift_cells(each.unflatten(1, size), self.crop, crop).flatten(1) for each in (recent.keys.T, recent.values)
        )
        return replace(self, memory=replace(self.memory, recent=KeyValues(keys.T.contiguous(), values)), crop=crop)


class CropMemory:
    """A memory of cells of half the side, which refines the prior of the whole frame's memory.

    One crop, half as high and wide as the frame, holds all objects; it moves with them by whole cells. The prior of an
    object that does not fit into it, with the others, is left as it is.
    """

    @classmethod
    def learn(
        cls,
        encoder: Encoder,
        frame: Frame,
        embedding: ImageEmbedding,
        masks: Tensor,
        settings: TrackerSettings,
        dtype: torch.dtype = torch.float32,
    ) -> CropMemory | None:
        """Learn the objects of the annotated frame.

        Args:
            encoder: For the crop.
            frame: The annotated frame.
            embedding: Of the whole frame.
            masks: bool, N x H x W.
            settings: Of the tracker.
            dtype: Of the cells' features; see ``cell_features``.

        Returns:
            None if the masks cover no cell.
        """
        geometry = embedding.geometry
        if (crop := crop_around(geometry.to_cells(masks, embedding.cells), settings.crop_coverage)) is None:
            return None
        coverage, learnt = _coverage_inside(crop, geometry.to_cells(masks, 2 * embedding.cells), settings)
        memory = Memory.learn(_crop_features(encoder, crop, frame, embedding, dtype), coverage, settings)
        return cls(encoder, settings, dtype, _State(memory, crop, learnt, learnt))

    def __init__(self, encoder: Encoder, settings: TrackerSettings, dtype: torch.dtype, state: _State) -> None:
        self._encoder = encoder
        self._settings = settings
        self._dtype = dtype
        self._state = state
        # What ``update`` will go on from, and learn from: None if no object is there to place a crop around.
        self._state_in_work = state
        self._view_in_work: View | None = None

    def refine_prior(self, logits: Tensor, frame: Frame, embedding: ImageEmbedding, query: Query) -> Tensor:
        """Mix the prior of this memory into that of the whole frame's.

        An object that was out of sight, or outside the crop, is first only learnt again. The state stays as it is until
        ``update``, so that a step that fails can be repeated.

        Args:
            logits: float, N x n x n over the padded square: of the whole frame's prior.
            frame: The frame in work.
            embedding: Of the whole frame.
            query: Of the whole frame: where objects were that were not seen in the last frame is unknown.

        Returns:
            float, N x n x n.
        """
        state, last, seen = self._state, query.last, query.seen
        crop = crop_around(last[seen & state.learnt], self._settings.crop_coverage)
        if crop is None:
            self._state_in_work, self._view_in_work = replace(state, tracked=torch.zeros_like(seen)), None
            return logits
        state = state.moved_to(crop)
        memory, known = state.memory, seen & state.tracked
        features = _crop_features(self._encoder, crop, frame, embedding, self._dtype)
        # Take the last places from the whole frame: this memory may have seen only a sliver of an object.
        was = crop_cells(crop, last.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2))
        closer = Query.of(memory, features, was, known, scale=2)
        self._state_in_work, self._view_in_work = state, closer.view
        if not bool(known.any()):
            return logits
        prior = foreground_prior(memory, closer, self._settings).logit(eps=MIN_PROBABILITY)
        samples = logits.shape[-1] // embedding.cells
        finer = functional.interpolate(prior[None], scale_factor=samples // 2, mode="bilinear")[0]
        mixed = logits.clone()
        mixed[(..., *crop.scaled(samples))].lerp_(finer, self._settings.closer_look * known[:, None, None].float())
        return mixed

    def update(self, coverage: Tensor, seen: Tensor) -> None:
        """Learn from the masks of the frame that ``refine_prior`` saw.

        Args:
            coverage: float, N x 2 rows x 2 columns in 0..1: by each object, of cells of half the side.
            seen: bool, N: whether each object is there.
        """
        state = self._state_in_work
        if (view := self._view_in_work) is not None:
            inside, mostly = _coverage_inside(state.crop, coverage, self._settings)
            tracked = seen & state.learnt & mostly
            memory = state.memory.update(view, inside, tracked, state.memory.usual_similarity, self._settings)
            state = replace(state, memory=memory, tracked=tracked)
        self._state, self._view_in_work = state, None


def _crop_features(
    encoder: Encoder, crop: Region, frame: Frame, embedding: ImageEmbedding, dtype: torch.dtype
) -> Tensor:
    return cell_features(encoder.encode([enlarged_crop(crop, frame, embedding)])[0], dtype)


def _coverage_inside(crop: Region, coverage: Tensor, settings: TrackerSettings) -> tuple[Tensor, Tensor]:
    """Return float, N x cells: coverage of a crop's cells; bool, N: whether enough of each object lies there."""
    inside = crop_cells(crop, coverage).flatten(1)
    return inside, inside.sum(dim=1) > settings.crop_min_share * coverage.sum(dim=(1, 2))
