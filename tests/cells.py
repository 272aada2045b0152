"""Cells of made-up frames: features that tell objects apart without fail."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from persam_vos.methods.memory.memory import Memory
from persam_vos.settings.common import MemorySettings


def scene_of_colours(*columns: int) -> torch.Tensor:
    """Features, 36 * 64 cells x 16: background everywhere, and in each of the columns a thing of its own."""
    kinds = torch.zeros(36, 64, dtype=torch.long)
    for kind, column in enumerate(columns, start=1):
        kinds[10:20, column : column + 8] = kind
    return torch.eye(16)[kinds.flatten()]


def as_grid(cells: torch.Tensor) -> torch.Tensor:
    return cells.unflatten(1, (36, 64))


def learnt(columns: Sequence[int]) -> tuple[Memory, torch.Tensor, torch.Tensor]:
    features = scene_of_colours(*columns)
    coverage = torch.stack([features[:, kind] for kind in range(1, len(columns) + 1)])
    return Memory.learn(features, coverage, MemorySettings()), features, coverage


def square_at(row: int, column: int) -> torch.Tensor:
    grid = torch.zeros(36, 64)
    grid[row : row + 6, column : column + 6] = 0.9
    return grid
