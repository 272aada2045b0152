"""Photos with known instances: real objects, cut out by their masks, on other real photos; for ``instances.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from persam_vos.masks import LabelMap, Mask, Rgb

# Longest side of a scene; the network sees 1024 pixels.
_MAX_SIDE_PIXELS = 960
# Shares of a scene: of its height or width, for one object, and of its area, for all objects.
_MAX_SIDE_SHARE = 0.9
_MAX_AREA_SHARE = 0.55
# Share of an object that later ones may hide, and least distance of objects that do not touch.
_MAX_HIDDEN_SHARE = 0.3
_GAP_PIXELS = 12
# Rotation and change of brightness, at most, either way.
_MAX_ROTATION_DEGREES = 25
_MAX_BRIGHTNESS_CHANGE = 0.15


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of scene: how many instances, and their scale relative to the reference."""

    instances: tuple[int, int]
    scale: tuple[float, float]
    touching: bool = False


KINDS = {
    "one": Kind((1, 1), (0.4, 1.5)),
    "several": Kind((2, 6), (0.3, 1.0)),
    "touching": Kind((2, 4), (0.4, 0.9), touching=True),
    "small": Kind((2, 6), (0.2, 0.4)),
    "none": Kind((0, 0), (1.0, 1.0)),
}


@dataclass(frozen=True, slots=True)
class Shot:
    """A photo with the mask of the one object that counts: uint8, H x W x 3, and bool, H x W."""

    rgb: Rgb
    mask: Mask

    @property
    def size(self) -> float:
        """The square root of the object's area, as a share of the photo's longer side."""
        return float(np.sqrt(self.mask.sum()) / max(self.mask.shape))


@dataclass(frozen=True, slots=True)
class Thing:
    """An object: the name of its class, its reference, and other shots."""

    name: str
    reference: Shot
    others: tuple[Shot, ...]


def read_perseg(root: Path) -> list[Thing]:
    """Read the classes of a folder in PerSeg's layout, scaled down to the size of scenes; photo 00 is the reference."""
    things = []
    for folder in sorted((root / "Images").iterdir()):
        shots = [
            _shot(photo, root / "Annotations" / folder.name / f"{photo.stem}.png")
            for photo in sorted(folder.glob("*.*g"))
        ]
        things.append(Thing(folder.name, shots[0], tuple(shots[1:])))
    return things


def read_davis(root: Path, sequences: Sequence[str]) -> list[Thing]:
    """Read sequences of DAVIS: the reference is the first frame, and six later ones are the other shots."""
    things = []
    for name in sequences:
        photos = sorted((root / "JPEGImages" / "480p" / name).glob("*.jpg"))
        chosen = [photos[0], *(photos[i] for i in np.linspace(len(photos) // 4, len(photos) - 1, 6).astype(int))]
        shots = [_shot(each, root / "Annotations" / "480p" / name / f"{each.stem}.png") for each in chosen]
        things.append(Thing(name, shots[0], tuple(shots[1:])))
    return things


def _shot(photo: Path, annotation: Path) -> Shot:
    """Read a photo and its mask, at most ``_MAX_SIDE_PIXELS`` pixels long."""
    rgb, mask = np.asarray(Image.open(photo).convert("RGB")), np.asarray(Image.open(annotation))
    mask = (mask if mask.ndim == 2 else mask.max(axis=2)) > 0
    scale = min(_MAX_SIDE_PIXELS / max(mask.shape), 1.0)
    size = round(scale * mask.shape[1]), round(scale * mask.shape[0])
    shrunk = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return Shot(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), shrunk)


def compose(thing: Thing, everything: Sequence[Thing], kind: Kind, random: np.random.Generator) -> tuple[Rgb, LabelMap]:
    """Make a scene.

    Args:
        thing: The object to be found.
        everything: All objects; the others give backgrounds and distractors.
        kind: Kind of the scene.
        random: Source of chance.

    Returns:
        The scene, uint8 H x W x 3, and its label map, uint8 H x W: the visible part of instance n has the value n.
    """
    others = [each for each in everything if each.name != thing.name]
    background = others[random.integers(len(others))]
    shots = (background.reference, *background.others)
    rgb = shots[random.integers(len(shots))].rgb.copy()
    labels = np.zeros(rgb.shape[:2], np.uint8)
    scene = _Scene(rgb, labels, {}, random)
    count = int(random.integers(kind.instances[0], kind.instances[1] + 1))
    for _ in range(count):
        scene.paste_instance(thing, kind, count)
    for _ in range(int(random.integers(1, 3))):
        scene.paste_distractor(others[random.integers(len(others))])
    return scene.rgb, np.where(scene.labels == _DISTRACTOR, 0, scene.labels)


_DISTRACTOR = 255


@dataclass
class _Scene:
    """A scene in the making; ``areas`` are those of the instances before anything hid them."""

    rgb: Rgb
    labels: LabelMap
    areas: dict[int, int]
    random: np.random.Generator

    def paste_instance(self, thing: Thing, kind: Kind, count: int) -> None:
        """Paste one more instance; it shrinks until there is room."""
        scale = self.random.uniform(*kind.scale)
        for _ in range(8):
            most = np.sqrt(_MAX_AREA_SHARE / count * self.labels.size) / (thing.reference.size * max(self.labels.shape))
            picture, alpha = self._cut(thing, min(scale, most))
            for _ in range(60):
                if self._fits(where := self._place(alpha.shape), alpha > 0.5, touching=kind.touching):
                    number = len(self.areas) + 1
                    self.areas[number] = int((alpha > 0.5).sum())
                    self._paste(where, picture, alpha, number)
                    return
            scale *= 0.85

    def paste_distractor(self, thing: Thing) -> None:
        """Paste another object, if there is room."""
        picture, alpha = self._cut(thing, self.random.uniform(0.3, 0.7))
        for _ in range(60):
            where = self._place(alpha.shape)
            if self._fits(where, alpha > 0.5, touching=False):
                self._paste(where, picture, alpha, _DISTRACTOR)
                return

    def _cut(self, thing: Thing, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Cut an object out, at ``scale`` times the reference's size: float h x w x 3, and opacity, float h x w."""
        shot = thing.others[self.random.integers(len(thing.others))]
        ys, xs = np.nonzero(shot.mask)
        part = np.s_[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        picture, mask = shot.rgb[part].astype(np.float32), shot.mask[part].astype(np.float32)
        if self.random.random() < 0.5:
            picture, mask = picture[:, ::-1], mask[:, ::-1]
        picture = picture * (1 + self.random.uniform(-_MAX_BRIGHTNESS_CHANGE, _MAX_BRIGHTNESS_CHANGE))
        factor = scale * thing.reference.size * max(self.labels.shape) / np.sqrt(mask.sum())
        height, width = mask.shape
        factor = min(
            factor, _MAX_SIDE_SHARE * self.labels.shape[0] / height, _MAX_SIDE_SHARE * self.labels.shape[1] / width
        )
        angle = self.random.uniform(-_MAX_ROTATION_DEGREES, _MAX_ROTATION_DEGREES)
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, factor)
        sine, cosine = abs(turn[0, 1]), abs(turn[0, 0])
        size = int(height * sine + width * cosine) + 2, int(height * cosine + width * sine) + 2
        turn[:, 2] += np.array(size) / 2 - (width / 2, height / 2)
        if factor < 1:  # against aliasing: thin parts would vanish
            sigma = 0.4 / factor
            picture = cv2.GaussianBlur(picture * mask[..., None], (0, 0), sigma)
            soft = cv2.GaussianBlur(mask, (0, 0), sigma)
            picture, mask = picture / np.maximum(soft, 1e-3)[..., None], soft
        picture, mask = (cv2.warpAffine(np.ascontiguousarray(each), turn, size) for each in (picture, mask))
        return picture.clip(0, 255), mask

    def _place(self, shape: Sequence[int]) -> tuple[slice, slice]:
        """Choose rows and columns for a shape, inside the scene where possible."""
        starts = [
            int(self.random.integers(0, max(room - length, 0) + 1))
            for length, room in zip(shape, self.labels.shape, strict=True)
        ]
        return np.s_[starts[0] : starts[0] + shape[0], starts[1] : starts[1] + shape[1]]

    def _fits(self, where: tuple[slice, slice], mask: Mask, *, touching: bool) -> bool:
        """Whether an object may lie there."""
        held = np.zeros(self.labels.shape, np.uint8)
        if held[where].shape != mask.shape:
            return False
        held[where] = mask
        if not touching or not self.areas:
            around = cv2.dilate(held, np.ones((2 * _GAP_PIXELS + 1,) * 2, np.uint8))
            return not self.labels[around > 0].any()
        if not self.labels[cv2.dilate(held, np.ones((5, 5), np.uint8)) > 0].any():
            return False
        seen = np.bincount(self.labels[held == 0], minlength=256)
        return all(seen[number] >= (1 - _MAX_HIDDEN_SHARE) * area for number, area in self.areas.items())

    def _paste(self, where: tuple[slice, slice], picture: np.ndarray, alpha: np.ndarray, number: int) -> None:
        behind = self.rgb[where].astype(np.float32)
        self.rgb[where] = np.rint(behind + alpha[..., None] * (picture - behind)).astype(np.uint8)
        self.labels[where][alpha > 0.5] = number
