"""Networks that are loaded, and pictures that are encoded, only once for many tests of this process."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from persam_vos.media.frame import Frame, untimed_frame
from persam_vos.sam.checkpoints.loading import load_sam
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.networks.sam import Sam

ENCODE = SamEncoder.encode
# The first encoder of each kind encodes for all; a kind is told by what an embedding depends on beside the picture.
ENCODERS: dict[tuple[object, ...], SamEncoder] = {}


@functools.cache
def network(model: str, checkpoint: Path, device: torch.device) -> Sam:
    return load_sam(model, checkpoint, device)  # type: ignore[arg-type]


@functools.lru_cache(maxsize=64)  # some 0.9 GB
def embedded(kind: tuple[object, ...], shape: tuple[int, ...], pixels: bytes) -> ImageEmbedding:
    (embedding,) = ENCODE(ENCODERS[kind], [untimed_frame(np.frombuffer(pixels, np.uint8).reshape(shape))])
    return embedding


def encode(self: SamEncoder, frames: Sequence[Frame]) -> list[ImageEmbedding]:
    kind = (self._sam.name, self._sam.pixel_mean.device, self.backend.name, self.backend.precision, self.square)
    ENCODERS.setdefault(kind, self)
    return [embedded(kind, frame.rgb.shape, frame.rgb.tobytes()) for frame in frames]


@contextmanager
def shared_networks() -> Iterator[None]:
    """Load each network, and encode each picture on each backend, only once in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("persam_vos.sam.engine.load_sam", network)
        patch.setattr(SamEncoder, "encode", encode)
        yield
