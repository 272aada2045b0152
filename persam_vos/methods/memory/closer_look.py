"""A closer look: the part of the frame around the objects, encoded once more at twice the scale."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.media.frame import Frame
from persam_vos.methods.memory.memory import Memory, View
from persam_vos.methods.memory.prior import MIN_PROBABILITY, foreground_prior
from persam_vos.sam.cells import cell_features
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.sam.regions import Region
from persam_vos.settings.video import TrackerSettings

# Share of a cell from which an object is in it, when the part is placed; of one that fills no cell, half of its most.
_IN_IT = 0.1
# Share of an object that must lie in the part. What has seen less of it takes the rest for background.
_MOST = 0.5


def part_around(coverage: Tensor) -> Region | None:
    """Place half of the rows and columns, rounded up, in the middle of what objects cover.

    Args:
        coverage: float, N x rows x columns in 0..1: of each object in the cells of the frame.

    Returns:
        None if they cover nothing.
    """
    held = (coverage > (0.5 * coverage.amax(dim=(1, 2), keepdim=True)).clamp(max=_IN_IT)).any(dim=0)
    if not bool(held.any()):
        return None
    (top, rows), (left, columns) = (
        _half_around(held.any(dim=dimension).nonzero()[:, 0], length)
        for length, dimension in zip(held.shape, (1, 0), strict=True)
    )
    return Region.at(top, left, rows, columns)


def _half_around(held: Tensor, length: int) -> tuple[int, int]:
    """Return the start and length of half of ``length`` cells, around those that are held."""
    half = -(-length // 2)
    middle = (int(held[0]) + int(held[-1]) + 1 - half) // 2
    return min(max(middle, 0), length - half), half


def cut(part: Region, grids: Tensor) -> Tensor:
    """Return a part of N x h x w cells of half the side; what lies beyond the picture repeats its border."""
    here = grids[(..., *part.scaled(2))]
    beyond = (0, 2 * part.width - here.shape[-1], 0, 2 * part.height - here.shape[-2])
    return functional.pad(here, beyond, mode="replicate")


def moved(grids: Tensor, part: Region, to: Region) -> Tensor:
    """Lay ... x 2 rows x 2 columns cells of half the side onto another part; 0 where the two do not meet."""
    down, right = 2 * (to.top - part.top), 2 * (to.left - part.left)
    return functional.pad(grids, (-right, right, -down, down))


def enlarged(part: Region, frame: Frame, embedding: ImageEmbedding) -> Frame:
    """Return a part of a frame at twice the scale at which the model sees the whole."""
    height, width = (2 * length for length in embedding.geometry.resized)
    rgb = np.ascontiguousarray(frame.rgb)
    if width < frame.width:
        # Still smaller than the frame: averaged first, since what follows only looks up neighbours.
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    side = 2 * embedding.geometry.input_size // embedding.cells
    x_step, y_step = rgb.shape[1] / width, rgb.shape[0] / height
    # From the middle of a pixel to the middle of one.
    x, y = (side * part.left + 0.5) * x_step - 0.5, (side * part.top + 0.5) * y_step - 0.5
    part_rgb = cv2.warpAffine(
        rgb,
        np.array([[x_step, 0, x], [0, y_step, y]]),
        (side * part.width, side * part.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return replace(frame, rgb=part_rgb.astype(np.uint8, copy=False))


@dataclass(frozen=True, slots=True)
class _Look:
    """What is known at this scale.

    Attributes:
        memory: Of N objects, with the cells of a part of the annotated frame and of the last one looked at.
        part: Of the latter.
        learnt: bool, N: whether most of the object lay in the part of the annotated frame.
        fresh: bool, N: whether most of it was found in the part of the frame before this one.
        now: What the memory sees in the frame in work; None if that was not looked at.
    """

    memory: Memory
    part: Region
    learnt: Tensor
    fresh: Tensor
    now: View | None = None

    def over(self, part: Region) -> Memory:
        """Return the memory with the cells of its last frame laid onto another part."""
        keys, coverage = self.memory.last
        size = 2 * part.height, 2 * part.width
        keys, coverage = (moved(each.unflatten(1, size), self.part, part).flatten(1) for each in (keys.T, coverage))
        return replace(self.memory, last=(keys.T.contiguous(), coverage))


class CloserLook:
    """A second memory, of cells of half the side, which helps the first one to find where its objects are.

    One part of the frame, half as high and wide, is looked at for all objects; it moves with them by whole cells. Of an
    object that does not fit into it, with the others, it says nothing.
    """

    def __init__(self, encoder: Encoder, settings: TrackerSettings, dtype: torch.dtype = torch.float32) -> None:
        """Take what encodes, and the type of the cells' features; see ``cell_features``."""
        self._encoder, self._dtype = encoder, dtype
        self._settings = settings
        self._look: _Look | None = None

    def start(self, frame: Frame, embedding: ImageEmbedding, masks: Tensor) -> None:
        """Learn the objects of the annotated frame.

        Args:
            frame: The annotated one.
            embedding: Of the whole of it.
            masks: bool, N x H x W.
        """
        self._look = None
        if (part := part_around(embedding.geometry.to_cells(masks, embedding.cells))) is None:
            return
        coverage, learnt = _shares(part, embedding.geometry.to_cells(masks, 2 * embedding.cells))
        memory = Memory.learn(self._features(part, frame, embedding), coverage, self._settings.regularisation)
        self._look = _Look(memory, part, learnt, learnt)

    def sharpen(
        self, prior_logits: Tensor, frame: Frame, embedding: ImageEmbedding, last: Tensor, seen: Tensor
    ) -> Tensor:
        """Mix the prior of this memory into that of the first one.

        An object that was out of sight, or out of the part, is first only learnt from again.

        Args:
            prior_logits: float, N x n x n over the padded square: logits of the first memory's prior.
            frame: The one to look at.
            embedding: Of the whole of it.
            last: float, N x rows x columns in 0..1: share of the cells that each object covered when last seen.
            seen: bool, N: whether that was in the last frame; of others it is not known where to look.

        Returns:
            float, N x n x n.
        """
        if (look := self._look) is None:
            return prior_logits
        part = part_around(last[seen & look.learnt])
        if part is None:
            self._look = replace(look, now=None, fresh=torch.zeros_like(seen))
            return prior_logits
        memory = look.over(part)
        view = memory.view(self._features(part, frame, embedding))
        self._look = replace(look, memory=memory, part=part, now=view)
        known = seen & look.fresh
        if not bool(known.any()):
            return prior_logits
        # Where the objects were is known from the whole frame, of which this memory may have seen a sliver only.
        was = cut(part, last.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2))
        prior = foreground_prior(memory, view, memory.similarity(view.keys), was, known, self._settings, scale=2)
        samples = prior_logits.shape[-1] // embedding.cells
        finer = functional.interpolate(
            prior.logit(eps=MIN_PROBABILITY)[None], scale_factor=samples // 2, mode="bilinear"
        )[0]
        mixed = prior_logits.clone()
        mixed[(..., *part.scaled(samples))].lerp_(finer, self._settings.closer_look * known[:, None, None].float())
        return mixed

    def update(self, everywhere: Tensor, seen: Tensor) -> None:
        """Learn from what was found in the frame that ``sharpen`` has looked at.

        Args:
            everywhere: float, N x 2 rows x 2 columns in 0..1: share of each object in cells of half the side.
            seen: bool, N: whether each object is there.
        """
        look = self._look
        if look is None or look.now is None:
            return
        coverage, held = _shares(look.part, everywhere)
        fresh = seen & look.learnt & held
        memory = look.memory.update(look.now, coverage, fresh, look.memory.usual_similarity, self._settings)
        self._look = replace(look, memory=memory, fresh=fresh, now=None)

    def _features(self, part: Region, frame: Frame, embedding: ImageEmbedding) -> Tensor:
        return cell_features(self._encoder.encode([enlarged(part, frame, embedding)])[0], self._dtype)


def _shares(part: Region, everywhere: Tensor) -> tuple[Tensor, Tensor]:
    """Return float, N x cells: share of each object in the cells of a part; bool, N: whether most of it lies there."""
    coverage = cut(part, everywhere).flatten(1)
    return coverage, coverage.sum(dim=1) > _MOST * everywhere.sum(dim=(1, 2))
