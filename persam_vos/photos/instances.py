"""It is settled what a photo shows: each object at most once, or every instance of one concept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from persam_vos.media.frame import Frame
from persam_vos.methods.base import PhotoMethod, Proposal, Segmentation
from persam_vos.methods.competition import no_threshold, resolve_overlaps
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.sam.regions import Region, mask_regions
from persam_vos.settings.photos import PhotoSettings

# What is smaller than this share of the largest instance, or has so much of its surroundings in instances, is what was
# left over around them.
_SPECK = 0.02
_ENCLOSED = 0.5
# Of a mask in pieces, those beside the largest one that have this share of it are other instances.
_ANOTHER = 0.3
# So many proposals in a row may be refused before the search ends.
_PATIENCE = 4
# A photo is looked at more closely where that enlarges it by so much at least, and at most; and so many times the
# instance is seen then, in height and width.
_CLOSER, _CLOSEST = 1.5, 4.0
_SURROUNDINGS = 2.0


def find_objects(
    method: PhotoMethod, frame: Frame, embedding: ImageEmbedding, object_ids: Sequence[int], presence: float
) -> Segmentation:
    """Find each object, or nothing of it.

    The object whose mask is least like it leaves, and the others compete anew for what it had won.

    Args:
        method: Which has learnt N objects.
        frame: The photo.
        embedding: Of it.
        object_ids: N ids, 1..254.
        presence: An object is absent if its mask is less than this share as like it as ``method.reference_similarity``.
    """
    proposal = method.look(frame, embedding)
    needed = (
        presence * method.reference_similarity
        if presence
        else no_threshold(len(object_ids), method.reference_similarity.device)
    )
    label_map, _, similarity = resolve_overlaps(
        proposal.patches, object_ids, embedding, proposal.similarity_of, needed=needed
    )
    windows = [patch.window for patch in proposal.patches]
    if method.both_ways:
        similarity = _one_thing_each(label_map, object_ids, proposal, embedding, similarity)
    return Segmentation(label_map.cpu().numpy(), proposal.predicted_iou, similarity, windows)


def _one_thing_each(
    label_map: Tensor, object_ids: Sequence[int], proposal: Proposal, embedding: ImageEmbedding, similarity: Tensor
) -> Tensor:
    """Leave to each object, in place, the piece of its mask that is as like it alone as the whole, if there is one.

    Then the pieces are several things: two halves of one thing are less like it than both together.

    Args:
        label_map: uint8, H x W.
        object_ids: N ids.
        proposal: Of the photo.
        embedding: Of it.
        similarity: float, N: of the masks.

    Returns:
        float, N: of what is left.
    """
    geometry, similarity = embedding.geometry, similarity.clone()
    for k, object_id in enumerate(object_ids):
        pieces = _pieces((label_map == object_id).cpu().numpy())
        if len(pieces) < 2:
            continue
        coverage = torch.zeros(len(object_ids), *geometry.valid(embedding.cells), device=similarity.device)
        alone = []
        for piece in pieces:
            coverage[k] = geometry.to_cells(torch.from_numpy(piece)[None].to(similarity.device), embedding.cells)[0]
            alone.append(float(proposal.similarity_of(coverage)[k]))
        best = int(np.argmax(alone))
        if alone[best] >= float(similarity[k]):
            for piece in (*pieces[:best], *pieces[best + 1 :]):
                label_map[torch.from_numpy(piece).to(label_map.device)] = 0
            similarity[k] = alone[best]
    return similarity


def _pieces(mask: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.bool_]]:
    """Split a mask, H x W, into its connected parts of some size; there may be none, or one."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    return [parts == n for n in range(1, count) if areas[n] >= _ANOTHER * areas[1:].max()]


def find_instances(
    method: PhotoMethod, encoder: Encoder, frame: Frame, embedding: ImageEmbedding, settings: PhotoSettings
) -> Segmentation:
    """Find whatever is like the one object that was learnt, one instance after the other.

    What was found is taken out of the running, and the photo is looked at again. What is refused, as too little like
    the object or found before, is ignored from then on: the search goes on elsewhere. It ends where
    nothing is left that may be an instance, when several proposals in a row were refused, or when there are enough.

    Args:
        method: Which has learnt one object.
        encoder: For what is looked at more closely, and for photos of which something is painted black.
        frame: The photo.
        embedding: Of it.
        settings: ``presence``, ``max_objects``, ``iou_threshold`` and ``erase`` count here.

    Returns:
        Instances have the ids 1 and on, in the order in which they were found.
    """
    occupied = torch.zeros(frame.height, frame.width, dtype=torch.bool, device=embedding.features.device)
    ignored = occupied.clone()
    label_map = np.zeros((frame.height, frame.width), np.uint8)
    scores: list[float] = []
    similarities: list[float] = []
    refused, largest = 0, 0
    needed = settings.presence * float(method.reference_similarity[0]) if settings.presence else -math.inf
    while len(scores) < settings.max_objects and refused < _PATIENCE:
        # What is painted black is out of the running by that; what still overlaps with it was found before.
        hidden = _with_border(occupied, embedding) if scores and settings.erase == "similarity" else None
        instance, place = _propose(method, encoder, frame, embedding, hidden, ignored)
        if not bool(place.any()):
            break
        own = instance.mask & ~occupied
        accepted = _accepted(instance, needed, own, occupied, largest, settings.iou_threshold)
        if not accepted or _left_over(own, occupied, embedding):
            refused += 1
            ignored |= place
            continue
        refused, largest = 0, max(largest, int(instance.mask.sum()))
        scores.append(instance.predicted_iou)
        similarities.append(instance.similarity)
        label_map[own.cpu().numpy()] = len(scores)
        occupied |= instance.mask
        if settings.erase == "pixels":
            frame = replace(frame, rgb=np.where(occupied.cpu().numpy()[..., None], np.uint8(0), frame.rgb))
            embedding = encoder.encode([frame])[0]
    return Segmentation(label_map, torch.tensor(scores), torch.tensor(similarities))


@dataclass(frozen=True, slots=True)
class _Instance:
    """What may be an instance.

    Attributes:
        mask: bool, H x W.
        predicted_iou: The decoder's own opinion of it.
        similarity: As ``Segmentation`` has it.
    """

    mask: Tensor
    predicted_iou: float
    similarity: float


def _accepted(
    instance: _Instance, needed: float, own: Tensor, occupied: Tensor, largest: int, most_shared: float
) -> bool:
    """Say whether a proposal is an instance.

    Args:
        instance: What may be one.
        needed: How like the object it must be.
        own: bool, H x W: what of it is new.
        occupied: bool, H x W: what was found before.
        largest: Pixels of the largest instance found before.
        most_shared: Share of it that may have been found before.
    """
    area = int(own.sum())
    if area == 0 or area < _SPECK * largest or not instance.similarity >= needed:
        return False
    return float((instance.mask & occupied).sum()) <= most_shared * float(instance.mask.sum())


def _left_over(own: Tensor, occupied: Tensor, embedding: ImageEmbedding) -> bool:
    """Say whether something new, bool H x W, is mostly surrounded by what was found before."""
    around = _with_border(own, embedding) & ~own
    return float((around & occupied).sum()) > _ENCLOSED * float(around.sum())


def _propose(
    method: PhotoMethod,
    encoder: Encoder,
    frame: Frame,
    embedding: ImageEmbedding,
    hidden: Tensor | None,
    ignored: Tensor,
) -> tuple[_Instance, Tensor]:
    """Look for one instance, more closely if it is small.

    Args:
        method: Which has learnt one object.
        encoder: For the closer look.
        frame: The photo.
        embedding: Of it.
        hidden: bool, H x W: what is out of the running; None for nothing.
        ignored: bool, H x W: where nothing is looked for.

    Returns:
        The instance; bool, H x W: where it was looked for.
    """
    proposal = method.look(frame, embedding, hidden, ignored)
    instance, place = _instance(method, proposal, embedding), _on_frame(proposal.place, embedding)
    if not bool(place.any()):
        # A photo may have fewer pixels than cells.
        place = instance.mask
    part = None if method.size is None else _closer_part(instance.mask | place, method.size)
    if part is None:
        return instance, place
    closer = replace(frame, rgb=np.ascontiguousarray(frame.rgb[part]))
    closely = encoder.encode([closer])[0]
    elsewhere = ignored | ~(_with_border(place, embedding) | _with_border(instance.mask, embedding))
    proposal = method.look(closer, closely, None if hidden is None else hidden[part], elsewhere[part])
    nearer = _instance(method, proposal, closely)
    if not bool(nearer.mask.any()):
        return instance, place
    whole = torch.zeros_like(instance.mask)
    whole[part] = nearer.mask
    return replace(nearer, mask=whole), place


def _closer_part(held: Tensor, size: float) -> Region | None:
    """Choose the part of a photo in which something, bool H x W, is about as large as the reference shows the object.

    Args:
        held: What is looked at.
        size: See ``PhotoMethod``.

    Returns:
        The rows and columns, or None if the photo as it is will do.
    """
    (around,) = mask_regions(held[None])
    lengths = [side.stop - side.start for side in around]
    longest = max(held.shape)
    wanted = max(float(held.sum()) ** 0.5 / size, _SURROUNDINGS * max(lengths), longest / _CLOSEST)
    if not max(lengths) or wanted > longest / _CLOSER:
        return None
    starts = [
        min(max(round((side.start + side.stop - wanted) / 2), 0), max(length - round(wanted), 0))
        for side, length in zip(around, held.shape, strict=True)
    ]
    y, x = (slice(start, min(start + round(wanted), end)) for start, end in zip(starts, held.shape, strict=True))
    return Region(y, x)


def _instance(method: PhotoMethod, proposal: Proposal, embedding: ImageEmbedding) -> _Instance:
    """Take what a method has proposed for an instance."""
    nobody_leaves = no_threshold(1, method.reference_similarity.device)
    label_map, _, similarity = resolve_overlaps(
        proposal.patches, [1], embedding, proposal.similarity_of, needed=nobody_leaves
    )
    # Of a photo that is looked at as it is, as published, the mask is taken as it is.
    mask = label_map > 0 if method.size is None else _one_piece(label_map > 0)
    return _Instance(mask, float(proposal.predicted_iou[0]), float(similarity[0]))


def _one_piece(mask: Tensor) -> Tensor:
    """Leave out of a mask, bool H x W, what is another instance rather than a part of the largest piece."""
    pieces = sorted(_pieces(mask.cpu().numpy()), key=np.count_nonzero)
    for other in pieces[:-1]:
        mask = mask & ~torch.from_numpy(other).to(mask.device)
    return mask


def _on_frame(place: Tensor | None, embedding: ImageEmbedding) -> Tensor:
    """Return the pixels, bool H x W, of cells, bool rows x columns; all of them for None."""
    cells, geometry = embedding.cells, embedding.geometry
    if place is None:
        place = torch.ones(geometry.valid(cells), dtype=torch.bool, device=embedding.features.device)
    square = torch.zeros(cells, cells, device=place.device)
    square[: place.shape[0], : place.shape[1]] = place
    # A cell alone has no pixel above a half between its neighbours.
    return geometry.to_frame(square.repeat_interleave(4, 0).repeat_interleave(4, 1)[None])[0] > 0.5


def _with_border(occupied: Tensor, embedding: ImageEmbedding) -> Tensor:
    """Add what lies half a cell around: cells at the border of an instance are like it as well."""
    geometry = embedding.geometry
    reach = max(round(0.5 * max(geometry.height, geometry.width) / embedding.cells), 1)
    outside = (~occupied).cpu().numpy().astype(np.uint8)
    if outside.all():
        return occupied
    near = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach
    return torch.from_numpy(near).to(occupied.device)
