"""Of what is likely, the cells of one instance: neighbours that touch are one region of a prior, but not of a photo."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.masks import interior_depth
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.prompts import Prompts
from persam_vos.sam.windows import windows_around

# A probability above this is taken for the object.
_LIKELY = 0.5
# What has fewer cells is a detail of something else, or a shadow of a doubt.
_LEAST = 6
# Points of a region, at most, at which the decoder is asked what lies there, and the cells that each stands for.
_POINTS = 4
_CELLS_OF_A_POINT = 6
# A cell belongs to an answer that covers this share of it.
_COVERED = 0.3
# An answer that leaves so much of a region out is one of several instances in it.
_LEFT_OUT = 0.2
# How much it counts that an answer holds little of a region: half of it, 5%; a twentieth, 19%.
_SIZE_COUNTS = 0.07
# Share of the answer in what is likely.
_BY_ANSWER = 0.5


def largest_component(prior: Tensor) -> Tensor:
    """Return, of a prior, rows x columns in 0..1, the connected part that is most of the object: bool.

    It is empty where nothing but specks is likely.
    """
    likely = (prior > _LIKELY).cpu().numpy()
    count, parts = cv2.connectedComponents(likely.astype(np.uint8), connectivity=4)
    if count < 2:
        return torch.zeros_like(prior, dtype=torch.bool)
    sizes = np.bincount(parts.ravel(), weights=prior.cpu().numpy().ravel())
    sizes[0] = 0
    sizes[np.bincount(parts.ravel()) < _LEAST] = 0
    if not sizes.any():
        return torch.zeros_like(prior, dtype=torch.bool)
    return _whole(torch.from_numpy(parts == int(sizes.argmax())).to(prior.device))


def separate_instance(
    decoder: Decoder, embedding: ImageEmbedding, prior: Tensor, part: Tensor, blocked: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Confine a connected part of a prior to one instance, if it holds several.

    The decoder is asked at several points, with nothing else: unlike the prior, it sees where one thing ends. Its
    answers are rated by how much of them is likely, times how much the decoder trusts them: of two things that touch,
    it trusts either more than both together, and of one thing all of it more than a half. Details, which it trusts as
    much as whole things, are small.

    Args:
        decoder: SAM's.
        embedding: Of the photo.
        prior: float, rows x columns in 0..1.
        part: bool, rows x columns: not empty.
        blocked: See ``Decoder.decode``.

    Returns:
        bool, rows x columns: the cells of the instance; float, rows x columns in 0..1: where it probably is, half of
        it by the prior and half by the answer, which has no holes and knows the edges.
    """
    points = _spread(part, prior)
    mass = prior * part
    coverage, quality = _answers(decoder, embedding, points, part, blocked)
    inside = part & (coverage > _COVERED)
    # Counted by mass, for a doubtful margin not to count as much as what is surely the object.
    held = (inside * mass).sum(dim=(1, 2)) / mass.sum()
    purity = (coverage * mass).sum(dim=(1, 2)) / coverage.sum(dim=(1, 2)).clamp(min=1)
    best = int((purity * quality * held**_SIZE_COUNTS).argmax())
    # Where it is likely, the answer reaches beyond the part as well.
    answered = (coverage[best] > _COVERED) & (prior > _LIKELY)
    confined = 0 < float(held[best]) < 1 - _LEFT_OUT
    place = _whole((inside[best] if confined else part) | answered)
    return place, torch.lerp(torch.where(place, prior, 0.0), coverage[best], _BY_ANSWER)


def _whole(part: Tensor) -> Tensor:
    """Fill the holes and gaps of a part, bool rows x columns."""
    closed = cv2.morphologyEx(part.cpu().numpy().astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(closed, contours, -1, 1, cv2.FILLED)
    return torch.from_numpy(filled > 0).to(part.device)


def _answers(
    decoder: Decoder, embedding: ImageEmbedding, points: Tensor, part: Tensor, blocked: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Ask what lies at each of P points, (row, column) of cells, around a part, bool rows x columns.

    Returns:
        float, 4P x rows x columns in 0..1: the share of each cell that each answer covers; float, 4P: predicted IoUs.
    """
    geometry, (rows, columns) = embedding.geometry, part.shape
    ys, xs = part.nonzero().unbind(1)
    box = torch.stack([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])[None]
    scale = torch.tensor(geometry.sample_size(embedding.cells), device=part.device)
    windows = windows_around(box * scale.repeat(2), geometry, embedding.cells)
    places = ((points.flip(1) + 0.5) * scale)[:, None]
    prompts = Prompts(places, torch.ones(places.shape[:2], dtype=torch.int, device=part.device))
    answers = decoder.decode(embedding, prompts, windows=windows * len(points), blocked=blocked)
    fine = answers.logits.shape[-1] // embedding.cells
    covered = (answers.logits.flatten(0, 1)[:, None] > 0).float()
    coverage = functional.avg_pool2d(covered, fine)[:, 0, :rows, :columns]
    return coverage, answers.predicted_iou.flatten()


def _spread(part: Tensor, prior: Tensor) -> Tensor:
    """Return points, k x 2 as (row, column), of a part: the deepest, then always the farthest from all so far."""
    inside = torch.from_numpy(interior_depth(part.cpu().numpy())).to(prior.device) * prior
    count = min(_POINTS, max(int(part.sum()) // _CELLS_OF_A_POINT, 1))
    cells = (part & (inside > min(1.0, 0.5 * float(inside.max())))).nonzero().float()
    chosen = [torch.stack(torch.unravel_index(inside.argmax(), inside.shape)).float()]
    while len(chosen) < count:
        distance = torch.cdist(cells, torch.stack(chosen)).amin(dim=1)
        chosen.append(cells[int(distance.argmax())])
    return torch.stack(chosen)
