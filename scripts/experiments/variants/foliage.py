"""The variant behind foliage: leaves and posts of other sequences move past in front of the object."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.masks import LabelMap, Mask, Rgb

from .clips import Clip, Source
from .cutouts import Cutout, paste
from .rivals import smooth_boxes

# Share of a thicket that leaves fill where it is densest, and its width as a share of the frame's.
_LEAF_COVER = 0.42
_THICKET_WIDTH = 0.55
# Width of a post as a share of the frame's, and its greatest tilt.
_POST_WIDTH = (0.035, 0.07)
_POST_DEGREES = 5.0
# When the thicket and the posts pass the object, as shares of the clip: near ones are faster.
_TIMES = ((0.0, 0.95), (0.05, 0.8), (0.36, 0.91))
# Distance of a layer from the object before and after, in pixels.
_GAP_PIXELS = 12


def foliage(source: Source) -> Clip | None:
    """Move a thicket and two posts past the object, at three speeds; at first and at last nothing hides it."""
    if not source.donors or not source.mask(0).any():
        return None
    random = source.random("foliage")
    layers = [
        thicket([source.donor(random, which) for which in (0, 3)], source.size, random),
        post(source.donor(random, 1), source.size, random),
        post(source.donor(random, 2), source.size, random),
    ]
    boxes, direction = smooth_boxes(source), 1 if random.integers(2) else -1
    tracks = [
        _passage(boxes, layer.rgba.shape[1], len(source.frames), times, direction)
        for layer, times in zip(layers, _TIMES, strict=True)
    ]
    frames, label_maps = [], []
    for i in range(len(source.frames)):
        frame, label_map = source.frames[i].copy(), source.label_maps[i].copy()
        for layer, track in zip(layers, tracks, strict=True):
            paste(frame, label_map, layer, (track[i], source.size[0] / 2), 0)
        frames.append(frame)
        label_maps.append(label_map)
    return Clip(frames, label_maps)


def thicket(donors: Sequence[Clip], size: tuple[int, int], random: np.random.Generator) -> Cutout:
    """Cut leaves out of the greenest of some donors: irregular, along the edges of its own texture."""
    height, width = size[0], round(_THICKET_WIDTH * size[1])
    parts = [wall(donor, (height // 2, width), random) for donor in donors]
    rgb, empty = max(parts, key=lambda part: _greenness(part[0]))
    rgb = np.vstack([rgb, rgb[::-1], rgb[: height - 2 * (height // 2)]])
    empty = np.vstack([empty, empty[::-1], empty[: height - 2 * (height // 2)]])
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = cv2.GaussianBlur(grey, (0, 0), 1.5) - cv2.GaussianBlur(grey, (0, 0), 12)
    pattern = sum(
        weight * _unit(_smooth_noise(grey.shape, scale, random)) for scale, weight in ((80, 1.0), (26, 1.0), (10, 0.6))
    ) + 0.8 * _unit(detail)
    envelope = np.sin(np.pi * (np.arange(grey.shape[1]) + 0.5) / grey.shape[1])[None]
    pattern = _unit(pattern) - 3.0 * (1 - envelope) ** 2
    threshold = np.quantile(pattern, 1 - _LEAF_COVER)
    opaque = (pattern > threshold) & ~empty
    opaque = cv2.morphologyEx(opaque.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return _soft(0.85 * rgb.astype(np.float32), opaque, 0.9)


def post(donor: Clip, size: tuple[int, int], random: np.random.Generator) -> Cutout:
    """Cut a post out of a frame of another sequence: as high as the frame, with wavy edges, tilted a little."""
    height, width = size
    tall, wide = round(1.2 * height), round(random.uniform(*_POST_WIDTH) * width)
    rgb, _ = wall(donor, (min(tall, height), wide), random)
    rgb = cv2.resize(rgb, (wide, tall), interpolation=cv2.INTER_LINEAR)
    wave = 0.12 * wide * _unit(_smooth_noise((tall, 2), 30, random))
    column = np.arange(wide)[None]
    opaque = (column > wave[:, :1].clip(0)) & (column < wide - 1 - wave[:, 1:].clip(0))
    shade = 0.55 + 0.45 * np.sin(np.pi * (column + 0.5) / wide)  # round, lit from the front
    return _soft(rgb * shade[..., None], opaque.astype(np.uint8), 1.2).turned(random.uniform(-1, 1) * _POST_DEGREES)


def wall(donor: Clip, size: tuple[int, int], random: np.random.Generator) -> tuple[Rgb, Mask]:
    """Take the part of a donor's frame, of that height and width, with the fewest pixels of objects and most texture.

    Returns:
        uint8, h x w x 3, and bool, h x w: where a part of an object is in it.
    """
    index = int(random.integers(len(donor)))
    rgb, labels = donor.frames[index], donor.label_maps[index]
    rows, columns = min(size[0], rgb.shape[0]), min(size[1], rgb.shape[1])
    held = cv2.dilate((labels > 0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    texture = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 4)).clip(0, 20)
    places = [
        (int(top), int(left))
        for top in np.linspace(0, rgb.shape[0] - rows, 4)
        for left in np.linspace(0, rgb.shape[1] - columns, 24)
    ]
    value = {at: _window(texture, at, rows, columns) - 100 * _window(held, at, rows, columns) for at in places}
    top, left = max(places, key=value.__getitem__)
    part = np.s_[top : top + rows, left : left + columns]
    padding = ((0, size[0] - rows), (0, size[1] - columns))
    return np.pad(rgb[part], (*padding, (0, 0)), mode="reflect"), np.pad(held[part], padding, mode="reflect")


def _greenness(rgb: Rgb) -> float:
    red, green, blue = rgb.reshape(-1, 3).mean(axis=0)
    return float(2 * green - red - blue)


def _window(values: npt.NDArray, at: tuple[int, int], rows: int, columns: int) -> float:
    return float(values[at[0] : at[0] + rows, at[1] : at[1] + columns].mean())


def _passage(
    boxes: npt.NDArray[np.float64], wide: int, count: int, times: tuple[float, float], direction: int
) -> npt.NDArray[np.float64]:
    """Return the column of a layer's middle in each frame: beside the object before and after its passage.

    Args:
        boxes: float, N x 4: of the object.
        wide: Width of the layer, in pixels.
        count: Frames of the clip.
        times: When it passes, from and to, as shares of the clip; before and after, it moves on at the same speed.
        direction: 1 to the right, -1 to the left.
    """
    reach = wide / 2 + _GAP_PIXELS
    start, end = boxes[0, 2] + reach, boxes[-1, 0] - reach
    if direction > 0:
        start, end = boxes[0, 0] - reach, boxes[-1, 2] + reach
    progress = (np.linspace(0, 1, count) - times[0]) / (times[1] - times[0])
    return start + (end - start) * progress.clip(-0.5, 1.5)


def _soft(colours: npt.NDArray[np.float32], opaque: LabelMap, sigma: float) -> Cutout:
    """Return a cut-out with a soft edge."""
    margin = 4 * (4,)
    opaque = cv2.copyMakeBorder(opaque, *margin, cv2.BORDER_CONSTANT)
    picture = cv2.copyMakeBorder(colours.astype(np.float32), *margin, cv2.BORDER_REPLICATE)
    alpha = cv2.GaussianBlur(opaque.astype(np.float32), (0, 0), sigma)
    rgba = np.dstack([cv2.GaussianBlur(picture, (0, 0), 0.6) * alpha[..., None], alpha]).astype(np.float32)
    return Cutout(rgba, (alpha.shape[1] / 2, alpha.shape[0] / 2))


def _smooth_noise(shape: tuple[int, ...], scale: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return noise whose lumps are ``scale`` pixels large."""
    grid = random.random((shape[0] // scale + 3, shape[1] // scale + 3)).astype(np.float32)
    return cv2.resize(grid, shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _unit(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return (values - values.mean()) / max(float(values.std()), 1e-6)
