"""A photo goes in; out come all instances of the one object that a method has learnt, one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.methods import PhotoMethod, Proposal, Segmentation
from persam_vos.methods.competition import CellPresence, no_threshold, resolve_overlaps, soft_aggregation
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.sam.regions import EMPTY_REGION, Region, mask_regions
from persam_vos.settings.photos import PhotoSettings


def find_instances(
    method: PhotoMethod, encoder: Encoder, frame: Frame, embedding: ImageEmbedding, settings: PhotoSettings
) -> Segmentation:
    """Find all instances of the one learnt object.

    The photo is searched repeatedly. Pixels of found instances are occupied. Places of refused proposals, which were
    too dissimilar or found before, are ignored in later searches. The search ends when no place is left, after
    ``max_refusals`` refusals in a row, or with ``max_objects`` instances.

    Args:
        method: Has learnt one object.
        encoder: For enlarged parts, and for the photo with instances painted black.
        frame: The photo.
        embedding: The photo's.
        settings: Of the search.

    Returns:
        Instances have the ids 1, 2, 3 and so on, in the order in which they were found.
    """
    found = _Found.nothing(frame, embedding)
    ignored = torch.zeros_like(found.occupied)
    needed = settings.presence * float(method.reference_similarity[0]) if settings.presence else -math.inf
    refusals = 0
    while len(found.instances) < settings.max_objects and refusals < settings.max_refusals:
        # Black pixels need not be occupied as well; a mask that overlaps with them was found before.
        by_similarity = bool(found.instances) and settings.erase == "similarity"
        occupied = _with_border(found.occupied, embedding) if by_similarity else None
        instance, place = _search(method, encoder, frame, embedding, occupied, ignored, settings)
        if not bool(place.any()):
            break
        if not found.accepts(instance, needed, embedding, settings):
            refusals += 1
            ignored |= place
            continue
        refusals = 0
        found = found.with_instance(instance)
        if settings.erase == "pixels":
            black = found.occupied.cpu().numpy()[..., None]
            frame = replace(frame, rgb=np.where(black, np.uint8(0), frame.rgb))
            embedding = encoder.encode([frame])[0]
    scores, similarities = ([getattr(i, name) for i in found.instances] for name in ("score", "similarity"))
    return Segmentation(found.label_map, torch.tensor(scores), torch.tensor(similarities))


@dataclass(frozen=True, slots=True)
class _Instance:
    """A proposed instance, before it is accepted.

    Attributes:
        mask: bool, H x W.
        score: How good the mask probably is, 0..1.
        similarity: Of the mask to the object, -1..1; NaN for an empty mask.
    """

    mask: Tensor
    score: float
    similarity: float


@dataclass(frozen=True, slots=True)
class _Found:
    """The instances found so far.

    Attributes:
        instances: In the order in which they were found.
        label_map: uint8, H x W.
        occupied: bool, H x W: pixels of their masks.
    """

    instances: tuple[_Instance, ...]
    label_map: LabelMap
    occupied: Tensor

    @classmethod
    def nothing(cls, frame: Frame, embedding: ImageEmbedding) -> _Found:
        occupied = torch.zeros(frame.height, frame.width, dtype=torch.bool, device=embedding.features.device)
        return cls((), np.zeros((frame.height, frame.width), np.uint8), occupied)

    def accepts(self, instance: _Instance, needed: float, embedding: ImageEmbedding, settings: PhotoSettings) -> bool:
        """Return whether a proposal is a new instance; ``needed`` is the similarity that it needs."""
        new = instance.mask & ~self.occupied
        largest = max((int(each.mask.sum()) for each in self.instances), default=0)
        area = int(new.sum())
        if area == 0 or area < settings.min_instance_share * largest or not instance.similarity >= needed:
            return False
        overlap = float((instance.mask & self.occupied).sum())
        if overlap > settings.iou_threshold * float(instance.mask.sum()):
            return False
        around = _with_border(new, embedding) & ~new
        return float((around & self.occupied).sum()) <= settings.max_enclosed_share * float(around.sum())

    def with_instance(self, instance: _Instance) -> _Found:
        """Add an instance; it gets its unoccupied pixels."""
        instances, label_map = (*self.instances, instance), self.label_map.copy()
        label_map[(instance.mask & ~self.occupied).cpu().numpy()] = len(instances)
        return _Found(instances, label_map, self.occupied | instance.mask)


def _search(
    method: PhotoMethod,
    encoder: Encoder,
    frame: Frame,
    embedding: ImageEmbedding,
    occupied: Tensor | None,
    ignored: Tensor,
    settings: PhotoSettings,
) -> tuple[_Instance, Tensor]:
    """Search for one instance, and look at it again, enlarged, if it is small.

    Args:
        method: Has learnt one object.
        encoder: For the enlarged part.
        frame: The photo.
        embedding: The photo's.
        occupied: bool, H x W; None for no pixel.
        ignored: bool, H x W.
        settings: Of the search.

    Returns:
        The instance; bool, H x W: where it was searched.
    """
    proposal = method.look(frame, embedding, occupied=occupied, ignored=ignored)
    instance, place = _instance(method, proposal, embedding), _on_frame(proposal.place, embedding)
    if not bool(place.any()):
        # A photo may have fewer pixels than cells.
        place = instance.mask
    part = _part_to_enlarge(instance.mask | place, method.instance_size, settings)
    if part is None:
        return instance, place
    enlarged = replace(frame, rgb=np.ascontiguousarray(frame.rgb[part]))
    embedded = encoder.encode([enlarged])[0]
    elsewhere = ignored | ~(_with_border(place, embedding) | _with_border(instance.mask, embedding))
    hidden = None if occupied is None else occupied[part]
    proposal = method.look(enlarged, embedded, occupied=hidden, ignored=elsewhere[part])
    closer = _instance(method, proposal, embedded)
    if not bool(closer.mask.any()):
        return instance, place
    mask = torch.zeros_like(instance.mask)
    mask[part] = closer.mask
    return replace(closer, mask=mask), place


def _part_to_enlarge(held: Tensor, size: float | None, settings: PhotoSettings) -> Region | None:
    """Choose the part of a photo in which something is about as large as the reference shows the object.

    Args:
        held: bool, H x W: the instance and where it was searched.
        size: See ``PhotoMethod.instance_size``.
        settings: Of the search.

    Returns:
        None if the photo is not enlarged.
    """
    (around,) = mask_regions(held[None])
    if size is None or around == EMPTY_REGION:
        return None
    longest_side = max(around.height, around.width)
    wanted = max(
        float(held.sum()) ** 0.5 / size,
        settings.zoom_surroundings * longest_side,
        max(held.shape) / settings.max_zoom,
    )
    if wanted > max(held.shape) / settings.min_zoom:
        return None
    starts = [
        min(max(round((side.start + side.stop - wanted) / 2), 0), max(length - round(wanted), 0))
        for side, length in zip(around, held.shape, strict=True)
    ]
    y, x = (slice(start, min(start + round(wanted), end)) for start, end in zip(starts, held.shape, strict=True))
    return Region(y, x)


def _instance(method: PhotoMethod, proposal: Proposal, embedding: ImageEmbedding) -> _Instance:
    """Turn a proposal for one object into an instance, at any similarity."""
    device = method.reference_similarity.device
    accept = CellPresence(proposal.patches, [1], embedding, proposal.similarity_of, needed=no_threshold(1, device))
    mask = resolve_overlaps(proposal.patches, [1], embedding.geometry, soft_aggregation, accept) > 0
    mask, similarity = method.single_instance(mask), accept.similarity
    return _Instance(mask, float(proposal.evidence_of(similarity).score[0]), float(similarity[0]))


def _on_frame(place: Tensor | None, embedding: ImageEmbedding) -> Tensor:
    """Return the pixels, bool H x W, of cells, bool rows x columns; all pixels for None."""
    cells, geometry = embedding.cells, embedding.geometry
    if place is None:
        place = torch.ones(geometry.valid(cells), dtype=torch.bool, device=embedding.features.device)
    square = torch.zeros(cells, cells, device=place.device)
    square[: place.shape[0], : place.shape[1]] = place
    # At the cells' own resolution, a single cell would have no pixel above 0.5.
    return geometry.to_frame(square.repeat_interleave(4, 0).repeat_interleave(4, 1)[None])[0] > 0.5


def _with_border(mask: Tensor, embedding: ImageEmbedding) -> Tensor:
    """Grow a mask, bool H x W, by half a cell: cells at the border of an instance are similar to it as well."""
    geometry = embedding.geometry
    reach = max(round(0.5 * max(geometry.height, geometry.width) / embedding.cells), 1)
    outside = (~mask).cpu().numpy().astype(np.uint8)
    if outside.all():
        return mask
    near = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach
    return torch.from_numpy(near).to(mask.device)
