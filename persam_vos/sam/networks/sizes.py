"""Sizes that every SAM shares, with their units."""

from __future__ import annotations

from typing import Final

INPUT_SIDE_PIXELS: Final = 1024
CELL_SIDE_PIXELS: Final = 16
GRID_SIDE_CELLS: Final = INPUT_SIDE_PIXELS // CELL_SIDE_PIXELS
# Masks of the decoder, and its mask prompts.
SAMPLES_PER_CELL_SIDE: Final = 4
MASK_SIDE_SAMPLES: Final = SAMPLES_PER_CELL_SIDE * GRID_SIDE_CELLS
EMBEDDING_CHANNELS: Final = 256
