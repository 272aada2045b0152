"""What was found of an object from two keyframes goes in; out comes one mask, and how well both sides agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.masks import ArrayRecord, LabelMap, Mask, box_xyxy
from persam_vos.sam.regions import Region
from persam_vos.soft_edges import Alpha, agreeing, alpha_of_labels, edge_reach
from persam_vos.video.propagation.found import Found

_Distances = npt.NDArray[np.float32]

# Distance from the edge, as a share of the square root of the object's area, from which a pixel is surely inside or
# outside. Nearer ones are settled by how near they are, so that outlines pass smoothly from one side to the other.
_SURE_DISTANCE_SHARE = 0.1
_MIN_SURE_DISTANCE = 2.0
# A side that has lost the object counts this much beside one that has it.
_MIN_SCORE = 0.05
# Alpha at the outline of a mask.
_HALF = 127.5


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Fused(ArrayRecord):
    """One object in one frame, after all directions are heard.

    Attributes:
        object_id: The object.
        mask: bool, H x W.
        score: Predicted IoU of the mask with the truth, 0..1.
        similarity: See ``ObjectResult``.
        agreement: IoU of both sides' masks, 0..1; None if there is one side only.
        alpha: uint8, H x W: how much of each pixel the object covers; None where a side does not know.
    """

    object_id: int
    mask: Mask
    score: float
    similarity: float | None
    agreement: float | None = None
    alpha: Alpha | None = None


def fuse(before: Found, after: Found, share: float) -> Fused:
    """Join what is found from the keyframe before and from the one after.

    The nearer keyframe counts more, and the better mask. Masks are averaged as distances from their edges: where both
    sides agree, the outline passes from one to the other; where they do not, the weightier one is right.

    Args:
        before: By propagation from the keyframe before.
        after: By propagation from the one after.
        share: How far the frame is on its way, 0..1: 0 at the keyframe before, 1 at the one after.
    """
    weights = (1 - share) * max(before.score, _MIN_SCORE), share * max(after.score, _MIN_SCORE)
    a, b = (each / sum(weights) for each in weights)
    score = a * before.score + b * after.score
    known = [each.similarity for each in (before, after) if each.similarity is not None]
    union, common = int((before.mask | after.mask).sum()), int((before.mask & after.mask).sum())
    agreement = common / union if union else 1.0
    if not common:
        # Averages of places that have nothing in common lie in neither: one of both is wrong.
        chosen = before if a >= b else after
        return Fused(chosen.object_id, chosen.mask, chosen.score, chosen.similarity, agreement, chosen.alpha)
    window = _around([before.mask, after.mask])
    limit = max(_SURE_DISTANCE_SHARE * float(np.sqrt(union)), _MIN_SURE_DISTANCE)
    first, second = (np.clip(_signed_distance(each.mask[window]), -limit, limit) for each in (before, after))
    mask = np.zeros_like(before.mask)
    mask[window] = a * first + b * second > 0
    alpha = None
    if before.alpha is not None and after.alpha is not None:
        mixed = a * before.alpha + b * after.alpha
        # Where both outlines are apart, their mean would be a veil between them: there, the joined outline has an edge
        # of one pixel.
        apart = np.clip(np.abs(first - second) - 1, 0, 1)
        edge = np.clip(_HALF + 2 * _HALF * (a * first + b * second), 0, 2 * _HALF)
        mixed[window] += apart * (edge - mixed[window])
        alpha = agreeing(np.rint(mixed).astype(np.uint8), mask, edge_reach(mask.shape))
    return Fused(before.object_id, mask, score, min(known, default=None), agreement, alpha)


def share_out(fused: Sequence[Fused], keyframes: Mapping[int, Mask], size: tuple[int, int]) -> LabelMap:
    """Give each pixel to one object.

    Keyframes have what they show. A pixel that several other objects claim goes to the one of whose outline it lies
    deepest inside.

    Args:
        fused: Masks of objects without a keyframe on this frame.
        keyframes: Masks of those with one, by object.
        size: Height and width in pixels.

    Returns:
        uint8, H x W.
    """
    label_map = np.zeros(size, np.uint8)
    claims = np.sum([each.mask for each in fused], axis=0, dtype=np.uint8) if fused else label_map
    contested = claims > 1
    for each in fused:
        label_map[each.mask] = each.object_id
    if contested.any():
        depth = [np.where(contested, _signed_distance(each.mask), -np.inf) for each in fused]
        deepest = np.argmax(depth, axis=0)
        label_map[contested] = np.array([each.object_id for each in fused], np.uint8)[deepest[contested]]
    for object_id, mask in keyframes.items():
        label_map[mask] = object_id
    return label_map


def joined_alpha(fused: Sequence[Fused], keyframes: Mapping[int, Mask], label_map: LabelMap) -> Alpha:
    """Return the alpha of all objects: that of each where it is known, else of its mask; they add up where they touch.

    Args:
        fused: Masks of objects without a keyframe on this frame.
        keyframes: Masks of those with one, by object.
        label_map: uint8, H x W, by ``share_out``.

    Returns:
        uint8, H x W; see ``FrameResult``.
    """
    alpha = np.zeros_like(label_map)
    hard = [*keyframes.values(), *(each.mask for each in fused if each.alpha is None)]
    soft = [each.alpha for each in fused if each.alpha is not None]
    for own in (*soft, *(alpha_of_labels(mask.view(np.uint8)) for mask in hard)):
        alpha = np.asarray(cv2.add(alpha, own), np.uint8)
    return agreeing(alpha, label_map > 0, edge_reach(label_map.shape))


def _signed_distance(mask: Mask) -> _Distances:
    """Return the distance of each pixel from the mask's edge, float, H x W, in pixels: positive inside."""
    inside, outside = (cv2.distanceTransform(each.view(np.uint8), cv2.DIST_L2, 3) for each in (mask, ~mask))
    distance: _Distances = np.asarray(inside, np.float32) - np.asarray(outside, np.float32)
    return distance


def _around(masks: Sequence[Mask]) -> Region:
    """Return the rows and columns around masks, with one more pixel on each side."""
    both = np.any(masks, axis=0)
    box = box_xyxy(both)
    assert box is not None, "a mask has a pixel"
    x0, y0, x1, y1 = box
    return Region.at(y0, x0, y1 - y0 + 1, x1 - x0 + 1).expanded(1, (both.shape[0], both.shape[1]))
