"""Per-object logits become one exclusive label map; what is known of each object in a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from persam_vos.concept import Concept, cells_of
from persam_vos.encoder import ImageEmbedding
from persam_vos.errors import EmptyMaskError
from persam_vos.frame import Frame, Geometry
from persam_vos.patches import Patch
from persam_vos.region import NOWHERE, Region, hull, meeting, seen_from, strips

LabelMap = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

# Pixels that are shared out at once, so that what is known of them stays in the processor's cache.
_AT_ONCE = 500_000
# In cosine similarity. On the annotated objects of real two-object clips no other object ever came closer; twins may.
_RIVAL_MARGIN = 0.02


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """One object in one frame.

    Attributes:
        object_id: The object's value in the label map, 1..254.
        present: Whether the object has any pixel in the label map.
        score: The decoder's predicted IoU of the object's mask, clipped to 0..1; 0 where absent.
        similarity: Mean cosine similarity, -1..1, of the concept with the cells under the mask; None where absent. Of
            ``memory``, with the cell of the object that each is most like.
        area: Pixels of the object in the label map.
        box_xyxy: (x0, y0, x1, y1) of the object's pixels, inclusive, in pixels of the frame; None where absent.
    """

    object_id: int
    present: bool
    score: float
    similarity: float | None
    area: int
    box_xyxy: tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What the tracker says of one frame.

    Attributes:
        index: Position of the frame in the stream, from 0.
        pts: The frame's presentation time in units of ``time_base``.
        time_base: Seconds per unit of ``pts``.
        label_map: uint8, H x W; 0 is background, n is object n.
        objects: One entry per object of the first frame, in rising order of id, absent ones included.
    """

    index: int
    pts: int
    time_base: Fraction
    label_map: LabelMap
    objects: tuple[ObjectResult, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a method says of N objects in one frame.

    Attributes:
        label_map: uint8, H x W.
        predicted_iou: float, N: the decoder's own opinion of each mask.
        likeness: float, N: mean cosine similarity, -1..1, of what is known of each object with the cells under its
            mask; NaN where it is absent.
        windows: N parts of the frame that hold all pixels of each object; None if they may be anywhere.
    """

    label_map: LabelMap
    predicted_iou: Tensor
    likeness: Tensor
    windows: Sequence[Region] | None = None


def frame_result(frame: Frame, found: Found, object_ids: Sequence[int]) -> FrameResult:
    """Write down what was found, object by object."""
    objects = []
    windows = found.windows or [(slice(0, frame.height), slice(0, frame.width))] * len(object_ids)
    for object_id, score, likeness, (y, x) in zip(
        object_ids, found.predicted_iou.tolist(), found.likeness.tolist(), windows, strict=True
    ):
        mask = found.label_map[y, x] == object_id
        box = box_xyxy(mask, left=x.start, top=y.start)
        objects.append(
            ObjectResult(
                object_id=object_id,
                present=box is not None,
                score=min(max(score, 0.0), 1.0) if box is not None else 0.0,
                similarity=likeness if box is not None else None,
                area=int(mask.sum()),
                box_xyxy=box,
            )
        )
    return FrameResult(frame.index, frame.pts, frame.time_base, found.label_map, tuple(objects))


def soft_aggregation(patches: Sequence[Patch], object_ids: Sequence[int], region: Region) -> Tensor:
    """Share the pixels out by soft aggregation (Oh et al., arXiv 1904.00607, section 3.4): the best odds win.

    Background is as probable as that no object is there, so that two halves of a doubt are more than none.

    Args:
        patches: N, of a frame.
        object_ids: N ids, 1..254.
        region: h x w pixels of the frame, which are shared out.

    Returns:
        uint8, h x w.
    """
    size, device = [side.stop - side.start for side in region], patches[0].log_odds.device
    label_map = torch.zeros(size, dtype=torch.uint8, device=device)
    for strip in strips(region, _AT_ONCE):
        windows = [meeting(strip, patch.window) for patch in patches]
        if (around := hull(windows)) == NOWHERE:
            continue
        best = torch.zeros([side.stop - side.start for side in around], device=device)
        winner, background = torch.zeros_like(best, dtype=torch.uint8), torch.ones_like(best)
        for patch, object_id, window in zip(patches, object_ids, windows, strict=True):
            if window != NOWHERE:
                here, probability = seen_from(around, window), patch.probability(window)
                winner[here].masked_fill_(probability > best[here], object_id)
                best[here].clamp_(min=probability)
                background[here] *= 1 - probability
        label_map[seen_from(region, around)] = winner.masked_fill_(best <= background, 0)
    return label_map


def cell_shares(
    label_map: Tensor, object_ids: Sequence[int], windows: Sequence[Region], geometry: Geometry, cells: int
) -> Tensor:
    """Say which share of the picture in each cell the objects cover.

    Args:
        label_map: uint8, H x W.
        object_ids: N ids.
        windows: N parts of the frame that hold all pixels of each object.
        geometry: Of the frame.
        cells: Side of the grid over the padded square.

    Returns:
        float, N x rows x columns in 0..1, of the cells that hold picture.
    """
    return torch.cat(
        [
            geometry.to_cells((label_map[window] == object_id)[None], cells, window)
            for object_id, window in zip(object_ids, windows, strict=True)
        ]
    )


def exclusive_label_map(logits: Tensor, object_ids: Sequence[int]) -> LabelMap:
    """Let the objects compete for each pixel: the highest logit wins, background counts as 0.

    Args:
        logits: float, N x H x W, one map per object.
        object_ids: N ids, 1..254.

    Returns:
        uint8, H x W.
    """
    best, winner = logits.max(dim=0)
    ids = torch.tensor(object_ids, dtype=torch.uint8, device=logits.device)
    return torch.where(best > 0, ids[winner], 0).to(torch.uint8).cpu().numpy()


def recognise(
    masks: Tensor, concepts: Sequence[Concept], similarity: Tensor, embedding: ImageEmbedding, share: float
) -> Tensor:
    """Say how surely each mask shows its object: SAM finds something for every prompt, whether it is there or not.

    A mask must be like enough to its object, and not clearly more like another object.

    Args:
        masks: bool, N x H x W in pixels of the frame, exclusive: an object must not be judged by what another won.
        concepts: N concepts.
        similarity: float, N x h x w over the padded square: of each concept with the frame.
        embedding: The frame's.
        share: Of the likeness that the annotation had, 0..1, which a mask needs.

    Returns:
        float, N: cosine similarity beyond what is needed; negative where the mask shows something else, 0 where it is
        empty.
    """
    found = masks.flatten(1).any(dim=1)
    cells = torch.zeros_like(similarity, dtype=torch.bool)
    for i in found.nonzero()[:, 0].tolist():
        cells[i] = cells_of(masks[i], embedding)
    flat = cells.flatten(1).float()
    # likeness[i, k]: how like object k the mask of object i is
    likeness = flat @ similarity.flatten(1).T / flat.sum(dim=1).clamp(min=1)[:, None]
    own = likeness.diagonal()
    annotated = torch.tensor([concept.likeness for concept in concepts], device=similarity.device)
    # Of an object alone the best rival is the object itself, which never outdoes it.
    needed = torch.maximum(share * annotated, likeness.amax(dim=1) - _RIVAL_MARGIN)
    return torch.where(found, own - needed, 0.0)


def box_xyxy(mask: Mask, *, left: int = 0, top: int = 0) -> tuple[int, int, int, int] | None:
    """Return the tight box (x0, y0, x1, y1), inclusive, of a mask; None if it is empty.

    Args:
        mask: bool, H x W.
        left: Column of the frame at which the mask begins.
        top: The row.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]), top + int(rows[-1])


def grown_box(mask: Mask, margin: int) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1) of a mask that is not empty, ``margin`` pixels larger but inside the frame."""
    box = box_xyxy(mask)
    if box is None:
        raise EmptyMaskError("a box was asked for of an empty mask")
    height, width = mask.shape
    x0, y0, x1, y1 = box
    return max(x0 - margin, 0), max(y0 - margin, 0), min(x1 + margin, width), min(y1 + margin, height)


def anchor_point(mask: Mask, *, middle: bool) -> tuple[int, int]:
    """Return a point (x, y) on a mask that is not empty.

    Args:
        mask: bool, H x W.
        middle: Take the middle of the box where it lies on the mask: that of a ring or a crescent does not. Otherwise,
            the point deepest inside is taken.
    """
    box = box_xyxy(mask)
    if middle and box is not None:
        x, y = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2
        if mask[y, x]:
            return x, y
    return interior_point(mask)


def interior_point(mask: Mask) -> tuple[int, int]:
    """Return the point (x, y) of a mask that lies deepest inside it; the mask must not be empty."""
    padded = np.pad(mask, 1).astype(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x) - 1, int(y) - 1
