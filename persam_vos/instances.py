"""It is settled what a photo shows: each object at most once, or every instance of one concept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.encoder import Encoder, ImageEmbedding
from persam_vos.frame import Frame
from persam_vos.objects import Found, soft_aggregation
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
    probability = sighting.log_odds.sigmoid()
    while True:
        label_map = soft_aggregation(probability, object_ids)
        masks = torch.stack([torch.from_numpy(label_map == i).to(probability.device) for i in object_ids])
        likeness = _likeness(masks, sighting.similarity, embedding)
        surplus = (likeness - presence * method.usual).nan_to_num(0.0)
        worst = int(surplus.argmin())
        if not presence or float(surplus[worst]) >= 0:
            return Found(label_map, sighting.predicted_iou, likeness)
        probability[worst] = 0


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
    scores: list[Tensor] = []
    likenesses: list[Tensor] = []
    largest = 0
    while len(scores) < settings.max_objects:
        sighting = method.look(frame, embedding, _with_border(taken, embedding) if scores else None)
        mask = sighting.log_odds[0] > 0
        likeness = _likeness(mask[None], sighting.similarity, embedding)
        own = mask & ~taken
        area = int(own.sum())
        if area == 0 or area < _SPECK * largest or float(likeness) < settings.presence * float(method.usual):
            break
        if float((mask & taken).sum()) > settings.iou_threshold * float(mask.sum()):
            break
        label_map[own.cpu().numpy()] = len(scores) + 1
        scores.append(sighting.predicted_iou[0])
        likenesses.append(likeness[0])
        taken |= mask
        largest = max(largest, area)
        if settings.erase == "pixels":
            frame = replace(frame, rgb=np.where(taken.cpu().numpy()[..., None], np.uint8(0), frame.rgb))
            embedding = encoder.encode([frame])[0]
    return Found(label_map, *(torch.tensor([float(x) for x in each]) for each in (scores, likenesses)))


def _with_border(taken: Tensor, embedding: ImageEmbedding) -> Tensor:
    """Add what lies half a cell around: cells at the border of an instance are like it as well."""
    geometry = embedding.geometry
    reach = max(round(0.5 * max(geometry.height, geometry.width) / embedding.cells), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = cv2.dilate(taken.cpu().numpy().astype(np.uint8), disc) > 0
    return torch.from_numpy(grown).to(taken.device)


def _likeness(masks: Tensor, similarity: Tensor, embedding: ImageEmbedding) -> Tensor:
    """Return the mean similarity, float N, of the cells under masks, bool N x H x W; NaN where there is none."""
    shares = embedding.geometry.to_cells(masks, embedding.cells)
    return (similarity * shares).sum(dim=(1, 2)) / shares.sum(dim=(1, 2))
