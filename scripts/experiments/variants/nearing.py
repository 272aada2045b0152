"""The variant in which the object comes nearer, and goes away again."""

from __future__ import annotations

import numpy as np

from .camera import warped_frame, warped_labels
from .clips import Clip, Source
from .cutouts import paste
from .rivals import MIN_AREA, object_cutouts, smooth_boxes

# How many times it grows, linearly, if there is room; a zoom of the frame needs at least so much of it.
_GROWTH = 3.5
_MIN_ZOOM = 2.2
# Size of a zoomed clip as a share of the sequence's, so that the closest view has pixels of its own.
_OUTPUT_SHARE = 0.6
# Largest share of the frame's height and width that the object fills.
_FILLED_SHARE = 0.92


def zoom(source: Source) -> Clip | None:
    """Let the object grow 2 to 3.5 times and shrink back.

    Where it is small, a window of the frame closes in on it. Where it is large, it is cut out and comes nearer on
    another sequence, from far away up to the size that it has.
    """
    height, width = source.size
    if not source.mask(0).any():
        return None
    boxes = smooth_boxes(source)
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    room = float(min(_FILLED_SHARE * width / sides[:, 0].max(), _FILLED_SHARE * height / sides[:, 1].max()))
    if room >= _MIN_ZOOM:
        return _zoomed(source, min(room, _GROWTH), boxes)
    return _approaching(source) if source.donors else None


def growth(count: int, most: float) -> list[float]:
    """Return factors that rise from 1 to ``most`` and fall back, by equal ratios."""
    return [float(most ** np.sin(np.pi * i / max(count - 1, 1)) ** 2) for i in range(count)]


def _zoomed(source: Source, most: float, boxes: np.ndarray) -> Clip:
    """Close a window of the frame in on the object."""
    height, width = source.size
    size = round(_OUTPUT_SHARE * width), round(_OUTPUT_SHARE * height)
    frames, label_maps = [], []
    for i, factor in enumerate(growth(len(source.frames), most)):
        window = np.array([width, height]) / factor
        middle = np.clip((boxes[i, :2] + boxes[i, 2:]) / 2, window / 2, [width, height] - window / 2)
        scale = _OUTPUT_SHARE * factor
        matrix = np.hstack([scale * np.eye(2), (-scale * (middle - window / 2))[:, None]])
        frames.append(warped_frame(source.frames[i], matrix, size))
        label_maps.append(warped_labels(source.label_maps[i], matrix, size))
    return Clip(frames, label_maps)


def _approaching(source: Source) -> Clip | None:
    """Let the cut-out object come nearer on another sequence."""
    height, width = source.size
    cutouts = object_cutouts(source, (_FILLED_SHARE * height, _FILLED_SHARE * width))
    if cutouts is None:
        return None
    random = source.random("zoom")
    background = source.donor(random)
    count = min(len(cutouts), len(background))
    most = min(_GROWTH, float(np.sqrt(cutouts[0].rgba[..., 3].sum() / (2 * MIN_AREA))))
    far = random.uniform(0.25, 0.75) * width, random.uniform(0.35, 0.55) * height
    frames, label_maps = [], []
    for i, factor in enumerate(growth(count, most)):
        frame, label_map = background.frames[i].copy(), np.zeros((height, width), np.uint8)
        near = np.log(factor) / np.log(most)
        at = [(1 - near) * there + near * side / 2 for there, side in zip(far, (width, height), strict=True)]
        paste(frame, label_map, cutouts[i].scaled(factor / most), at, 1)
        frames.append(frame)
        label_maps.append(label_map)
    return Clip(frames, label_maps)
