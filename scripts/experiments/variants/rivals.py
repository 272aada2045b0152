"""Variants with a second object: the same one again, or a small fast one in front of a large one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from persam_vos.masks import box_xyxy

from .clips import Clip, Source, there_and_back
from .cutouts import Cutout, cut_out, paste

Point = tuple[float, float]

# Least area of an object that is worth tracking, in pixels.
MIN_AREA = 300
# Times that a cut-out is enlarged at most, in a frame in which it is small.
_MAX_ENLARGEMENT = 1.6
# Largest box of each of two likes, as shares of the frame's height and width.
_LIKE_SHARE = (0.42, 0.36)
# Frames by which the second like is ahead of the first.
_AHEAD = 5
# Area of a small object as a share of the large one's.
_SMALL_SHARE = (0.03, 0.10)
# Share of the way from frame to frame during which the shutter is open.
_SHUTTER = 0.25


def object_cutouts(source: Source | Clip, largest: tuple[float, float]) -> list[Cutout] | None:
    """Cut object 1 out of every frame, at the same area in all.

    Args:
        source: Where it is.
        largest: Height and width, in pixels, that it may have.

    Returns:
        A cut-out per frame, that of a frame near by where the object is hidden; None if it is too small in frame 0.
    """
    masks = [label_map == 1 for label_map in source.label_maps]
    if masks[0].sum() < MIN_AREA:
        return None
    seen = [i for i, mask in enumerate(masks) if mask.sum() >= MIN_AREA]
    sides, room = {i: float(np.sqrt(masks[i].sum())) for i in seen}, []
    for i in seen:
        x0, y0, x1, y1 = box_xyxy(masks[i]) or (0, 0, 0, 0)
        room.append(sides[i] * min(largest[0] / (y1 - y0 + 1), largest[1] / (x1 - x0 + 1), _MAX_ENLARGEMENT))
    made = {i: cut_out(source.frames[i], masks[i]).scaled(min(room) / sides[i]) for i in seen}
    return [made[min(seen, key=lambda k: abs(k - i))] for i in range(len(masks))]


def identical(source: Source) -> Clip | None:
    """Put the object twice, at two moments of its motion, on another sequence; the two cross, pass or swap places."""
    height, width = source.size
    if not source.donors:
        return None
    cutouts = object_cutouts(source, (_LIKE_SHARE[0] * height, _LIKE_SHARE[1] * width))
    if cutouts is None:
        return None
    random = source.random("identical")
    background = source.donor(random)
    count = min(len(cutouts), len(background))
    size = np.max([each.rgba.shape[:2] for each in cutouts], axis=0)
    paths = PATHS[source.turn % len(PATHS)](count, (height, width), (int(size[0]), int(size[1])))
    first_is_in_front = bool(random.integers(2))
    frames, label_maps = [], []
    for i in range(count):
        frame, label_map = background.frames[i].copy(), np.zeros((height, width), np.uint8)
        two = [(cutouts[i], paths[0][i], 1), (cutouts[there_and_back(i + _AHEAD, len(cutouts))], paths[1][i], 2)]
        for cutout, at, number in two[::-1] if first_is_in_front else two:
            paste(frame, label_map, cutout, at, number)
        frames.append(frame)
        label_maps.append(label_map)
    return Clip(frames, label_maps)


def crossing(count: int, frame: tuple[int, int], size: tuple[int, int]) -> tuple[list[Point], list[Point]]:
    """Walk through each other: each hides the other's middle."""
    left, right = 0.55 * size[1], frame[1] - 0.55 * size[1]
    y, progress = frame[0] / 2, np.linspace(0, 1, count)
    there = [(left + (right - left) * u, y - 0.05 * frame[0]) for u in progress]
    back = [(right + (left - right) * u, y + 0.05 * frame[0]) for u in progress]
    return there, back


def passing(count: int, frame: tuple[int, int], size: tuple[int, int]) -> tuple[list[Point], list[Point]]:
    """Walk past each other, so close that their boxes nearly touch."""
    left, right = 0.55 * size[1], frame[1] - 0.55 * size[1]
    apart, progress = size[0] / 2 - 2, np.linspace(0, 1, count)
    there = [(left + (right - left) * u, frame[0] / 2 - apart) for u in progress]
    back = [(right + (left - right) * u, frame[0] / 2 + apart) for u in progress]
    return there, back


def swapping(count: int, frame: tuple[int, int], size: tuple[int, int]) -> tuple[list[Point], list[Point]]:
    """Stand beside each other, swap places on a half circle, and stand again."""
    progress = np.clip((np.linspace(0, 1, count) - 0.2) / 0.6, 0, 1)
    angles = np.pi * (3 * progress**2 - 2 * progress**3)
    x, y = 0.62 * size[1] * np.cos(angles), 0.12 * size[0] * np.sin(angles)
    middle = frame[1] / 2, frame[0] / 2
    there = [(middle[0] - a, middle[1] - b) for a, b in zip(x, y, strict=True)]
    back = [(middle[0] + a, middle[1] + b) for a, b in zip(x, y, strict=True)]
    return there, back


PATHS: tuple[Callable[[int, tuple[int, int], tuple[int, int]], tuple[list[Point], list[Point]]], ...] = (
    crossing,
    passing,
    swapping,
)


def front(source: Source) -> Clip | None:
    """Let a small fast object of another sequence fly over the object; both are tracked."""
    random = source.random("front")
    large = source.mask(0).sum()
    if not source.donors or large < MIN_AREA / _SMALL_SHARE[1]:
        return None
    donor = source.donor(random)
    cutouts = object_cutouts(donor, donor.label_maps[0].shape)
    if cutouts is None:
        return None
    area = max(random.uniform(*_SMALL_SHARE) * large, MIN_AREA)
    count, number = min(len(source.frames), len(cutouts)), int(source.label_maps[0].max()) + 1
    path = _flight(source, count, random)
    frames, label_maps = [], []
    for i in range(count):
        frame, label_map = source.frames[i].copy(), source.label_maps[i].copy()
        motion = _SHUTTER * (path[i] - path[max(i - 1, 0)])
        factor = float(np.sqrt(area / cutouts[i].rgba[..., 3].sum()))
        small = cutouts[i].scaled(factor).turned(8 * np.sin(i / 3)).smeared(*motion)
        paste(frame, label_map, small, path[i], number)
        frames.append(frame)
        label_maps.append(label_map)
    return Clip(frames, label_maps)


def _flight(source: Source, count: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return ``count`` points (x, y) of a path that crosses the object to and fro, and moves with it."""
    height, width = source.size
    boxes = smooth_boxes(source)[:count]
    middles, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[0, 2:] - boxes[0, :2]
    # One half turn a clip: about three quarters of its own size a frame, as a thrown ball. At a whole turn the small
    # object left its own box from frame to frame and was a streak that no method followed.
    time = np.linspace(0, np.pi, count)[:, None]
    path = middles + np.array([0.6, 0.4]) * sizes * np.sin(time * [1.0, 1.6] + random.uniform(0, 2 * np.pi, 2))
    return np.clip(path, [0.06 * width, 0.08 * height], [0.94 * width, 0.92 * height])


def smooth_boxes(source: Source) -> npt.NDArray[np.float64]:
    """Return the boxes (x0, y0, x1, y1) of object 1, N x 4, smoothed over time; the last one where it is hidden.

    Frame 0 must show it.
    """
    boxes: list[tuple[float, float, float, float]] = []
    for i in range(len(source.frames)):
        box = box_xyxy(source.mask(i))
        boxes.append(box or boxes[-1])
    padded = np.pad(np.array(boxes, float), ((2, 2), (0, 0)), mode="edge")
    return np.mean([padded[k : k + len(boxes)] for k in range(5)], axis=0)
