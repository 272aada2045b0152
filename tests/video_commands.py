"""A short clip and its mask for tests of the commands on video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from clips import moving_square, write_clip

HEIGHT, WIDTH = 48, 64


def write_square_clip(path: Path) -> Path:
    """Write five frames in which a square moves by 4 pixels a frame."""
    write_clip(path, moving_square(5), rate=Fraction(30000, 1001))
    return path


def square() -> np.ndarray:
    """Return the square's label map in the first frame."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[16:32, 0:16] = 1
    return labels
