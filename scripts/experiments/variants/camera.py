"""Variants of how a sequence was filmed: dim, blurred, shaky, noisy."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.masks import LabelMap, Rgb

from .clips import Clip, Source
from .cutouts import motion_kernel

# Darkest exposure, as a factor of the light.
_DIM_LIGHT = 0.06
# Standard deviation, in pixels, of the strongest defocus; length, in pixels, of the strongest motion blur.
_DEFOCUS_SIGMA = 5.0
_MOTION_PIXELS = 36.0
# Share of the frame that a shaky crop shows; strongest jerk from frame to frame, as a share of the height; degrees.
_SHAKE_SHARE = 0.84
_SHAKE_JERK = 0.05
_SHAKE_DEGREES = 2.5
# Electrons at full well and of read noise: a phone's sensor in a dark room.
_FULL_WELL = 40.0
_READ_NOISE = 3.0


def dim(source: Source) -> Clip:
    """Fade to a sixteenth of the light, with a cast of colour and some noise, and bring a part of it back."""
    random = source.random("dim")
    cast = random.uniform(0.8, 1.0, 3)
    frames = []
    for i, frame in enumerate(source.frames):
        progress = i / max(len(source.frames) - 1, 1)
        dimmed = (
            np.sin(min(progress / 0.65, 1.0) * np.pi / 2) if progress < 0.65 else 1 - 0.6 * (progress - 0.65) / 0.35
        )
        factor = _DIM_LIGHT**dimmed * cast**dimmed
        light = _linear(frame) * factor
        light += random.normal(size=light.shape).astype(np.float32) * dimmed * np.sqrt(light * 2e-4 + 2e-6)
        frames.append(_encoded(light))
    return Clip(frames, source.label_maps)


def blur(source: Source) -> Clip:
    """Blur in turn by defocus or by motion of the camera, by an amount that comes and goes twice."""
    random = source.random("blur")
    frames = []
    for i, frame in enumerate(source.frames):
        amount = np.sin(2 * np.pi * i / max(len(source.frames) - 1, 1)) ** 2
        if amount < 0.03:
            frames.append(frame)
        elif source.turn % 2:
            frames.append(cv2.GaussianBlur(frame, (0, 0), amount * _DEFOCUS_SIGMA))
        else:
            angle = random.uniform(0, np.pi)
            length = amount * _MOTION_PIXELS
            kernel = motion_kernel(length * np.cos(angle), length * np.sin(angle))
            frames.append(cv2.filter2D(frame, -1, kernel, borderType=cv2.BORDER_REFLECT_101))
    return Clip(frames, source.label_maps)


def shake(source: Source) -> Clip:
    """Crop the frames as an unsteady hand would hold the camera: shifts, small turns, and the blur of fast ones."""
    random = source.random("shake")
    height, width = source.size
    room = (1 - _SHAKE_SHARE) / 2 * height
    size = round(_SHAKE_SHARE * width), round(_SHAKE_SHARE * height)
    offset, angle = np.zeros(2), 0.0
    frames, label_maps = [], []
    for i, (frame, label_map) in enumerate(zip(source.frames, source.label_maps, strict=True)):
        if i:
            jerk = random.normal(size=2) * _SHAKE_JERK * height
            before, offset = offset, np.clip(0.6 * offset + jerk, -0.9 * room, 0.9 * room)
            angle = float(np.clip(0.6 * angle + random.normal() * _SHAKE_DEGREES / 2, -_SHAKE_DEGREES, _SHAKE_DEGREES))
            kernel = motion_kernel(*(0.2 * (offset - before)))
            frame = cv2.filter2D(frame, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
        matrix[:, 2] += offset - (np.array([width, height]) - size) / 2
        frames.append(warped_frame(frame, matrix, size))
        label_maps.append(warped_labels(label_map, matrix, size))
    return Clip(frames, label_maps)


def noise(source: Source) -> Clip:
    """Add the noise of a small sensor in little light, a little smoothed as cameras do."""
    random = source.random("noise")
    frames = []
    for frame in source.frames:
        electrons = _linear(frame) * _FULL_WELL
        strength = np.sqrt(electrons + _READ_NOISE**2)
        grain = random.normal(size=frame.shape).astype(np.float32) * strength
        frames.append(_encoded((electrons + cv2.GaussianBlur(grain, (0, 0), 0.6)) / _FULL_WELL))
    return Clip(frames, source.label_maps)


def warped_frame(frame: Rgb, matrix: npt.NDArray[np.float64], size: tuple[int, int]) -> Rgb:
    """Map a frame by an affine matrix to a size (width, height), without aliasing; the border is mirrored."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 1:
        frame = cv2.GaussianBlur(frame, (0, 0), max(0.5 * np.sqrt(1 / scale**2 - 1), 0.1))
    flags = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    warped: Rgb = cv2.warpAffine(frame, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return warped


def warped_labels(label_map: LabelMap, matrix: npt.NDArray[np.float64], size: tuple[int, int]) -> LabelMap:
    """Map a label map likewise; edges stay smooth, and beyond the border there is no object."""
    warped = np.zeros(size[::-1], np.uint8)
    for number in np.unique(label_map[label_map > 0]):
        share = cv2.warpAffine((label_map == number).astype(np.float32), matrix, size)
        warped[share > 0.5] = number
    return warped


def _linear(frame: Rgb) -> npt.NDArray[np.float32]:
    """Return the light of a frame, 0..1."""
    return (frame.astype(np.float32) / 255) ** np.float32(2.2)


def _encoded(light: npt.NDArray[np.float32]) -> Rgb:
    """Return a frame of the light, 0..1."""
    return np.rint(np.clip(light, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
