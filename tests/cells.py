"""Cells of made-up frames, whose features tell objects apart without fail, and what stands for the network there."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import torch

from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.methods import Segmentation, VideoMethod, VideoTracking, step_together
from persam_vos.methods.memory.decoding import _FEATURES, Decoded
from persam_vos.methods.memory.memory import Memory
from persam_vos.methods.memory.video import MemoryVideo
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import MIN_MASK_LOGIT, masks_to_patches
from persam_vos.settings.common import MemorySettings
from persam_vos.settings.video import TrackerSettings


def scene_of_colours(*columns: int) -> torch.Tensor:
    """Features, 36 * 64 cells x 16: background everywhere, and in each of the columns a thing of its own."""
    kinds = torch.zeros(36, 64, dtype=torch.long)
    for kind, column in enumerate(columns, start=1):
        kinds[10:20, column : column + 8] = kind
    return torch.eye(16)[kinds.flatten()]


def as_grid(cells: torch.Tensor) -> torch.Tensor:
    return cells.unflatten(1, (36, 64))


def learnt(columns: Sequence[int]) -> tuple[Memory, torch.Tensor, torch.Tensor]:
    features = scene_of_colours(*columns)
    coverage = torch.stack([features[:, kind] for kind in range(1, len(columns) + 1)])
    return Memory.learn(features, coverage, MemorySettings()), features, coverage


def square_at(row: int, column: int) -> torch.Tensor:
    grid = torch.zeros(36, 64)
    grid[row : row + 6, column : column + 6] = 0.9
    return grid


class Seeing:
    """An encoder that sees the mean colour of every cell, and counts what it is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        embeddings = []
        for frame in frames:
            self.shown.append(frame.rgb.shape)
            geometry = Geometry(frame.height, frame.width)
            rows, columns = geometry.valid(64)
            scaled = cv2.resize(frame.rgb, (columns, rows), interpolation=cv2.INTER_AREA)
            features = torch.zeros(4, 64, 64)
            features[:3, :rows, :columns] = torch.from_numpy(scaled / np.float32(255)).permute(2, 0, 1)
            features[3] = 1
            embeddings.append(ImageEmbedding(features, geometry))
        return embeddings


class PriorAsMask:
    """In place of ``PriorDecoder``: masks are the priors, and as trustworthy as ``softness``, above 0 to 1, is low."""

    def __init__(self, softness: float = 0.1) -> None:
        self._softness = softness

    def decode(
        self,
        _frame: Frame,
        embedding: ImageEmbedding,
        prior_logits: torch.Tensor,
        _tokens: object,
        rivals: object = None,
    ) -> Decoded:
        patches = masks_to_patches(prior_logits, embedding.geometry, MIN_MASK_LOGIT)
        features = dict.fromkeys(_FEATURES, torch.full((len(prior_logits),), self._softness))
        return Decoded(patches, features | {"cells": torch.full((len(prior_logits),), 5.0)})


class Following:
    """What follows the objects of an annotated frame, one frame after another."""

    def __init__(self, tracking: VideoTracking) -> None:
        self.tracking: Any = tracking

    @classmethod
    def start(
        cls,
        method: VideoMethod[Any],
        frame: Frame,
        embedding: ImageEmbedding,
        label_map: LabelMap,
        object_ids: Sequence[int],
    ) -> Following:
        return cls(method.start(method.study(frame, embedding, label_map, object_ids)))

    def step(self, frame: Frame, embedding: ImageEmbedding) -> Segmentation:
        (step,) = step_together([self.tracking], frame, embedding)
        self.tracking = step.tracking
        return step.found


def started(
    encoder: Seeing, frame: Frame, label_map: LabelMap, *, closer_decoder: PriorAsMask | None = None, **changes: Any
) -> Following:
    """Learn the objects of an annotated frame; masks will be the priors."""
    # Without a decoder, the first mask is taken as it is.
    settings = TrackerSettings(mask_token=False, keep_first_mask=True, **changes)
    method = MemoryVideo(encoder, cast("Decoder", SimpleNamespace(dtype=torch.float32)), settings)
    ids = [int(i) for i in np.unique(label_map) if i]
    following = Following.start(method, frame, encoder.encode([frame])[0], label_map, ids)
    following.tracking.decoder = PriorAsMask()
    if following.tracking.closer is not None:
        following.tracking.closer._decoder = closer_decoder or following.tracking.decoder
    return following
