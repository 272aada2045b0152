"""The network of all processes that are forked: a stand-in that sees colours, or the shipped one, loaded once."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
import tqdm

from persam_vos.batch import work
from persam_vos.media.frame import Frame
from persam_vos.sam import engine
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.engine import EngineParts
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.prompts import BOTTOM_RIGHT, TOP_LEFT, Candidates, Prompts
from persam_vos.video.propagation import saved_walk
from persam_vos.video.resuming import checkpoint

CHECKPOINT_FRAMES = 3
"""Frames from one checkpoint to the next, so that short clips have several."""

_ENCODE = SamEncoder.encode
_CELLS, _SAMPLES, _LOGIT = 64, 256, 5.0
_SEEN: dict[tuple[bool, tuple[int, ...], bytes], ImageEmbedding] = {}


def load_once(*, shipped: bool) -> None:
    """Let this process, and those that it forks, load the network once.

    Args:
        shipped: Take the network that ships; each picture is encoded once. Otherwise take one that takes milliseconds,
            since faults strike files and not the network.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    tqdm.tqdm.monitor_interval = 0  # no thread of its own
    if shipped:
        changes = [
            (engine, "load_sam", functools.cache(engine.load_sam)),
            (engine, "file_sha256", functools.cache(engine.file_sha256)),
            (SamEncoder, "encode", _encode_once),
        ]
    else:
        changes = [(place, "load_parts", _stand_in) for place in (engine, work)]
    for place, name, value in (*changes, (checkpoint, "EVERY", CHECKPOINT_FRAMES), (saved_walk, "EVERY", 3)):
        mock.patch.object(place, name, value).start()


def _encode_once(self: Any, frames: Sequence[Frame]) -> list[ImageEmbedding]:
    found = []
    for frame in frames:
        key = self.square, frame.rgb.shape, frame.rgb.tobytes()
        if key not in _SEEN:
            (_SEEN[key],) = _ENCODE(self, [frame])
        found.append(_SEEN[key])
    return found


def _stand_in(*_: object, **__: object) -> EngineParts:
    encoder = _Colours()
    decoder: Any = _AsAsked()
    return EngineParts(
        encoder=encoder,
        batch_encoder=encoder,
        decoder=decoder,
        another_encoder=lambda _: encoder,
        checkpoint=Path(__file__),
    )


class _Colours:
    """Sees the mean colour of each cell."""

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        """Return the embeddings of frames, of four channels."""
        return [self._encoded(frame) for frame in frames]

    def _encoded(self, frame: Frame) -> ImageEmbedding:
        geometry = Geometry(frame.height, frame.width)
        rows, columns = geometry.valid(_CELLS)
        scaled = cv2.resize(frame.rgb, (columns, rows), interpolation=cv2.INTER_AREA)
        features = torch.zeros(4, _CELLS, _CELLS)
        features[:3, :rows, :columns] = torch.from_numpy(scaled / np.float32(255)).permute(2, 0, 1)
        features[3] = 1
        return ImageEmbedding(features.half().float(), geometry)


class _AsAsked:
    """Answers with the mask that is asked with, or with the box."""

    dtype, precision, guided_precision, token_size = torch.float32, "float32", "float32", 32

    def warm_up(self) -> None:
        """Nothing is to be loaded."""

    def decode(self, embedding: ImageEmbedding, prompts: Prompts, *_: object, **__: object) -> Candidates:
        """Return four like candidates for each object."""
        asked = prompts.mask_logits if prompts.mask_logits is not None else self._boxes(embedding, prompts)
        logits = asked.float()[:, None].repeat(1, 4, 1, 1)
        return Candidates(logits, torch.full((len(logits), 4), 0.9), logits[:, :0])

    def _boxes(self, embedding: ImageEmbedding, prompts: Prompts) -> torch.Tensor:
        logits = torch.full((len(prompts.points), _SAMPLES, _SAMPLES), -_LOGIT)
        places = (embedding.geometry.points_to_input(prompts.points) / 4).round().int()
        for number, labels in enumerate(prompts.labels):
            corners = [places[number][labels == kind] for kind in (TOP_LEFT, BOTTOM_RIGHT)]
            if all(len(each) for each in corners):
                (left, top), (right, bottom) = (each[0].tolist() for each in corners)
                logits[number, top : bottom + 1, left : right + 1] = _LOGIT
        return logits
