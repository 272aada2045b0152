"""A frame and a box go in; out come the parts of the frame that the encoder sees, and what prompts are in each."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from persam_vos.masks import ArrayRecord, Rgb
from persam_vos.media.frame import Frame
from persam_vos.methods.colour_model import follow_colours
from persam_vos.methods.memory.crop import cropped
from persam_vos.prompts import Box, Point
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.sam.networks.sizes import MASK_SIDE_SAMPLES
from persam_vos.sam.prompts import BOTTOM_RIGHT, POSITIVE, TOP_LEFT, Prompts
from persam_vos.sam.regions import Region, mask_regions
from persam_vos.settings.common import MemorySettings

MAX_LOGIT = 10.0
"""Logits are mixed up to this: beyond, one view would outvote another."""

# Label of a point beside the object; see ``Prompts``.
_NEGATIVE = 0
# A crop shows this much on each side of a box, as a share of the square root of the box's area.
_MARGIN_SHARE = 0.15
# How edges follow the colours: as those of tracked masks do.
_COLOURS = MemorySettings()


@dataclass(frozen=True, slots=True)
class View:
    """A part of a frame, or all of it, that the encoder has seen.

    Attributes:
        region: Pixels of the frame.
        rgb: uint8, h x w x 3: these pixels.
        embedding: Of that part.
    """

    region: Region
    rgb: Rgb
    embedding: ImageEmbedding

    def prompts(self, box: Box | None, points: Sequence[Point], mask: Tensor | None) -> Prompts:
        """Return the prompts of one object in pixels of the view; points outside it are left out.

        Args:
            box: In pixels of the frame, as all the others.
            points: On the object and beside it.
            mask: Logits of the mask so far, float, H x W.
        """
        device = self.embedding.features.device
        top, left, region = self.region.top, self.region.left, self.region
        given = [(point.x - left, point.y - top, POSITIVE if point.positive else _NEGATIVE) for point in points]
        given = [each for each in given if -0.5 <= each[0] < region.width and -0.5 <= each[1] < region.height]
        if box is not None:
            given += [(box.x0 - left, box.y0 - top, TOP_LEFT), (box.x1 - left, box.y1 - top, BOTTOM_RIGHT)]
        places = torch.tensor([each[:2] for each in given], dtype=torch.float32, device=device)
        labels = torch.tensor([each[2] for each in given], device=device)
        prompts = Prompts(places[None], labels[None])
        if mask is None:
            return prompts
        return prompts.with_mask(self.embedding.geometry.to_grid(mask[region][None], MASK_SIDE_SAMPLES))

    def to_pixels(self, grid: Tensor, *, along_colours: bool) -> Tensor:
        """Return logits over the view's padded square, float n x n, at its pixels: float, h x w.

        Args:
            grid: The logits, at most ``MAX_LOGIT`` far from 0.
            along_colours: Whether edges follow the colours around them.
        """
        geometry = self.embedding.geometry
        if not along_colours:
            return geometry.to_frame(grid[None])[0]
        [patch] = follow_colours(grid[None], self.rgb, geometry, _COLOURS, -MAX_LOGIT)
        logits = grid.new_full((self.region.height, self.region.width), -MAX_LOGIT)
        logits[patch.window] = patch.logits.clamp(-MAX_LOGIT, MAX_LOGIT)
        return logits

    def fit(self, logits: Tensor, box: Box) -> Tensor:
        """Return the IoU of a box with the boxes of masks, float K x 256 x 256 over the view's square: float, K."""
        wanted, fits = pixels_of(box), []
        for held in mask_regions(logits > 0):
            pixels = self.embedding.geometry.region_to_frame(held, MASK_SIDE_SAMPLES)
            found = Region.at(self.region.top + pixels.top, self.region.left + pixels.left, pixels.height, pixels.width)
            shared = _area(found.intersection(wanted))
            fits.append(shared / (_area(found) + _area(wanted) - shared))
        return torch.tensor(fits, device=logits.device)

    def likeness(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the IoU of masks, float K x 256 x 256 over the view's square, with a mask of the frame: float, K.

        Args:
            logits: Of the masks.
            mask: Logits, float, H x W.
        """
        now, before = logits > 0, self.embedding.geometry.to_grid(mask[self.region][None], MASK_SIDE_SAMPLES) > 0
        return (now & before).sum(dim=(1, 2)) / (now | before).sum(dim=(1, 2)).clamp(min=1)

    def obeys(self, logits: Tensor, point: Point) -> Tensor:
        """Return 1 for each mask that is as a point says, else 0: float, K; 1 where the point lies outside the view.

        Args:
            logits: float, K x 256 x 256 over the view's square.
            point: In pixels of the frame.
        """
        y, x = round(point.y) - self.region.top, round(point.x) - self.region.left
        if not (0 <= y < self.region.height and 0 <= x < self.region.width):
            return logits.new_ones(len(logits))
        return ((self.embedding.geometry.to_frame(logits)[:, y, x] > 0) == point.positive).to(logits.dtype)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Told(ArrayRecord):
    """A mask that has come so far; one more point need not begin anew.

    Attributes:
        box: Around its object; None for none.
        points: Those that were followed.
        logits: float, H x W.
        score: The predicted IoU.
    """

    box: Box | None
    points: tuple[Point, ...]
    logits: Tensor
    score: float


class FrameViews:
    """The views of a frame, each encoded when it is first asked for; threads may share them.

    Args:
        encoder: Encodes the frame and crops of it, of pictures without padding.
        frame: The frame.
        embedding: Of the frame, if it is known already.

    Attributes:
        told: The masks before and after the last point, so that neither another last point nor one more begins anew.
    """

    def __init__(self, encoder: Encoder, frame: Frame, embedding: ImageEmbedding | None = None) -> None:
        self.frame, self._encoder, self._embedding = frame, encoder, embedding
        self._lock = threading.Lock()
        # That of the last box: a person draws one, and then clicks.
        self._closer: tuple[Region, View] | None = None
        self.told: tuple[Told, ...] = ()

    def told_before(self, box: Box | None, points: tuple[Point, ...]) -> Told | None:
        """Return the mask that has come some way to this box and these points; None for none."""
        leading = (each for each in self.told if each.box == box and each.points == points[: len(each.points)])
        return max(leading, key=lambda each: len(each.points), default=None)

    @property
    def whole(self) -> View:
        """All of the frame."""
        with self._lock:
            if self._embedding is None:
                [self._embedding] = self._encoder.encode([self.frame])
            return View(Region.whole(self.frame.height, self.frame.width), self.frame.rgb, self._embedding)

    def closer(self, box: Box) -> View | None:
        """Return the part of the frame around a box; None where that is the whole frame."""
        whole = Region.whole(self.frame.height, self.frame.width)
        margin = _MARGIN_SHARE * math.sqrt((box.x1 - box.x0 + 1) * (box.y1 - box.y0 + 1))
        crop = pixels_of(box, margin).intersection(whole)
        if crop == whole:
            return None
        with self._lock:
            if self._closer is None or self._closer[0] != crop:
                part = cropped(self.frame, crop)
                self._closer = crop, View(crop, part.rgb, self._encoder.encode([part])[0])
            return self._closer[1]


def pixels_of(box: Box, beyond: float = 0) -> Region:
    """Return the pixels of a box, and those up to ``beyond`` pixels beyond it; they may lie outside the frame."""
    y, x = (
        slice(math.floor(low - beyond + 0.5), math.ceil(high + beyond + 0.5))
        for low, high in ((box.y0, box.y1), (box.x0, box.x1))
    )
    return Region(y, x)


def _area(region: Region) -> int:
    return region.height * region.width
