"""Frames become image embeddings, by SAM's image encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from persam_vos.media.frame import Frame
from persam_vos.sam.backends.base import EncoderBackend
from persam_vos.sam.backends.buffers import Buffers
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.networks.sam import Sam
from persam_vos.sam.networks.sizes import GRID_SIDE_CELLS, INPUT_SIDE_PIXELS

_LARGEST_HALF = torch.finfo(torch.float16).max


@dataclass(frozen=True, slots=True)
class ImageEmbedding:
    """The image encoder's output for one frame, channels-last in memory.

    Its numbers are those of half precision: they can be kept in half of the memory without loss, and masks are the same
    whether an embedding was kept or has just been made.

    Attributes:
        features: float32, 256 x 64 x 64, the neck's output over the padded square. Cells without picture carry no
            meaning; most of them are not encoded and are 0.
        geometry: Where the frame's pixels lie in that square.
        stages: Outputs before the neck, shallow to deep, each float32, C x rows x columns of the cells that hold
            picture. At 16:9 that is 36 x 64 cells; C is 128, 160 and 320 for MobileSAM, 768 for ViT-B.
    """

    features: Tensor
    geometry: Geometry
    stages: tuple[Tensor, ...] = ()

    @property
    def cells(self) -> int:
        """Number of cells along a side of the square."""
        return int(self.features.shape[-1])


class Encoder(Protocol):
    """Anything that embeds frames."""

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        """Embed frames at once; returns their embeddings in the same order."""
        ...


class SamEncoder:
    """SAM's image encoder, run by a backend.

    Only the part of the padded square that holds picture is encoded, with a margin; the cells beyond are 0.
    """

    def __init__(self, sam: Sam, backend: EncoderBackend, *, square: bool = False) -> None:
        """Take a network and its backend; ``square`` encodes the whole square, as SAM was trained."""
        self.backend = backend
        self._sam = sam
        self._buffers = Buffers(())
        self.square = square

    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        """Embed frames at once; they may differ in size."""
        geometries = [Geometry(frame.height, frame.width, INPUT_SIDE_PIXELS) for frame in frames]
        height, width = (max(self._length(each.resized[side]) for each in geometries) for side in (0, 1))
        pictures = self._pictures_for((len(frames), 3, height, width))
        for picture, frame, geometry in zip(pictures, frames, geometries, strict=True):
            self._place(frame, geometry, picture)
        outputs = self.backend.run(pictures)
        return [_embedding(*each) for each in zip(geometries, outputs, strict=True)]

    def _pictures_for(self, shape: tuple[int, int, int, int]) -> Tensor:
        """Return an array for pictures on the network's device."""
        if self._sam.pixel_mean.device.type != "cpu":
            return self._sam.pixel_mean.new_empty(shape)
        buffers = self._buffers
        if buffers.shape != shape:
            self._buffers = buffers = Buffers(shape)
        return torch.from_numpy(buffers.lend())

    def _length(self, length: int) -> int:
        return INPUT_SIDE_PIXELS if self.square else self._sam.encoded_length(length)

    def _place(self, frame: Frame, geometry: Geometry, picture: Tensor) -> None:
        """Scale and normalise a frame into the top left of ``picture``, float 3 x height x width; set the rest to 0."""
        pixels, (rows, columns) = geometry.resize(frame.rgb), geometry.resized
        if picture.is_cuda:
            # From pinned memory, the copy overlaps with computation.
            pixels = pixels.contiguous().pin_memory()
        placed = picture[:, :rows, :columns]
        placed.copy_(pixels, non_blocking=True).sub_(self._sam.pixel_mean).div_(self._sam.pixel_std)
        picture[:, rows:] = 0
        picture[:, :rows, columns:] = 0


def _embedding(geometry: Geometry, outputs: Sequence[Tensor]) -> ImageEmbedding:
    """Cut the stages to the cells that hold picture."""
    for each in outputs:
        # Beyond the largest half there is infinity, which would spoil sums.
        each.copy_(each.clamp(-_LARGEST_HALF, _LARGEST_HALF).half())
    features, *stages = outputs
    rows, columns = geometry.valid(GRID_SIDE_CELLS)
    return ImageEmbedding(features, geometry, tuple(stage[:, :rows, :columns] for stage in stages))
