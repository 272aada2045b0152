"""Masks as run lengths: lists, and the text that pycocotools compresses those of COCO to."""

from __future__ import annotations

from typing import Any

import numpy as np

from persam_vos.masks import Mask

# Each character of the text holds 5 bits from this character on, one that tells that more follow.
_ZERO, _BITS, _MORE, _SIGN = 48, 5, 32, 16
_MAX_CHARACTERS = 8  # of one number: 40 bits


def mask_of_runs(counts: Any, height: int, width: int) -> Mask:
    """Return the mask of run lengths, column by column: bool, H x W.

    Args:
        counts: Numbers of pixels, in turn of ground and of object, ground first; or the text that holds them.
        height: Of the mask, in pixels.
        width: Of the mask, in pixels.

    Raises:
        ValueError: If they are no run lengths, or do not add up to the pixels of the mask.
    """
    pixels = height * width
    runs = np.asarray(_numbers(counts) if isinstance(counts, str) else counts, np.int64)
    # A sum of larger runs could wrap around to the right one.
    if runs.ndim != 1 or (runs < 0).any() or (runs > pixels).any():
        raise ValueError(f"run lengths are no list of numbers from 0 to {pixels}, the mask's pixels")
    if runs.sum() != pixels:
        raise ValueError(f"run lengths add up to {runs.sum()}, the mask has {pixels} pixels")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.asarray(flat.reshape(width, height).T)


def runs_of_mask(mask: Mask) -> tuple[bool, list[int]]:
    """Return the run lengths of a mask, bool, H x W, row by row.

    Returns:
        Whether the first run is of the object, and the number of pixels of each run; they take turns.

    >>> runs_of_mask(np.array([[True, False], [False, True]]))
    (True, [1, 2, 1])
    """
    pixels = np.ravel(mask)  # row by row, whatever the order in memory
    ends = np.append(np.flatnonzero(pixels[1:] != pixels[:-1]) + 1, pixels.size)
    return bool(pixels[0]), np.diff(ends, prepend=0).tolist()


def _numbers(text: str) -> list[int]:
    """Return the run lengths in a text: signed numbers, from the fourth on as differences to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for each in text.encode("ascii"):
        code = each - _ZERO
        if not 0 <= code < 2 * _MORE or shift == _MAX_CHARACTERS * _BITS:
            raise ValueError("the text is no compressed list of run lengths")
        value |= (code & (_MORE - 1)) << shift
        shift += _BITS
        if not code & _MORE:
            value -= (1 << shift) if code & _SIGN else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("the text of run lengths ends within a number")
    return runs
