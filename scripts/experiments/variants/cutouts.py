"""Cut-outs: parts of real frames with soft edges, scaled, turned, smeared by motion, and pasted into other frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.masks import LabelMap, Mask, Rgb, box_xyxy

Rgba = npt.NDArray[np.float32]

# Pixels of margin around a cut-out, for its soft edge, and the standard deviation of that edge.
_MARGIN_PIXELS = 6
_EDGE_SIGMA = 1.0


@dataclass(frozen=True, slots=True)
class Cutout:
    """A part of a frame.

    Attributes:
        rgba: float32, h x w x 4: colours in 0..255, times opacity, and opacity in 0..1.
        anchor: (x, y), the point that is put where the cut-out is pasted.
    """

    rgba: Rgba
    anchor: tuple[float, float]

    def scaled(self, factor: float) -> Cutout:
        """Return it larger or smaller, without aliasing."""
        height, width = self.rgba.shape[:2]
        size = max(round(width * factor), 1), max(round(height * factor), 1)
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        rgba = cv2.resize(self.rgba, size, interpolation=method)
        return Cutout(rgba, (self.anchor[0] * size[0] / width, self.anchor[1] * size[1] / height))

    def mirrored(self) -> Cutout:
        """Swap left and right."""
        return Cutout(np.ascontiguousarray(self.rgba[:, ::-1]), (self.rgba.shape[1] - self.anchor[0], self.anchor[1]))

    def turned(self, degrees: float) -> Cutout:
        """Turn around the anchor."""
        height, width = self.rgba.shape[:2]
        reach = int(np.hypot(height, width)) + 2
        matrix = cv2.getRotationMatrix2D(self.anchor, degrees, 1.0)
        matrix[:, 2] += reach - np.array(self.anchor)
        return Cutout(cv2.warpAffine(self.rgba, matrix, (2 * reach, 2 * reach)), (reach, reach))

    def smeared(self, dx: float, dy: float) -> Cutout:
        """Blur by a motion of so many pixels while the shutter is open."""
        kernel = motion_kernel(dx, dy)
        border = kernel.shape[0] // 2
        padded = cv2.copyMakeBorder(self.rgba, border, border, border, border, cv2.BORDER_CONSTANT)
        return Cutout(cv2.filter2D(padded, -1, kernel), (self.anchor[0] + border, self.anchor[1] + border))


def cut_out(rgb: Rgb, mask: Mask) -> Cutout:
    """Cut the pixels of a mask, which must not be empty, out of a frame; the anchor is the centre of its box.

    Colours of the soft edge are those of the object's inside, so that the cut-out carries no fringe of the background.
    """
    box = box_xyxy(mask)
    assert box is not None
    x0, y0, x1, y1 = box
    part = np.s_[y0 : y1 + 1, x0 : x1 + 1]
    margin = 4 * (_MARGIN_PIXELS,)
    picture = cv2.copyMakeBorder(rgb[part], *margin, cv2.BORDER_REPLICATE).astype(np.float32)
    opaque = cv2.copyMakeBorder(mask[part].astype(np.uint8), *margin, cv2.BORDER_CONSTANT)
    alpha = cv2.GaussianBlur(opaque.astype(np.float32), (0, 0), _EDGE_SIGMA)
    inside = cv2.erode(opaque, np.ones((3, 3), np.uint8)).astype(np.float32)
    near = cv2.GaussianBlur(inside, (0, 0), 2.0)[..., None]
    spread = cv2.GaussianBlur(picture * inside[..., None], (0, 0), 2.0) / np.maximum(near, 1e-3)
    colours = np.where((inside[..., None] == 0) & (near > 0.02), spread, picture)
    height, width = alpha.shape
    return Cutout(np.dstack([colours * alpha[..., None], alpha]).astype(np.float32), (width / 2, height / 2))


def motion_kernel(dx: float, dy: float) -> npt.NDArray[np.float32]:
    """Return the kernel of a blur along a line of (dx, dy) pixels."""
    reach = int(np.ceil(max(abs(dx), abs(dy)) / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    steps = 8 * reach + 1
    for share in np.linspace(-0.5, 0.5, steps):
        x, y = reach + share * dx, reach + share * dy
        left, top = int(x), int(y)
        for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
            weight = max(1 - abs(x - column), 0) * max(1 - abs(y - row), 0)
            if weight:
                kernel[row, column] += weight
    return kernel / kernel.sum()


def paste(frame: Rgb, label_map: LabelMap, cutout: Cutout, at: Sequence[float], number: int) -> None:
    """Paste a cut-out into a frame, in place.

    Args:
        frame: uint8, H x W x 3.
        label_map: uint8, H x W.
        cutout: What is pasted; parts beyond the frame are left out.
        at: (x, y) in the frame, where the anchor goes.
        number: Value in the label map of pixels that the cut-out covers by more than half; 0 for something that is
            no object.
    """
    left, top = (round(place - own) for place, own in zip(at, cutout.anchor, strict=True))
    height, width = cutout.rgba.shape[:2]
    y0, y1 = max(top, 0), min(top + height, label_map.shape[0])
    x0, x1 = max(left, 0), min(left + width, label_map.shape[1])
    if y0 >= y1 or x0 >= x1:
        return
    rgba = cutout.rgba[y0 - top : y1 - top, x0 - left : x1 - left]
    here, alpha = np.s_[y0:y1, x0:x1], rgba[..., 3:]
    frame[here] = np.rint(np.clip(frame[here] * (1 - alpha) + rgba[..., :3], 0, 255))
    label_map[here][alpha[..., 0] > 0.5] = number
