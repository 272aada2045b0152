"""A prior of one kind of object goes in; out comes the prior of a single instance, also where instances touch."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.masks import interior_depth
from persam_vos.methods.memory.gate import OBJECT_PROBABILITY
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.prompts import Prompts
from persam_vos.sam.windows import windows_around

# Cells below which a component is a detail of something else.
_MIN_COMPONENT_CELLS = 6
# Most points of a component that prompt the decoder, and cells per point.
_MAX_POINTS = 4
_CELLS_PER_POINT = 6
# Coverage from which a cell belongs to a candidate.
_MIN_COVERAGE = 0.3
# A candidate that leaves out more than this share of a component is one of several instances in it.
_MAX_LEFT_OUT_SHARE = 0.2
# Exponent of the share of a component that a candidate holds: half of it costs 5% of its rating, a twentieth 19%.
_SIZE_EXPONENT = 0.07
# Share of the candidate in the prior of the instance.
_CANDIDATE_SHARE = 0.5


def largest_component(prior: Tensor) -> Tensor:
    """Return the connected component of highest probability mass of a prior, rows x columns in 0..1: bool.

    It is empty where nothing but specks is likely.
    """
    likely = (prior > OBJECT_PROBABILITY).cpu().numpy()
    count, parts = cv2.connectedComponents(likely.astype(np.uint8), connectivity=4)
    if count < 2:
        return torch.zeros_like(prior, dtype=torch.bool)
    sizes = np.bincount(parts.ravel(), weights=prior.cpu().numpy().ravel())
    sizes[0] = 0
    sizes[np.bincount(parts.ravel()) < _MIN_COMPONENT_CELLS] = 0
    if not sizes.any():
        return torch.zeros_like(prior, dtype=torch.bool)
    return _filled(torch.from_numpy(parts == int(sizes.argmax())).to(prior.device))


def separate_instance(
    decoder: Decoder, embedding: ImageEmbedding, prior: Tensor, part: Tensor, blocked: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Confine a connected component of a prior to one instance, if it holds several.

    The decoder is prompted with single points: unlike the prior, it sees where one thing ends. Its candidates are rated
    by the share of them that is likely, times predicted IoU: of two things that touch, either has a higher predicted
    IoU than both together, and one thing a higher one than half of it. Details have as high a predicted IoU as whole
    things, but are small.

    Args:
        decoder: SAM's.
        embedding: Of the photo.
        prior: float, rows x columns in 0..1.
        part: bool, rows x columns: not empty.
        blocked: See ``Decoder.decode``.

    Returns:
        bool, rows x columns: the cells of the instance; float, rows x columns in 0..1: where it probably is, half of
        it by the prior and half by the candidate, which has no holes and knows the edges.
    """
    points = _farthest_points(part, prior)
    mass = prior * part
    coverage, quality = _candidates(decoder, embedding, points, part, blocked)
    inside = part & (coverage > _MIN_COVERAGE)
    # By probability mass, so that a doubtful margin counts less than sure cells.
    held = (inside * mass).sum(dim=(1, 2)) / mass.sum()
    purity = (coverage * mass).sum(dim=(1, 2)) / coverage.sum(dim=(1, 2)).clamp(min=1)
    best = int((purity * quality * held**_SIZE_EXPONENT).argmax())
    # Likely cells of the candidate beyond the component belong to the instance as well.
    answered = (coverage[best] > _MIN_COVERAGE) & (prior > OBJECT_PROBABILITY)
    confined = 0 < float(held[best]) < 1 - _MAX_LEFT_OUT_SHARE
    place = _filled((inside[best] if confined else part) | answered)
    return place, torch.lerp(torch.where(place, prior, 0.0), coverage[best], _CANDIDATE_SHARE)


def _filled(part: Tensor) -> Tensor:
    """Fill the holes and gaps of a component, bool rows x columns."""
    closed = cv2.morphologyEx(part.cpu().numpy().astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(closed, contours, -1, 1, cv2.FILLED)
    return torch.from_numpy(filled > 0).to(part.device)


def _candidates(
    decoder: Decoder, embedding: ImageEmbedding, points: Tensor, part: Tensor, blocked: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the candidates of each of P points, (row, column) of cells, around a component, bool rows x columns.

    Returns:
        float, 4P x rows x columns in 0..1: the coverage by each candidate; float, 4P: predicted IoUs.
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


def _farthest_points(part: Tensor, prior: Tensor) -> Tensor:
    """Return points, k x 2 as (row, column), of a component: the deepest, then the farthest from those so far."""
    inside = torch.from_numpy(interior_depth(part.cpu().numpy())).to(prior.device) * prior
    count = min(_MAX_POINTS, max(int(part.sum()) // _CELLS_PER_POINT, 1))
    cells = (part & (inside > min(1.0, 0.5 * float(inside.max())))).nonzero().float()
    chosen = [torch.stack(torch.unravel_index(inside.argmax(), inside.shape)).float()]
    while len(chosen) < count:
        distance = torch.cdist(cells, torch.stack(chosen)).amin(dim=1)
        chosen.append(cells[int(distance.argmax())])
    return torch.stack(chosen)
