"""Embeddings of frames, kept on disk as float16 for the other experiments."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from persam_vos import sam
from persam_vos.media.frame import Frame
from persam_vos.sam import Geometry, ImageEmbedding, SamEncoder
from persam_vos.sam.checkpoints import resolve_checkpoint


def sources() -> list[Path]:
    """Return the files that an embedding depends on: the weights and the whole room ``sam``, backends included."""
    return [resolve_checkpoint("mobile_sam", None), *sorted(Path(sam.__file__).parent.rglob("*.py"))]


@functools.cache
def fingerprint() -> str:
    """Hash the files that an embedding depends on: embeddings under another fingerprint are not used again."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources())).hexdigest()[:16]


class CachedEncoder:
    """An encoder that reads the embeddings kept by ``fill``: float16, a file per frame."""

    def __init__(self, encoder: SamEncoder, folder: Path) -> None:
        self._encoder = encoder
        self._folder = folder / (f"{fingerprint()}-square" if encoder.square else fingerprint())

    def path(self, frame: Frame) -> Path:
        """Return the file for the embedding of a frame."""
        content = str(frame.rgb.shape).encode() + np.ascontiguousarray(frame.rgb).tobytes()
        return self._folder / f"{hashlib.sha1(content).hexdigest()}.npz"

    def fill(self, frame: Frame) -> None:
        """Encode a frame and keep its embedding, unless it is kept already."""
        path = self.path(frame)
        if path.exists():
            return
        embedding = self._encoder.encode([frame])[0]
        arrays = {"f": embedding.features} | {f"s{i}": stage for i, stage in enumerate(embedding.stages)}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez(file, **{name: array.half().numpy() for name, array in arrays.items()})
        part.replace(path)

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        """Read the embeddings that are kept; encode all other frames, such as crops."""
        embeddings = []
        for frame in frames:
            if not self.path(frame).exists():
                embeddings += self._encoder.encode([frame])
                continue
            with np.load(self.path(frame)) as kept:
                features, *stages = (torch.from_numpy(kept[name]).float() for name in sorted(kept.files))
            embeddings.append(ImageEmbedding(features, Geometry(frame.height, frame.width), tuple(stages)))
        return embeddings
