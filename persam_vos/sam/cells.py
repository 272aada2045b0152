"""From image embeddings to one feature vector per cell, and from maps of cells to finer grids."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.sam.encoder import ImageEmbedding

# The features of a picture of one colour may all be 0.
MIN_NORM = 1e-12


def cell_features(embedding: ImageEmbedding, dtype: torch.dtype = torch.float32) -> Tensor:
    """Concatenate the neck's features and those of all encoder stages for every cell that holds picture.

    Each part is scaled to unit length per cell, so that none outweighs the others. The shallow stages distinguish
    things that the neck no longer does.

    Args:
        embedding: Embedding of a frame.
        dtype: Dtype of the result; bfloat16 loses nothing if the frame was encoded in it.

    Returns:
        cells x D, the cells row by row; D is 864 for MobileSAM.
    """
    rows, columns = embedding.geometry.valid(embedding.cells)
    stages = (embedding.features[:, :rows, :columns], *embedding.stages)
    features = embedding.features.new_empty(rows * columns, sum(len(stage) for stage in stages), dtype=dtype)
    for stage, block in zip(stages, features.split([len(stage) for stage in stages], dim=1), strict=True):
        cells = stage.permute(1, 2, 0).flatten(0, 1)
        torch.mul(cells, 1 / cells.norm(dim=1, keepdim=True).clamp(min=MIN_NORM), out=block)
    return features


def upsample_to_square(grids: Tensor, size: int, cells: int, padding: float) -> Tensor:
    """Resample maps of the cells that hold picture to a finer grid over the padded square.

    Args:
        grids: float, N x rows x columns, the cells that hold picture.
        size: Side of the finer grid, a multiple of ``cells``.
        cells: Side of the grid of cells over the square.
        padding: Value outside the picture.

    Returns:
        float, N x size x size, bilinear.
    """
    finer = functional.interpolate(grids[None], scale_factor=size // cells, mode="bilinear")[0]
    square = finer.new_full((len(grids), size, size), padding)
    square[:, : finer.shape[1], : finer.shape[2]] = finer
    return square
