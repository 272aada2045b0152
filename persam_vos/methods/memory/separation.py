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
from persam_vos.settings.photos import PhotoSettings


def largest_component(prior: Tensor, *, min_cells: int) -> Tensor:
    """Return the connected component of highest probability mass of a prior, rows x columns in 0..1: bool.

    It is empty if no component has ``min_cells`` cells.
    """
    likely = (prior > OBJECT_PROBABILITY).cpu().numpy()
    count, parts = cv2.connectedComponents(likely.astype(np.uint8), connectivity=4)
    if count < 2:
        return torch.zeros_like(prior, dtype=torch.bool)
    sizes = np.bincount(parts.ravel(), weights=prior.cpu().numpy().ravel())
    sizes[0] = 0
    sizes[np.bincount(parts.ravel()) < min_cells] = 0
    if not sizes.any():
        return torch.zeros_like(prior, dtype=torch.bool)
    return _filled(torch.from_numpy(parts == int(sizes.argmax())).to(prior.device))


def separate_instance(
    decoder: Decoder,
    embedding: ImageEmbedding,
    prior: Tensor,
    part: Tensor,
    settings: PhotoSettings,
    *,
    blocked: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Confine a connected component of a prior to one instance, if it holds several.

    The decoder is prompted with single points: unlike the prior, it sees where one thing ends. A candidate's rating is
    the product of its likely share, its predicted IoU, and a power of the share of the component that it holds. Two
    touching things together have a lower predicted IoU than either alone, and half a thing has a lower one than the
    whole. A detail's is as high as a whole thing's, so that small candidates need the power to lose.

    Args:
        decoder: SAM's.
        embedding: Of the photo.
        prior: float, rows x columns in 0..1.
        part: bool, rows x columns: not empty.
        settings: Of the separation.
        blocked: See ``Decoder.decode``.

    Returns:
        bool, rows x columns: the cells of the instance; float, rows x columns in 0..1: its probability, a mix of the
        prior with the candidate, which has no holes and knows the edges.
    """
    points = _farthest_points(part, prior, settings)
    mass = prior * part
    coverage, quality = _candidates(decoder, embedding, points, part, blocked)
    inside = part & (coverage > settings.candidate_coverage)
    # By probability mass, so that a doubtful margin counts less than sure cells.
    held = (inside * mass).sum(dim=(1, 2)) / mass.sum()
    purity = (coverage * mass).sum(dim=(1, 2)) / coverage.sum(dim=(1, 2)).clamp(min=1)
    best = int((purity * quality * held**settings.held_share_exponent).argmax())
    # Likely cells of the candidate beyond the component belong to the instance as well.
    answered = (coverage[best] > settings.candidate_coverage) & (prior > OBJECT_PROBABILITY)
    confined = 0 < float(held[best]) < 1 - settings.max_left_out_share
    place = _filled((inside[best] if confined else part) | answered)
    return place, torch.lerp(torch.where(place, prior, 0.0), coverage[best], settings.candidate_share)


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


def _farthest_points(part: Tensor, prior: Tensor, settings: PhotoSettings) -> Tensor:
    """Return points, k x 2 as (row, column), of a component: the deepest, then the farthest from those so far."""
    inside = torch.from_numpy(interior_depth(part.cpu().numpy())).to(prior.device) * prior
    count = min(settings.max_separation_points, max(int(part.sum()) // settings.cells_per_point, 1))
    cells = (part & (inside > min(1.0, 0.5 * float(inside.max())))).nonzero().float()
    chosen = [torch.stack(torch.unravel_index(inside.argmax(), inside.shape)).float()]
    while len(chosen) < count:
        distance = torch.cdist(cells, torch.stack(chosen)).amin(dim=1)
        chosen.append(cells[int(distance.argmax())])
    return torch.stack(chosen)
