"""It is settled what a photo shows: each object at most once, or every instance of one concept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.competition import compete, everyone
from persam_vos.encoder import Encoder, ImageEmbedding
from persam_vos.frame import Frame
from persam_vos.objects import Found
from persam_vos.photo_config import PhotoSettings
from persam_vos.photo_method import PhotoMethod

# What is smaller than this share of the largest instance is what was left over around one.
_SPECK = 0.02


def find_objects(
    method: PhotoMethod, frame: Frame, embedding: ImageEmbedding, object_ids: Sequence[int], presence: float
) -> Found:
    """Find each object, or nothing of it.

    The object whose mask is least like it leaves, and the others compete anew for what it had won.

    Args:
        method: Which has learnt N objects.
        frame: The photo.
        embedding: Of it.
        object_ids: N ids, 1..254.
        presence: An object is absent if its mask is less than this share as like it as ``method.usual``.
    """
    sighting = method.look(frame, embedding)
    needed = presence * method.usual if presence else everyone(len(object_ids), method.usual.device)
    label_map, _, likeness = compete(sighting.patches, object_ids, embedding, sighting.likeness_of, needed=needed)
    windows = [patch.window for patch in sighting.patches]
    return Found(label_map.cpu().numpy(), sighting.predicted_iou, likeness, windows)


def find_instances(
    method: PhotoMethod, encoder: Encoder, frame: Frame, embedding: ImageEmbedding, settings: PhotoSettings
) -> Found:
    """Find whatever is like the one object that was learnt, one instance after the other.

    What was found is taken out of the running, and the photo is looked at again: until nothing is like the object any
    more, or what is found was found before, or there are enough.

    Args:
        method: Which has learnt one object.
        encoder: For photos of which something is painted black, if the settings ask for that.
        frame: The photo.
        embedding: Of it.
        settings: ``presence``, ``max_objects``, ``iou_threshold`` and ``erase`` count here.

    Returns:
        Instances have the ids 1 and on, in the order in which they were found.
    """
    taken = torch.zeros(frame.height, frame.width, dtype=torch.bool, device=embedding.features.device)
    label_map = np.zeros((frame.height, frame.width), np.uint8)
    scores: list[float] = []
    likenesses: list[float] = []
    largest = 0
    while len(scores) < settings.max_objects:
        # What is painted black is out of the running by that; what still overlaps with it was found before.
        hidden = _with_border(taken, embedding) if scores and settings.erase == "similarity" else None
        sighting = method.look(frame, embedding, hidden)
        shared = compete(sighting.patches, [1], embedding, sighting.likeness_of, needed=everyone(1, taken.device))
        mask, likeness = shared[0] > 0, shared[2]
        own = mask & ~taken
        area = int(own.sum())
        if area == 0 or area < _SPECK * largest or float(likeness) < settings.presence * float(method.usual):
            break
        if float((mask & taken).sum()) > settings.iou_threshold * float(mask.sum()):
            break
        label_map[own.cpu().numpy()] = len(scores) + 1
        scores.append(float(sighting.predicted_iou[0]))
        likenesses.append(float(likeness))
        taken |= mask
        largest = max(largest, area)
        if settings.erase == "pixels":
            frame = replace(frame, rgb=np.where(taken.cpu().numpy()[..., None], np.uint8(0), frame.rgb))
            embedding = encoder.encode([frame])[0]
    return Found(label_map, torch.tensor(scores), torch.tensor(likenesses))


def _with_border(taken: Tensor, embedding: ImageEmbedding) -> Tensor:
    """Add what lies half a cell around: cells at the border of an instance are like it as well."""
    geometry = embedding.geometry
    reach = max(round(0.5 * max(geometry.height, geometry.width) / embedding.cells), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = cv2.dilate(taken.cpu().numpy().astype(np.uint8), disc) > 0
    return torch.from_numpy(grown).to(taken.device)
