"""Variants in which the object is hidden entirely for a while: gone, and back elsewhere or turned round."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.masks import LabelMap, Rgb

from .clips import Clip, Source
from .cutouts import Cutout, cut_out, paste
from .foliage import wall
from .rivals import object_cutouts, smooth_boxes

# The hidden stretch, as shares of the clip: from, to.
_HIDDEN = (0.38, 0.68)
# Largest box of an object that slides behind a wall, as shares of the frame's height and width.
_SLIDING_SHARE = (0.5, 0.3)
# Width of the soft seam between two frames of a panorama, and how far short of them the camera comes to rest at last.
_SEAM_PIXELS = 60
_REST = 0.22
# Frames of a pan.
_PAN_FRAMES = 4


def gone(source: Source) -> Clip | None:
    """Hide the object for a third of the clip, in turn behind a wall and by a pan; it comes back elsewhere."""
    return (_behind_wall, _panned)[source.turn % 2](source, turned=False)


def turn(source: Source) -> Clip | None:
    """Hide the object likewise, the other way than ``gone`` does; it comes back mirrored."""
    return (_panned, _behind_wall)[source.turn % 2](source, turned=True)


def hidden_frames(count: int) -> range:
    """Return the frames in which the object is hidden entirely."""
    return range(round(_HIDDEN[0] * count), round(_HIDDEN[1] * count))


def _behind_wall(source: Source, *, turned: bool) -> Clip | None:
    """Let the object slide behind a wall, on other sequences, and come out of it elsewhere."""
    height, width = source.size
    if not source.donors:
        return None
    cutouts = object_cutouts(source, (_SLIDING_SHARE[0] * height, _SLIDING_SHARE[1] * width))
    if cutouts is None:
        return None
    random = source.random("wall")
    behind = source.choose(random)
    background, before = source.donors[behind](), source.donors[source.choose(random, 1, other_than=behind)]()
    barrier = _barrier(before, cutouts, random)
    count, hidden = min(len(cutouts), len(background)), hidden_frames(min(len(cutouts), len(background)))
    middle, low = random.uniform(0.45, 0.55) * width, bool(random.integers(2))
    heights = (0.64, 0.36) if low else (0.36, 0.64)
    frames, label_maps = [], []
    for i in range(count):
        frame, label_map = background.frames[i].copy(), np.zeros((height, width), np.uint8)
        if i < hidden.start:
            share = i / hidden.start
            at = (0.16 * width + (middle - 0.16 * width) * share, heights[0] * height)
            paste(frame, label_map, cutouts[i], at, 1)
        elif i >= hidden.stop:
            share = (i - hidden.stop + 1) / (count - hidden.stop)
            at = (middle + (0.84 * width - middle) * share, heights[1] * height)
            paste(frame, label_map, cutouts[i].mirrored() if turned else cutouts[i], at, 1)
        paste(frame, label_map, barrier, (middle, height / 2), 0)
        frames.append(frame)
        label_maps.append(label_map)
    return Clip(frames, label_maps)


def _barrier(donor: Clip, cutouts: list[Cutout], random: np.random.Generator) -> Cutout:
    """Cut a wall out of another sequence that hides every cut-out."""
    height = donor.label_maps[0].shape[0]
    wide = round(1.05 * max(each.rgba.shape[1] for each in cutouts))
    rgb, _ = wall(donor, (height, wide), random)
    rgb = np.pad(rgb, ((8, 8), (0, 0), (0, 0)), mode="edge")
    return cut_out(rgb, np.ones(rgb.shape[:2], bool))


def _panned(source: Source, *, turned: bool) -> Clip | None:
    """Pan the camera away from the object to another sequence, and back to somewhere else."""
    width = source.size[1]
    if not source.donors or not source.mask(0).any():
        return None
    random = source.random("pan")
    aside = source.donor(random)
    count = min(len(source.frames), len(aside))
    hidden = hidden_frames(count)
    side = _resting_side(smooth_boxes(source)[[0, count - 1], ::2] / width, turned=turned)
    frames, label_maps = [], []
    for i in range(count):
        rgb, labels = source.frames[i], source.label_maps[i]
        if turned and i >= hidden.start:
            rgb, labels = rgb[:, ::-1], labels[:, ::-1]
        offset = [_pan_offset(k, hidden) for k in (max(i - 1, 0), i)]
        frame, label_map = _view(rgb, labels, aside.frames[i], round(side * offset[1] * (width + _SEAM_PIXELS)))
        speed = round(0.08 * abs(offset[1] - offset[0]) * width)
        frames.append(cv2.blur(frame, (speed, 1)) if speed > 1 else frame)
        label_maps.append(label_map)
    return Clip(frames, label_maps)


def _resting_side(extents: npt.NDArray[np.float64], *, turned: bool) -> int:
    """Return 1 if the other sequence lies to the right and the object comes to rest further left, else -1.

    Args:
        extents: 2 x 2: the first and the last frame's left and right end of the object, in widths of the frame.
        turned: Whether the last frame is mirrored.
    """
    first, last = extents[0], 1 - extents[1, ::-1] if turned else extents[1]

    def merit(side: int) -> tuple[bool, float]:
        at_rest = last - side * _REST
        return bool(at_rest[0] > -0.08 and at_rest[1] < 1.08), float(abs(at_rest.mean() - first.mean()))

    return max((1, -1), key=merit)


def _pan_offset(index: int, hidden: range) -> float:
    """Return how far the camera has turned in a frame: 0 shows the sequence, 1 shows the other one."""
    away = (index - hidden.start) / _PAN_FRAMES + 1
    back = (index - hidden.stop + 1) / _PAN_FRAMES
    return float(np.interp(away, (0, 1), (0, 1)) - np.interp(back, (0, 1), (0, 1 - _REST)))


def _view(rgb: Rgb, labels: LabelMap, aside: Rgb, offset: int) -> tuple[Rgb, LabelMap]:
    """Look ``offset`` pixels to the right, or to the left if negative, in a panorama of two frames."""
    if offset < 0:
        frame, label_map = _view(rgb[:, ::-1], labels[:, ::-1], aside[:, ::-1], -offset)
        return np.ascontiguousarray(frame[:, ::-1]), np.ascontiguousarray(label_map[:, ::-1])
    width = labels.shape[1]
    wide = ((0, 0), (0, _SEAM_PIXELS), (0, 0))
    near, far = np.pad(rgb, wide, mode="reflect"), np.pad(aside, (wide[0], wide[1][::-1], wide[2]), mode="reflect")
    share = np.linspace(0, 1, _SEAM_PIXELS)[None, :, None]
    seam = np.rint(near[:, width:] * (1 - share) + far[:, :_SEAM_PIXELS] * share).astype(np.uint8)
    panorama = np.hstack([rgb, seam, aside])
    known = np.pad(labels, ((0, 0), (0, _SEAM_PIXELS + width)))
    return panorama[:, offset : offset + width].copy(), known[:, offset : offset + width].copy()
