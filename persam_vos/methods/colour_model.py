"""Masks on the decoder's grid and the frame go in; masks on the frame come out, with edges that follow its colours.

Local colour models along the edge of a mask are those of Video SnapCut (Bai et al., SIGGRAPH 2009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import Rgb
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import Patch, masks_to_patches
from persam_vos.sam.regions import EMPTY_REGION, Region, mask_regions
from persam_vos.settings.common import MemorySettings

# The two numbers of the approximation; finer ones cost time and do not change what is modelled.
# Standard deviations after which the Gaussian window ends.
_WINDOW_DEVIATIONS = 2.5
# Colour models per standard deviation, along a side; in between they are interpolated.
_MODELS_PER_DEVIATION = 2.0
# Window weights below this become 0; they lie below the rounding of the others.
_MIN_WINDOW_WEIGHT = 1e-10
# The six products of red, green and blue: their first and their second factors.
_FIRST_FACTORS, _SECOND_FACTORS = (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)
# Pixels that are corrected at once: each takes ten numbers, which should not leave the processor's cache.
_CORRECTED_STRIP_PIXELS = 100_000
# Least share of the window that a mean is divided by.
_MIN_SHARE = 1e-6


def follow_colours(
    logits: Tensor, rgb: Rgb, geometry: Geometry, settings: MemorySettings, min_logit: float
) -> list[Patch]:
    """Correct masks by the colours around their edges, on the way to the frame.

    Around every point, the sure pixels of the object and those of the background get a Gaussian colour model each. The
    log-likelihood ratio of both is added to the mask's logits twice: on the decoder's grid, with mean colours, and at
    every pixel, for the finest edges.

    Args:
        logits: float, N x n x n over the padded square.
        rgb: uint8, H x W x 3: the frame.
        geometry: Of the frame.
        settings: ``colours`` is the share of the log-likelihood ratio that is added.
        min_logit: Below 0; pixels below it and out of reach of the correction are left out.

    Returns:
        N masks on the frame.
    """
    size, share = logits.shape[-1], settings.colours
    limit = share * settings.colour_limit
    rows, columns = geometry.valid(size)
    small = _colours(_sampled(rgb, geometry, size), logits.device)
    samples = [torch.arange(length, dtype=torch.float32, device=logits.device) for length in (rows, columns)]
    corrected = logits.clone()
    picture = corrected[:, :rows, :columns]
    ratios = LogLikelihoodRatio.around(picture, small, settings)
    for mask, ratio in zip(picture, ratios, strict=True):
        if ratio is not None:
            y, x = ratio.window
            mask[y, x] += share * ratio.at(samples[0][y], samples[1][x], small[:, y, x])
    # Every pixel within reach stays in its patch, even if the first correction lowered its logit.
    patches = masks_to_patches(corrected, geometry, min(min_logit, -2 * limit))
    pixels = [
        (torch.arange(length, device=logits.device) + 0.5) * (scaled * size / geometry.input_size / length) - 0.5
        for length, scaled in zip(rgb.shape[:2], geometry.resized, strict=True)
    ]
    for patch, ratio in zip(patches, ratios, strict=True):
        if ratio is not None:
            for strip in geometry.region_to_frame(ratio.window, size).row_strips(_CORRECTED_STRIP_PIXELS):
                y, x = strip
                change = ratio.at(pixels[0][y], pixels[1][x], _colours(rgb[y, x], logits.device))
                patch.logits[strip.relative_to(patch.window)] += share * change
    return patches


@dataclass(frozen=True, slots=True)
class LogLikelihoodRatio:
    """The log-likelihood ratio of colours around an object: at every point a quadratic form of red, green and blue.

    Attributes:
        window: The rows and columns of the grid of samples where it counts.
        step: Distance of two points in samples; the first lies at the window's corner.
        form: float, 10 x p x q: coefficients of the six products, of the three colours, and the constant.
        limit: The ratio is clipped to it, on both sides.
    """

    window: Region
    step: float
    form: Tensor
    limit: float

    @classmethod
    def around(cls, logits: Tensor, colours: Tensor, settings: MemorySettings) -> list[LogLikelihoodRatio | None]:
        """Model the colours around objects.

        Args:
            logits: float, N x h x w: of their masks.
            colours: float, 3 x h x w.
            settings: Of the colour models.

        Returns:
            N; None for an object that is nowhere.
        """
        limit = settings.colours * settings.colour_limit
        reached, areas = mask_regions(logits > -limit), (logits > 0).sum(dim=(1, 2)).tolist()
        return [
            None if where == EMPTY_REGION else cls._of_one(mask, colours, where.expanded(1, mask.shape), area, settings)
            for mask, where, area in zip(logits, reached, areas, strict=True)
        ]

    @classmethod
    def _of_one(
        cls, logits: Tensor, colours: Tensor, window: Region, area: int, settings: MemorySettings
    ) -> LogLikelihoodRatio:
        """Model the colours around an object: logits h x w, ``area`` of them above 0."""
        deviation = max(settings.colour_reach * math.sqrt(area), 1.0)
        seen = window.expanded(math.ceil(_WINDOW_DEVIATIONS * deviation), logits.shape)
        step = max(deviation / _MODELS_PER_DEVIATION, 1.0)
        nearness = []
        for points, around in zip(_points(window, step, logits.device), seen, strict=True):
            places = torch.arange(around.start, around.stop, device=logits.device)
            weights = torch.exp(-0.5 * ((points[:, None] - places) / deviation) ** 2)
            # Denormal numbers take a processor ten times as long.
            nearness.append(weights.where(weights > _MIN_WINDOW_WEIGHT, 0.0))
        sure = 2 * logits[seen].sigmoid() - 1
        terms = _terms(colours[:, seen[0], seen[1]])
        everything = nearness[0].sum(dim=1)[:, None] * nearness[1].sum(dim=1)
        weights = torch.stack([sure, -sure]).clamp(min=0)[:, None]
        moments = nearness[0] @ (weights * terms) @ nearness[1].T / everything
        inside, outside = _log_likelihood(moments, settings.colour_noise)
        trust = (moments[:, -1] / settings.colour_trusted_share).clamp(max=1).prod(dim=0)
        return cls(window, step, trust * (inside - outside), settings.colour_limit)

    def at(self, y: Tensor, x: Tensor, colours: Tensor) -> Tensor:
        """Evaluate the clipped ratio at places of a grid.

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
        rr, rg, rb, gg, gb, bb, of_r, of_g, of_b, ratio = (rows @ (self.form @ columns.T)).unbind()
        r, g, b = colours
        # Nested and in place: a sum of ten products with ``_terms`` takes three times as long.
        of_r.addcmul_(rr, r).addcmul_(rg, g).addcmul_(rb, b)
        of_g.addcmul_(gg, g).addcmul_(gb, b)
        of_b.addcmul_(bb, b)
        return ratio.addcmul_(of_r, r).addcmul_(of_g, g).addcmul_(of_b, b).clamp_(-self.limit, self.limit)


def _log_likelihood(moments: Tensor, noise: float) -> Tensor:
    """Return the Gaussians of weighted means of ``_terms`` as forms of them: ... x 10 x p x q, both."""
    # In double precision, since an inverse from minors subtracts nearly equal products.
    means = moments.double().movedim(-3, 0)
    means = means[:9] / means[9].clamp(min=_MIN_SHARE)
    r, g, b = means[6:]
    rr, rg, rb, gg, gb, bb = means[:6] - means[6:][[*_FIRST_FACTORS]] * means[6:][[*_SECOND_FACTORS]]
    rr, gg, bb = rr + noise**2, gg + noise**2, bb + noise**2
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
    """Return the terms of a quadratic form: products, colours, 1; 3 x h x w -> 10 x h x w."""
    return torch.cat([colours[[*_FIRST_FACTORS]] * colours[[*_SECOND_FACTORS]], colours, torch.ones_like(colours[:1])])


def _points(window: Region, step: float, device: torch.device) -> list[Tensor]:
    """Return the positions of the points along either side of a window, in samples: float, p and q."""
    # A pixel at the border lies up to half a sample outside the outermost sample.
    return [
        side.start - 0.5 + step * torch.arange(math.ceil((side.stop - side.start) / step) + 1, device=device)
        for side in window
    ]


def _sampled(rgb: Rgb, geometry: Geometry, size: int) -> Rgb:
    """Average a frame over the samples that hold picture, of ``size`` along the square's side."""
    height, width = geometry.resized
    pixels = geometry.input_size // size
    if height % pixels == 0 and width % pixels == 0:
        # Straight to the means: faster than by way of the model's input, and the same up to what that interpolates.
        height, width, pixels = height // pixels, width // pixels, 1
    shrunk = width < rgb.shape[1]
    # A frame that is smaller than that would get steps if it were enlarged by area.
    way = cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR
    scaled = cv2.resize(np.ascontiguousarray(rgb), (width, height), interpolation=way)
    # The last sample may hold picture only in part.
    whole = cv2.copyMakeBorder(scaled, 0, -height % pixels, 0, -width % pixels, cv2.BORDER_REPLICATE)
    shape = whole.shape[1] // pixels, whole.shape[0] // pixels
    return cv2.resize(whole, shape, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _colours(rgb: Rgb, device: torch.device) -> Tensor:
    """Return float, 3 x h x w in -0.5..0.5: small numbers keep their squares exact."""
    centred = rgb.astype(np.float32).transpose(2, 0, 1) / 255 - 0.5
    return torch.from_numpy(np.ascontiguousarray(centred)).to(device)
