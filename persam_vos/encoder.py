"""A batch of frames becomes a batch of image embeddings: SAM's image encoder behind one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from persam_vos.frame import Frame, Geometry
from persam_vos.models.sam import INPUT_SIZE, Sam


@dataclass(frozen=True, slots=True)
class ImageEmbedding:
    """What the image encoder makes of one frame.

    Attributes:
        features: float32, 256 x 64 x 64, the neck's output over the padded square.
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


class TorchEncoder:
    """The image encoder run by PyTorch, on the device where the model lies."""

    def __init__(self, sam: Sam) -> None:
        self._sam = sam
        # TinyViT is mostly convolutions, which run a quarter faster on channels-last memory; ViT has none that matter.
        self._layout = torch.channels_last if sam.name == "mobile_sam" else torch.contiguous_format
        sam.image_encoder.to(memory_format=self._layout)

    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        """Embed frames in one batch; they may differ in size."""
        geometries = [Geometry(frame.height, frame.width, INPUT_SIZE) for frame in frames]
        squares = torch.stack(
            [self._square(frame, geometry) for frame, geometry in zip(frames, geometries, strict=True)]
        )
        outputs = self._sam.image_encoder(squares.contiguous(memory_format=self._layout))
        features, *stages = (output.contiguous() for output in outputs)
        return [
            ImageEmbedding(features[i], geometry, tuple(stage[i] for stage in stages))
            for i, geometry in enumerate(geometries)
        ]

    def _square(self, frame: Frame, geometry: Geometry) -> Tensor:
        height, width = geometry.resized
        pixels = geometry.resize(frame.rgb).to(self._sam.pixel_mean.device).float()
        normalised = (pixels - self._sam.pixel_mean) / self._sam.pixel_std
        return functional.pad(normalised, (0, INPUT_SIZE - width, 0, INPUT_SIZE - height))
