"""Objects go in; out comes a crop of the frame that fits them, and what joins its grids and masks with the frame's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.media.frame import Frame
from persam_vos.methods.memory.prior import MIN_PROBABILITY
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import EMPTY_REGION, Region, bounding_region
from persam_vos.settings.video import TrackerSettings

# Numbers of the approximation: where a crop lies changes what is seen of an object by less than a cell.
# A crop stays where it is while the objects keep this share of their margin, and while it need not be smaller than this
# share of itself: cells of a crop that stays meet those of the last frame exactly.
_KEPT_MARGIN, _KEPT_SIZE = 0.4, 0.7
# Share of a crop's side over which its masks fade out towards a border that is not the frame's, so that no edge shows.
_FADE_SHARE = 1 / 16
_NOWHERE_LOGIT = math.log(MIN_PROBABILITY / (1 - MIN_PROBABILITY))


def place_crop(
    boxes: Sequence[Region], size: tuple[int, int], settings: TrackerSettings, last: Region | None = None
) -> Region:
    """Place a crop around objects: a square, or of the frame's shape where no square in the frame is large enough.

    While the crop would be hardly smaller than the frame, the largest object is left out.

    Args:
        boxes: Of the objects, in pixels of the frame, at least one.
        size: Height and width of the frame.
        settings: The crop's margin, and how much it is enlarged.
        last: The crop of the frame before, which stays while it fits.

    Returns:
        Pixels of the frame: all of it where even one object needs most of it.
    """
    whole, held = Region.whole(*size), sorted(boxes, key=lambda box: max(box.height, box.width))
    for count in range(len(held), 0, -1):
        box = bounding_region(held[:count])
        if last is not None and last != whole and _still_fits(box, last, size, settings):
            return last
        height, width = _needed(box, size, settings)
        if max(size) >= settings.crop_min_scale * max(height, width):
            return around_middle(box, (height, width), size)
    return whole


def around_middle(box: Region, shape: tuple[int, int], size: tuple[int, int]) -> Region:
    """Return the region of a shape whose middle is as near to a box's as a frame of ``size`` allows.

    >>> around_middle(Region.at(0, 90, 10, 10), (25, 51), (50, 101))
    Region(rows=slice(0, 25, None), columns=slice(50, 101, None))
    """
    top, left = (
        min(max((side.start + side.stop - length) // 2, 0), end - length)
        for side, length, end in zip(box, shape, size, strict=True)
    )
    return Region.at(top, left, *shape)


def shape_of_frame(needs: Sequence[float], size: tuple[int, int]) -> tuple[int, int]:
    """Return the smallest height and width, at least those needed, that are scaled to the frame's own input.

    A crop that is a row higher at the encoder's input may need another network, which takes seconds to compile.

    Args:
        needs: Height and width in pixels, at most those of the frame.
        size: Height and width of the frame.

    >>> shape_of_frame((480, 640), (720, 1280))
    (480, 854)
    """
    longest, resized = max(size), Geometry(*size).resized
    for long in range(math.ceil(max(need * longest / end for need, end in zip(needs, size, strict=True))), longest):
        height, width = (round(long * end / longest) for end in size)
        large_enough = height >= needs[0] and width >= needs[1]
        if large_enough and Geometry(height, width).resized == resized:
            return height, width
    return size


def _margin(box: Region, settings: TrackerSettings) -> float:
    return settings.crop_margin * math.sqrt(box.height * box.width)


def _needed(box: Region, size: tuple[int, int], settings: TrackerSettings) -> tuple[int, int]:
    """Return the height and width, in pixels, that a crop around a box needs."""
    margin = _margin(box, settings)
    needs = [min(length + 2 * margin, end) for length, end in zip((box.height, box.width), size, strict=True)]
    side = math.ceil(max(*needs, max(size) / settings.crop_max_scale))
    if side <= min(size):
        return side, side
    return shape_of_frame([max(need, side * end / max(size)) for need, end in zip(needs, size, strict=True)], size)


def _still_fits(box: Region, crop: Region, size: tuple[int, int], settings: TrackerSettings) -> bool:
    kept = box.expanded(math.ceil(_KEPT_MARGIN * _margin(box, settings)), size)
    needed = max(_needed(box, size, settings))
    return kept.intersection(crop) == kept and needed >= _KEPT_SIZE * max(crop.height, crop.width)


def cropped(frame: Frame, crop: Region) -> Frame:
    """Return a crop of a frame as a frame of its own."""
    return replace(frame, rgb=np.ascontiguousarray(frame.rgb[crop]))


@dataclass(frozen=True, slots=True)
class Resampling:
    """Brings maps over the padded square of one region of a frame to the padded square of another one.

    Attributes:
        rows: float, n x n: weights of the rows of one in the rows of the other; 0 where they do not overlap.
        columns: The same of columns.
    """

    rows: Tensor
    columns: Tensor

    @classmethod
    def between(
        cls, source: Region, target: Region, size: int, device: torch.device, *, nearest: bool = False
    ) -> Resampling:
        """Join squares of ``size`` x ``size`` samples over two regions; bilinear, averaging where it shrinks."""
        samples = zip(
            reversed(Geometry(source.height, source.width).sample_size(size)),
            reversed(Geometry(target.height, target.width).sample_size(size)),
            strict=True,
        )
        rows, columns = (
            _weights(side, to, step, to_step, size, device, nearest)
            for side, to, (step, to_step) in zip(source, target, samples, strict=True)
        )
        return cls(rows, columns)

    def __call__(self, grids: Tensor) -> Tensor:
        """Resample float, ... x n x n."""
        return self.rows @ grids @ self.columns.T

    @property
    def inside(self) -> Tensor:
        """Tell which samples of the target lie in the source: bool, n x n."""
        return self.rows.any(dim=1)[:, None] & self.columns.any(dim=1)


def _weights(
    source: slice, target: slice, step: float, target_step: float, size: int, device: torch.device, nearest: bool
) -> Tensor:
    """Return float, size x size: from samples ``step`` pixels apart to samples ``target_step`` apart, on one side."""
    sample = torch.arange(size, device=device)
    places = target.start + (sample + 0.5) * target_step
    held = max(math.ceil((source.stop - source.start) / step - 1e-3), 1)
    inside = (places > source.start) & (places < source.stop) & (places < target.stop + 0.5 * target_step)
    at = ((places - source.start) / step - 0.5).clamp(0, held - 1)
    if nearest:
        chosen: Tensor = functional.one_hot(at.round().long(), size) * inside[:, None].float()
        return chosen
    weights: Tensor = (1 - (at[:, None] - sample).abs() / max(target_step / step, 1.0)).clamp(min=0) * (sample < held)
    normalised: Tensor = weights / weights.sum(dim=1, keepdim=True) * inside[:, None]
    return normalised


def fading(crop: Region, size: tuple[int, int], device: torch.device) -> Tensor:
    """Return float, h x w in 0..1, of a crop's pixels: 1, but less near borders of the crop that the frame has not."""
    sides = []
    for side, end in zip(crop, size, strict=True):
        length = side.stop - side.start
        places, share = torch.arange(length, device=device) + 0.5, torch.ones(length, device=device)
        if side.start > 0:
            share = torch.minimum(share, places / (_FADE_SHARE * length))
        if side.stop < end:
            share = torch.minimum(share, (length - places) / (_FADE_SHARE * length))
        sides.append(share)
    return torch.minimum(sides[0][:, None], sides[1])


def mix_patches(whole: Patch, closer: Patch, crop: Region, shares: Tensor) -> Patch:
    """Mix the logits of a mask found in a crop into those of the mask found in the whole frame.

    Args:
        whole: In pixels of the frame.
        closer: In pixels of the crop.
        crop: Where the crop lies in the frame.
        shares: float, h x w in 0..1: share of ``closer`` at each pixel of the crop.
    """
    y, x = closer.window
    placed = Region.at(crop.top + y.start, crop.left + x.start, closer.window.height, closer.window.width)
    if closer.window == EMPTY_REGION:
        placed = EMPTY_REGION
    window = bounding_region([whole.window, placed])
    logits = whole.logits.new_full((window.height, window.width), _NOWHERE_LOGIT)
    if whole.window != EMPTY_REGION:
        logits[whole.window.relative_to(window)] = whole.logits
    if (shared := window.intersection(crop)) != EMPTY_REGION:
        here = logits[shared.relative_to(window)]
        found = torch.full_like(here, _NOWHERE_LOGIT)
        if placed != EMPTY_REGION:
            found[placed.relative_to(shared)] = closer.logits
        here.lerp_(found, shares[shared.relative_to(crop)])
    return Patch(window, logits)
