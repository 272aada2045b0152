"""A closer look: the part of the frame around the objects, encoded once more at twice the scale."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from torch import Tensor
from torch.nn import functional

from persam_vos.cells import cell_features
from persam_vos.config import TrackerSettings
from persam_vos.encoder import Encoder, ImageEmbedding
from persam_vos.frame import Frame
from persam_vos.memory import Memory, View
from persam_vos.prior import foreground_prior

# Share of a cell from which an object is in it, when the part is placed.
_IN_IT = 0.1
# A probability is kept off 0 and 1 by this, for its log-odds to be finite.
_SHARPEST = 1e-4


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a frame, in cells of its grid: half of its rows and columns, rounded up.

    Attributes:
        top: First row.
        left: First column.
        rows: Their number.
        columns: Their number.
    """

    top: int
    left: int
    rows: int
    columns: int

    @classmethod
    def around(cls, shares: Tensor) -> Part | None:
        """Place it in the middle of what objects cover, float N x rows x columns; None if that is nothing."""
        held = (shares > _IN_IT).any(dim=0)
        if not bool(held.any()):
            return None
        (top, rows), (left, columns) = (
            _stretch(held.any(dim=dimension).nonzero()[:, 0], length)
            for length, dimension in zip(held.shape, (1, 0), strict=True)
        )
        return cls(top, left, rows, columns)

    def cut(self, grids: Tensor) -> Tensor:
        """Return this part of ... x h x w cells of half the side; 0 beyond the last of them."""
        here = grids[..., 2 * self.top :, 2 * self.left :][..., : 2 * self.rows, : 2 * self.columns]
        return functional.pad(here, (0, 2 * self.columns - here.shape[-1], 0, 2 * self.rows - here.shape[-2]))

    def moved(self, grids: Tensor, to: Part) -> Tensor:
        """Lay ... x 2 rows x 2 columns cells of this part onto another one; 0 where they do not meet."""
        down, right = 2 * (to.top - self.top), 2 * (to.left - self.left)
        return functional.pad(grids, (-right, right, -down, down))

    def enlarged(self, frame: Frame, embedding: ImageEmbedding) -> Frame:
        """Return this part of a frame, at twice the scale at which the model sees the whole."""
        geometry = embedding.geometry
        side = 2 * geometry.input_size // embedding.cells
        pixel = [n / (2 * m) for n, m in zip((frame.width, frame.height), geometry.resized[::-1], strict=True)]
        # The middle of the first pixel, in pixels of the frame.
        x, y = ((side * cell + 0.5) * n - 0.5 for cell, n in zip((self.left, self.top), pixel, strict=True))
        rgb = cv2.warpAffine(
            np.ascontiguousarray(frame.rgb),
            np.array([[pixel[0], 0, x], [0, pixel[1], y]]),
            (side * self.columns, side * self.rows),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return replace(frame, rgb=rgb.astype(np.uint8, copy=False))


def _stretch(held: Tensor, length: int) -> tuple[int, int]:
    """Return the start and length of half of ``length`` cells, around those that are held."""
    half = -(-length // 2)
    middle = (int(held[0]) + int(held[-1]) + 1 - half) // 2
    return min(max(middle, 0), length - half), half


@dataclass(frozen=True, slots=True)
class _Look:
    """What is known at this scale.

    Attributes:
        memory: Of N objects, with the cells of a part of the annotated frame and of the last one.
        part: Of the last one.
        learnt: bool, N: whether any of the object lay in the part of the annotated frame.
        now: What the memory sees in the frame in work, and float, N x cells, how like each object that is; None if
            nothing was looked at.
    """

    memory: Memory
    part: Part
    learnt: Tensor
    now: tuple[View, Tensor] | None = None

    def over(self, part: Part) -> Memory:
        """Return the memory with the cells of its last frame laid onto another part."""
        view, shares = self.memory.last
        size = 2 * part.rows, 2 * part.columns
        keys = self.part.moved(view.keys.T.unflatten(1, size), part).flatten(1).T.contiguous()
        last = replace(view, keys=keys), self.part.moved(shares.unflatten(1, size), part).flatten(1)
        return replace(self.memory, last=last)


class CloserLook:
    """A second memory, of cells of half the side, which helps the first one to find where its objects are.

    One part of the frame, half as high and wide, is looked at for all objects; it moves with them by whole cells.
    """

    def __init__(self, encoder: Encoder, settings: TrackerSettings) -> None:
        self._encoder = encoder
        self._settings = settings
        self._look: _Look | None = None

    def start(self, frame: Frame, embedding: ImageEmbedding, masks: Tensor) -> None:
        """Learn the objects of the annotated frame.

        Args:
            frame: The annotated one.
            embedding: Of the whole of it.
            masks: bool, N x H x W.
        """
        if (part := Part.around(embedding.geometry.to_cells(masks, embedding.cells))) is None:
            return
        shares = self._shares(part, embedding, masks)
        memory = Memory.learn(self._features(part, frame, embedding), shares, self._settings.regularisation)
        self._look = _Look(memory, part, shares.any(dim=1))

    def sharpen(self, odds: Tensor, frame: Frame, embedding: ImageEmbedding, last: Tensor, seen: Tensor) -> Tensor:
        """Mix the prior of this memory into that of the first one.

        Args:
            odds: float, N x n x n over the padded square: log-odds of the first memory's prior.
            frame: The one to look at.
            embedding: Of the whole of it.
            last: float, N x rows x columns in 0..1: share of the cells that each object covered when last seen.
            seen: bool, N: whether that was in the last frame; of others it is not known where to look.

        Returns:
            float, N x n x n.
        """
        look = self._look
        if look is None:
            return odds
        if (part := Part.around(last[seen])) is None:
            self._look = replace(look, now=None)
            return odds
        memory = look.over(part)
        view = memory.basis.view(self._features(part, frame, embedding))
        nearest = memory.nearest(view)
        before = memory.last[1].unflatten(1, (2 * part.rows, 2 * part.columns))
        prior = foreground_prior(memory, view, nearest, before, seen, self._settings, scale=2)
        self._look = replace(look, memory=memory, part=part, now=(view, nearest))
        samples = odds.shape[-1] // embedding.cells
        finer = functional.interpolate(prior.logit(eps=_SHARPEST)[None], scale_factor=samples // 2, mode="bilinear")[0]
        top, left = samples * part.top, samples * part.left
        mixed = odds.clone()
        here = mixed[:, top : top + finer.shape[1], left : left + finer.shape[2]]
        share = self._settings.closer_look * (seen & look.learnt).float()
        here.lerp_(finer, share[:, None, None])
        return mixed

    def update(self, embedding: ImageEmbedding, masks: Tensor, seen: Tensor) -> None:
        """Learn from what was found in the frame that ``sharpen`` has looked at.

        Args:
            embedding: Of the whole of it.
            masks: bool, N x H x W.
            seen: bool, N: whether each object is there.
        """
        look = self._look
        if look is None or look.now is None:
            return
        view, nearest = look.now
        shares = self._shares(look.part, embedding, masks)
        area = shares.sum(dim=1)
        likeness = (nearest * shares).sum(dim=1) / area
        memory = look.memory.update(view, shares, seen & look.learnt & (area > 0), likeness, self._settings)
        self._look = replace(look, memory=memory, now=None)

    def _features(self, part: Part, frame: Frame, embedding: ImageEmbedding) -> Tensor:
        return cell_features(self._encoder.encode([part.enlarged(frame, embedding)])[0])

    @staticmethod
    def _shares(part: Part, embedding: ImageEmbedding, masks: Tensor) -> Tensor:
        return part.cut(embedding.geometry.to_cells(masks, 2 * embedding.cells)).flatten(1)
