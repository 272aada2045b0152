"""Edges follow the colours around them: what the frame itself shows, finer than the decoder's samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.frame import Geometry, Rgb

# How far around a point its colours count: the deviation of a Gaussian, in square roots of the object's area. From 0.07
# to 0.12 is as good; with 0.3, J&F falls by two points.
_REACH = 0.1
# The Gaussian ends after so many deviations. It is evaluated at so many points to a deviation, and linearly between.
_TAIL = 2.5
_DENSITY = 2.0
# Deviation of any colour, in 0..1, however even its surroundings: noise of the camera.
_NOISE = 0.02
# Share of the surroundings from which on a description of their colours is trusted in full.
_ENOUGH = 0.02
# Log-likelihood ratios beyond this are taken for this: a Gaussian knows nothing of its tails.
_STRONGEST = 3.0
# Of red, green and blue, the two factors of every product.
_FIRST, _SECOND = (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)
# Pixels that are corrected at once: each takes ten numbers, several times.
_AT_ONCE = 500_000
# What is divided by is at least this.
_SOME = 1e-6


def follow_colours(log_odds: Tensor, rgb: Rgb, geometry: Geometry, share: float) -> Tensor:
    """Correct masks by the colours around their edges, on the way to the frame.

    What is surely the object, and what is surely not, is described around every point by a Gaussian of its colours;
    the log-likelihood ratio of both is added to the mask's log-odds: once on the grid of samples, then, described anew,
    at every pixel. Local colour models at the border of a mask are those of Video SnapCut (Bai et al., SIGGRAPH 2009).

    Args:
        log_odds: float, N x n x n over the padded square.
        rgb: uint8, H x W x 3: the frame.
        geometry: Of the frame.
        share: Of the log-likelihood ratio that is added.

    Returns:
        float, N x H x W.
    """
    size, limit = log_odds.shape[-1], share * _STRONGEST
    rows, columns = geometry.valid(size)
    small = _colours(_sampled(rgb, geometry, size), log_odds.device)
    samples = [torch.arange(length, dtype=torch.float32, device=log_odds.device) for length in (rows, columns)]
    corrected, found = log_odds.clone(), []
    for odds in corrected[:, :rows, :columns]:
        if (ratio := _Ratio.around(odds, small, limit)) is not None:
            y, x = ratio.window
            odds[y, x] += share * ratio.at(samples[0][y], samples[1][x], small[:, y, x])
        found.append(_Ratio.around(odds, small, limit))
    result = geometry.to_frame(corrected, picture_only=True)
    pixels = [
        (torch.arange(length, device=log_odds.device) + 0.5) * (scaled * size / geometry.input_size / length) - 0.5
        for length, scaled in zip(rgb.shape[:2], geometry.resized, strict=True)
    ]
    for odds, ratio in zip(result, found, strict=True):
        if ratio is not None:
            rows_within, x = (_between(places, side) for places, side in zip(pixels, ratio.window, strict=True))
            for y in _blocks(rows_within, max(_AT_ONCE // rgb.shape[1], 1)):
                odds[y, x] += share * ratio.at(pixels[0][y], pixels[1][x], _colours(rgb[y, x], log_odds.device))
    return result


@dataclass(frozen=True, slots=True)
class _Ratio:
    """The log-likelihood ratio of colours around one object: at every point a form of red, green and blue.

    Attributes:
        window: The rows and columns of the grid of samples where it counts.
        step: Distance of two points in samples; the first lies at the window's corner.
        form: float, 10 x p x q: coefficients of the six products, of the three colours, and the constant.
    """

    window: tuple[slice, slice]
    step: float
    form: Tensor

    @classmethod
    def around(cls, odds: Tensor, colours: Tensor, limit: float) -> _Ratio | None:
        """Describe the colours around an object.

        Args:
            odds: float, h x w: log-odds of its mask.
            colours: float, 3 x h x w.
            limit: What is this far below 0 is out of reach.

        Returns:
            None if the object is nowhere.
        """
        reached = odds > -limit
        if not bool(reached.any()):
            return None
        deviation = max(_REACH * math.sqrt(float((odds > 0).sum())), 1.0)
        lines = (reached.any(dim=dimension).nonzero()[:, 0] for dimension in (1, 0))
        (top, bottom), (left, right) = ((int(line[0]), int(line[-1]) + 1) for line in lines)
        window = _grown((slice(top, bottom), slice(left, right)), 1, odds)
        seen = _grown(window, math.ceil(_TAIL * deviation), odds)
        step = max(deviation / _DENSITY, 1.0)
        nearness = []
        for points, around in zip(_points(window, step, odds.device), seen, strict=True):
            places = torch.arange(around.start, around.stop, device=odds.device)
            nearness.append(torch.exp(-0.5 * ((points[:, None] - places) / deviation) ** 2))
        sure = 2 * odds[seen].sigmoid() - 1
        terms = _terms(colours[:, seen[0], seen[1]])
        everything = nearness[0].sum(dim=1)[:, None] * nearness[1].sum(dim=1)
        weights = torch.stack([sure, -sure]).clamp(min=0)[:, None]
        moments = nearness[0] @ (weights * terms) @ nearness[1].T / everything
        inside, outside = _log_likelihood(moments)
        trust = (moments[:, -1] / _ENOUGH).clamp(max=1).prod(dim=0)
        return cls(window, step, trust * (inside - outside))

    def at(self, y: Tensor, x: Tensor, colours: Tensor) -> Tensor:
        """Evaluate the ratio, limited, at places of a grid.

        Args:
            y: float, h: of the rows, in samples.
            x: float, w: of the columns.
            colours: float, 3 x h x w: at these places.

        Returns:
            float, h x w.
        """
        rows, columns = (
            (1 - (places[:, None] - points).abs() / self.step).clamp(min=0)
            for places, points in zip((y, x), _points(self.window, self.step, y.device), strict=True)
        )
        ratio = ((rows @ self.form @ columns.T) * _terms(colours)).sum(dim=0)
        return ratio.clamp(-_STRONGEST, _STRONGEST)


def _log_likelihood(moments: Tensor) -> Tensor:
    """Return the Gaussians of weighted means of ``_terms`` as forms of them: ... x 10 x p x q, both."""
    # In double precision: an inverse from minors takes differences of nearly equal products.
    means = moments.double().movedim(-3, 0)
    means = means[:9] / means[9].clamp(min=_SOME)
    r, g, b = means[6:]
    rr, rg, rb, gg, gb, bb = means[:6] - means[6:][[*_FIRST]] * means[6:][[*_SECOND]]
    rr, gg, bb = rr + _NOISE**2, gg + _NOISE**2, bb + _NOISE**2
    minors = torch.stack(
        [
            gg * bb - gb * gb,
            rb * gb - rg * bb,
            rg * gb - rb * gg,
            rr * bb - rb * rb,
            rg * rb - rr * gb,
            rr * gg - rg * rg,
        ]
    )
    determinant = rr * minors[0] + rg * minors[1] + rb * minors[2]
    prr, prg, prb, pgg, pgb, pbb = minors / determinant
    linear = torch.stack([prr * r + prg * g + prb * b, prg * r + pgg * g + pgb * b, prb * r + pgb * g + pbb * b])
    constant = -0.5 * ((linear * means[6:]).sum(dim=0) + determinant.log())
    quadratic = torch.stack([-0.5 * prr, -prg, -prb, -0.5 * pgg, -pgb, -0.5 * pbb])
    return torch.cat([quadratic, linear, constant[None]]).movedim(0, -3).float()


def _terms(colours: Tensor) -> Tensor:
    """Return what a form is made of: products, colours, 1; 3 x h x w -> 10 x h x w."""
    return torch.cat([colours[[*_FIRST]] * colours[[*_SECOND]], colours, torch.ones_like(colours[:1])])


def _points(window: tuple[slice, slice], step: float, device: torch.device) -> list[Tensor]:
    """Return where the points lie along either side of a window, in samples: float, p and q."""
    # A pixel at the border lies up to half a sample outside the outermost sample.
    return [
        side.start - 0.5 + step * torch.arange(math.ceil((side.stop - side.start) / step) + 1, device=device)
        for side in window
    ]


def _grown(window: Sequence[slice], margin: int, grid: Tensor) -> tuple[slice, slice]:
    y, x = (
        slice(max(side.start - margin, 0), min(side.stop + margin, length))
        for side, length in zip(window, grid.shape, strict=True)
    )
    return y, x


def _between(places: Tensor, side: slice) -> slice:
    """Return which of the pixels lie in a stretch of samples; ``places`` rise."""
    bounds = places.new_tensor([side.start - 0.5, side.stop - 0.5])
    first, end = torch.searchsorted(places, bounds).tolist()
    return slice(first, end)


def _blocks(rows: slice, height: int) -> Iterator[slice]:
    for first in range(rows.start, rows.stop, height):
        yield slice(first, min(first + height, rows.stop))


def _sampled(rgb: Rgb, geometry: Geometry, size: int) -> Rgb:
    """Average a frame over the samples that hold picture, of ``size`` along the square's side."""
    height, width = geometry.resized
    pixels = geometry.input_size // size
    # Enlarged by area, a frame gets steps.
    way = cv2.INTER_AREA if width < rgb.shape[1] else cv2.INTER_LINEAR
    scaled = cv2.resize(np.ascontiguousarray(rgb), (width, height), interpolation=way)
    # The last sample may hold picture only in part.
    whole = cv2.copyMakeBorder(scaled, 0, -height % pixels, 0, -width % pixels, cv2.BORDER_REPLICATE)
    shape = whole.shape[1] // pixels, whole.shape[0] // pixels
    return cv2.resize(whole, shape, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _colours(rgb: Rgb, device: torch.device) -> Tensor:
    """Return float, 3 x h x w in -0.5..0.5: small numbers keep their squares exact."""
    centred = rgb.astype(np.float32).transpose(2, 0, 1) / 255 - 0.5
    return torch.from_numpy(np.ascontiguousarray(centred)).to(device)
