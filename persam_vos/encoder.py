"""A batch of frames becomes a batch of image embeddings: SAM's image encoder behind one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.frame import Frame, Geometry
from persam_vos.models.backends import Backend
from persam_vos.models.sam import INPUT_SIZE, Sam


@dataclass(frozen=True, slots=True)
class ImageEmbedding:
    """What the image encoder makes of one frame.

    Attributes:
        features: float32, 256 x 64 x 64, the neck's output over the padded square. Cells that hold no picture mean
            nothing: most of them are not encoded, and 0.
        geometry: Where the frame's pixels lie in that square.
        stages: What lies before the neck, shallow to deep, each float32, C x h x w over the padded square: 128 x 128 x
            128, 160 x 64 x 64 and 320 x 64 x 64 of MobileSAM, the last block's output of ViT.
    """

    features: Tensor
    geometry: Geometry
    stages: tuple[Tensor, ...] = ()

    @property
    def cells(self) -> int:
        """Side of the grid of cells."""
        return int(self.features.shape[-1])


class Encoder(Protocol):
    """Anything that embeds frames."""

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        """Embed frames, in their order; all are encoded in one batch."""
        ...


class SamEncoder:
    """SAM's image encoder, run by a backend.

    Of the padded square only the part is encoded that holds picture, and a margin; the cells beyond are 0.
    """

    def __init__(self, sam: Sam, backend: Backend, *, square: bool = False) -> None:
        """Take a network and what runs it; ``square`` encodes the whole square, as SAM was trained."""
        self.backend = backend
        self._sam = sam
        self.square = square

    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        """Embed frames in one batch; they may differ in size."""
        geometries = [Geometry(frame.height, frame.width, INPUT_SIZE) for frame in frames]
        height, width = (max(self._length(each.resized[side]) for each in geometries) for side in (0, 1))
        pictures = [self._placed(frame, each, height, width) for frame, each in zip(frames, geometries, strict=True)]
        outputs = self.backend.run(torch.stack(pictures))
        features, *stages = (_over_the_square(output, height, width) for output in outputs)
        return [
            ImageEmbedding(features[i], geometry, tuple(stage[i] for stage in stages))
            for i, geometry in enumerate(geometries)
        ]

    def _length(self, length: int) -> int:
        return INPUT_SIZE if self.square else self._sam.encoded_length(length)

    def _placed(self, frame: Frame, geometry: Geometry, height: int, width: int) -> Tensor:
        """Scale, normalise and pad: float, 3 x height x width."""
        rows, columns = geometry.resized
        pixels = geometry.resize(frame.rgb).to(self._sam.pixel_mean.device).float()
        normalised = (pixels - self._sam.pixel_mean) / self._sam.pixel_std
        return functional.pad(normalised, (0, width - columns, 0, height - rows))


def _over_the_square(output: Tensor, height: int, width: int) -> Tensor:
    """Lay N x C x h x w, made of height x width pixels, onto the grid over the whole square."""
    rows, columns = (
        side * INPUT_SIZE // pixels - side for side, pixels in zip(output.shape[2:], (height, width), strict=True)
    )
    return functional.pad(output, (0, columns, 0, rows)) if rows or columns else output
