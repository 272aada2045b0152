"""Harder variants of a sequence, made from its frames and label maps, for ``ablate.py``."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from persam_vos.masks import LabelMap, Rgb

Clip = tuple[list[Rgb], list[LabelMap]]


def occluded(frames: list[Rgb], label_maps: list[LabelMap], seed: int) -> Clip:
    """Hide object 1 behind a patch of coloured noise for ten frames, from a third of the sequence on."""
    frames, label_maps = list(frames), list(label_maps)
    height, width = label_maps[0].shape
    for i in range(len(frames) // 3, min(len(frames) // 3 + 10, len(frames))):
        rows, columns = (label_maps[i] == 1).nonzero()
        if not len(rows):
            continue
        patch = np.s_[max(rows.min() - 8, 0) : rows.max() + 8, max(columns.min() - 8, 0) : columns.max() + 8]
        frames[i], label_maps[i] = frames[i].copy(), label_maps[i].copy()
        frames[i][patch], label_maps[i][patch] = noise(height, width, seed)[patch], 0
    return frames, label_maps


def noise(height: int, width: int, seed: int) -> Rgb:
    """Make smooth coloured noise of several scales."""
    generator = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for size in (4, 16, 64):
        grid = generator.random((max(2, height // size + 2), max(2, width // size + 2), 3)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total / 3 * 255, 0, 255).astype(np.uint8)


def halved(frames: list[Rgb], label_maps: list[LabelMap]) -> Clip:
    """Shrink to half the size."""
    small = [cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for frame in frames]
    size = small[0].shape[1::-1]
    return small, [cv2.resize(each, size, interpolation=cv2.INTER_NEAREST) for each in label_maps]


VARIANTS: dict[str, Callable[[list[Rgb], list[LabelMap], int], Clip]] = {
    "plain": lambda frames, label_maps, _: (frames, label_maps),
    "backwards": lambda frames, label_maps, _: (frames[::-1], label_maps[::-1]),
    "third": lambda frames, label_maps, _: (frames[::3], label_maps[::3]),
    "occluded": occluded,
    "mirrored": lambda frames, label_maps, _: ([np.fliplr(f) for f in frames], [np.fliplr(m) for m in label_maps]),
    "half": lambda frames, label_maps, _: halved(frames, label_maps),
}
