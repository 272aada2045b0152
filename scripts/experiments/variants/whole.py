"""Variants of a whole sequence: backwards, fast, occluded, mirrored, half the size."""

from __future__ import annotations

import cv2
import numpy as np

from persam_vos.masks import Rgb

from .clips import Clip, Source


def plain(source: Source) -> Clip:
    """Return the sequence as it is."""
    return Clip(source.frames, source.label_maps)


def backwards(source: Source) -> Clip:
    """Run backwards in time."""
    return Clip(source.frames[::-1], source.label_maps[::-1])


def third(source: Source) -> Clip:
    """Keep every third frame: fast motion."""
    return Clip(source.frames[::3], source.label_maps[::3])


def mirrored(source: Source) -> Clip:
    """Swap left and right."""
    return Clip([np.fliplr(each) for each in source.frames], [np.fliplr(each) for each in source.label_maps])


def half(source: Source) -> Clip:
    """Shrink to half the size."""
    small = [cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for frame in source.frames]
    size = small[0].shape[1::-1]
    return Clip(small, [cv2.resize(each, size, interpolation=cv2.INTER_NEAREST) for each in source.label_maps])


def occluded(source: Source) -> Clip:
    """Hide object 1 behind a patch of coloured noise for ten frames, from a third of the sequence on."""
    frames, label_maps = list(source.frames), list(source.label_maps)
    height, width = source.size
    for i in range(len(frames) // 3, min(len(frames) // 3 + 10, len(frames))):
        rows, columns = (label_maps[i] == 1).nonzero()
        if not len(rows):
            continue
        patch = np.s_[max(rows.min() - 8, 0) : rows.max() + 8, max(columns.min() - 8, 0) : columns.max() + 8]
        frames[i], label_maps[i] = frames[i].copy(), label_maps[i].copy()
        frames[i][patch], label_maps[i][patch] = _coloured_noise(height, width, source.seed)[patch], 0
    return Clip(frames, label_maps)


def _coloured_noise(height: int, width: int, seed: int) -> Rgb:
    """Make smooth coloured noise of several scales."""
    generator = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for size in (4, 16, 64):
        grid = generator.random((max(2, height // size + 2), max(2, width // size + 2), 3)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total / 3 * 255, 0, 255).astype(np.uint8)
