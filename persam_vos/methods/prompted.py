"""A frame and what a person says of its objects go in; their masks come out, by SAM's decoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from persam_vos.masks import Mask, box_xyxy, interior_depth
from persam_vos.methods.competition import hard_argmax
from persam_vos.methods.in_front import put_in_front
from persam_vos.methods.prompt_view import MAX_LOGIT, FrameViews, Told, View, pixels_of
from persam_vos.prompts import Box, ObjectPrompt, Point
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.patches import Patch
from persam_vos.sam.prompts import Prompts
from persam_vos.sam.regions import Region

# Candidates 1 to 3 answer to one point: a smaller part, a part and the whole of what it lies on.
_PART = 2
# A box is decoded so often, each time but the first with the mask so far, as PerSAM does (arXiv 2305.03048).
_LOOKS_AT_BOX = 2
# Candidates whose quality differs by this have shares that differ by a factor of e. From 0.05 to 0.3 the mean IoU from
# true boxes stays within 0.005.
_QUALITY_SCALE = 0.1
# An object reaches at most this share of its box's longer side beyond the box: people draw boxes a little too small.
_BEYOND_BOX_SHARE = 0.05
# A click changes at most so many pixels, as a share of the mask's; more is another object.
_MOST_CHANGE = 1.0
# Weight of the IoU with the mask so far against the predicted IoU, where a click would change more.
_LIKENESS_SHARE = 2.0
# A place that surely lies on an object is at least this far from points beside it, in radii of a disc of its area.
_DISTANCE_TO_NEGATIVE = 0.5


@dataclass(frozen=True, slots=True)
class PromptedMasks:
    """The masks of N objects on one frame.

    Attributes:
        label_map: uint8, H x W: object n of the prompts has the value n.
        scores: Of each object, SAM's predicted IoU of its mask, 0..1.
    """

    label_map: Tensor
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    """The decoder's candidates in one view.

    Attributes:
        logits: float, K x 256 x 256 over the view's padded square.
        predicted_iou: float, K.
        quality: float, K: by which the candidates of all views are mixed.
    """

    logits: Tensor
    predicted_iou: Tensor
    quality: Tensor


def masks_of_prompts(
    views: FrameViews,
    decoder: Decoder,
    prompts: Sequence[ObjectPrompt],
    starts: Sequence[Mask | None] = (),
) -> PromptedMasks:
    """Segment the objects that a person points at.

    A box is decoded in the whole frame, and in a crop around it that the encoder sees enlarged. The candidates of both
    are mixed; those weigh most that SAM is sure of and that fit the box. It is decoded once more, with that mask.
    Points without a box are decoded one after another, each with the ones before it and the mask so far, as SAM was
    trained (Kirillov et al., arXiv 2304.02643); one alone means the part or the whole that it lies on, not the smallest
    part. In the end, edges follow the colours. Points on the mask of a box, or on one that is given, mend it: each
    changes only the part in which it lies.

    Args:
        views: Of the frame.
        decoder: Of the same model.
        prompts: Of N objects, each of which fits the frame; see ``ObjectPrompt.fitted``.
        starts: Of each object, the mask that its points mend, bool, H x W; None for no mask. Empty for none at all.
    """
    whole, found = views.whole, []
    for prompt, start in zip(prompts, starts or [None] * len(prompts), strict=True):
        found.append(_Object(decoder, views, prompt.box).found(prompt, start))
    put_in_front([logits for logits, _ in found], prompts)
    patches = [Patch(whole.region, logits) for logits, _ in found]
    label_map = hard_argmax(patches, range(1, len(found) + 1), whole.region)
    return PromptedMasks(label_map, tuple(min(max(score, 0.0), 1.0) for _, score in found))


class _Object:
    """One object of a frame, in views of it."""

    def __init__(self, decoder: Decoder, frame: FrameViews, box: Box | None) -> None:
        self._decoder, self._frame = decoder, frame
        closer = None if box is None else frame.closer(box)
        self._views = [frame.whole] if closer is None else [frame.whole, closer]

    def found(self, prompt: ObjectPrompt, start: Mask | None = None) -> tuple[Tensor, float]:
        """Return the logits of an object's mask, float H x W, and its predicted IoU."""
        if prompt.box is not None:
            begun = self._frame.told_before(prompt.box, prompt.points)
            if begun is None:
                begun = Told(prompt.box, (), *self._of_box(prompt.box))
                self._frame.told = (begun,)
            told = self._mended_by(prompt.points, begun)
            return _held_by(prompt.box, told.logits), told.score
        if start is not None and start.any():
            # What nobody objects to is certain.
            told = self._mended_by(prompt.points, Told(None, (), self._logits_of(start), 1.0))
            return told.logits, told.score
        return self._of_points(prompt.points)

    def _of_box(self, box: Box) -> tuple[Tensor, float]:
        logits, answers = None, []
        for _ in range(_LOOKS_AT_BOX):
            answers = [self._answer(view, box, (), logits) for view in self._views]
            logits, _ = self._mixed(answers, along_colours=False)
        return self._mixed(answers, along_colours=True)

    def _of_points(self, points: Sequence[Point]) -> tuple[Tensor, float]:
        # A point beside the object says nothing before one on it.
        points = tuple(sorted(points, key=lambda point: not point.positive))
        told = self._frame.told_before(None, points[:-1])
        known, logits = (len(told.points), told.logits) if told else (0, None)
        answers: list[_Answer] = []
        for count in range(known + 1, len(points) + 1):
            answers = [self._answer(view, None, points[:count], logits) for view in self._views]
            logits, _ = self._mixed(answers, along_colours=False)
            before, told = told, Told(None, points[:count], logits, 0.0)
            self._frame.told = (told,) if before is None else (before, told)
        assert logits is not None, "a prompt has a box or a point"
        # SAM's own masks are what it knows as prompts; so only the last one follows the colours.
        coloured, score = self._mixed(answers, along_colours=True)
        return _as_points_say(points, logits, coloured), score

    def _mended_by(self, points: tuple[Point, ...], told: Told) -> Told:
        """Return what points make of a mask, one after another, each with those before it; see ``found``."""
        for count in range(len(told.points) + 1, len(points) + 1):
            before, followed, logits, score = told, points[:count], told.logits, told.score
            # A point that agrees with the mask changes nothing.
            if not _obeys(logits, followed[-1]):
                logits, score = self._mended(logits, followed, told.box)
            told = Told(told.box, followed, logits, score)
            if told.box is not None:
                self._frame.told = before, told
        return told

    def _mended(self, logits: Tensor, points: Sequence[Point], box: Box | None) -> tuple[Tensor, float]:
        """Return what the last point makes of a mask, and the predicted IoU.

        The decoder also gets a point that surely lies on the object. For a point beside the object it gets a box as
        well, without which it often loses the object: that of the mask, unless one is given. Only the part changes in
        which the point lies.

        Args:
            logits: float, H x W: the mask so far.
            points: All so far.
            box: As a person gave it; None for none.
        """
        mask: Mask = (logits > 0).cpu().numpy()
        *before, last = points
        if box is None and not last.positive:
            box = _box_around(mask, before)
        given = [*_surely_inside(mask, points), *points]
        # The mask so far can outweigh a point; without it, the same prompts say more. And a click is a correction: if
        # another object comes out, the candidates count that are most like the mask so far.
        for decode in (self._sure, self._sure_anew, self._like_before):
            found, score = decode(box, given, logits)
            changed = _part_at(last, mask, (found > 0).cpu().numpy())
            if _obeys(found, last) and changed.sum() <= _MOST_CHANGE * mask.sum():
                break
        return torch.where(torch.from_numpy(changed).to(found.device), found, logits), score

    def _sure(self, box: Box | None, points: Sequence[Point], last: Tensor) -> tuple[Tensor, float]:
        return self._mixed([self._answer(view, box, points, last) for view in self._views], along_colours=True)

    def _sure_anew(self, box: Box | None, points: Sequence[Point], _: Tensor) -> tuple[Tensor, float]:
        return self._mixed([self._answer(view, box, points, None) for view in self._views], along_colours=True)

    def _like_before(self, box: Box | None, points: Sequence[Point], last: Tensor) -> tuple[Tensor, float]:
        """Decode prompts; those candidates weigh most that are as the last point says, and like the mask before it."""
        answers = []
        for view in self._views:
            logits, predicted_iou = self._candidates(view, view.prompts(box, points, last))
            quality = predicted_iou + _LIKENESS_SHARE * view.likeness(logits, last) + view.obeys(logits, points[-1])
            answers.append(_Answer(logits, predicted_iou, quality))
        return self._mixed(answers, along_colours=True)

    def _logits_of(self, mask: Mask) -> Tensor:
        device = self._views[0].embedding.features.device
        return torch.from_numpy(np.where(mask, MAX_LOGIT, -MAX_LOGIT).astype(np.float32)).to(device)

    def _answer(self, view: View, box: Box | None, points: Sequence[Point], last: Tensor | None) -> _Answer:
        """Decode prompts in a view; ``last``, float H x W, is the mask before the last point or look."""
        logits, predicted_iou = self._candidates(view, view.prompts(box, points, last))
        if last is not None and points:
            # Candidate 0 is for prompts that leave no doubt what is meant.
            return _Answer(logits[:1], predicted_iou[:1], predicted_iou.new_zeros(1))
        if box is not None:
            return _Answer(logits, predicted_iou, predicted_iou + view.fit(logits, box))
        # Of the three nested candidates, the smallest is often a part that nobody would cut out alone, such as a shirt.
        best = int(predicted_iou[_PART:].argmax()) + _PART
        chosen = slice(best, best + 1)
        return _Answer(logits[chosen], predicted_iou[chosen], predicted_iou.new_zeros(1))

    def _candidates(self, view: View, prompts: Prompts) -> tuple[Tensor, Tensor]:
        """Return the decoder's logits, float K x 256 x 256 over the view's square, and their predicted IoU, float K."""
        embedding = view.embedding
        here = Region.whole(*embedding.geometry.valid(embedding.cells))
        found = self._decoder.decode(embedding, prompts, windows=[here])
        return found.logits[0].clamp(-MAX_LOGIT, MAX_LOGIT), found.predicted_iou[0]

    def _mixed(self, answers: Sequence[_Answer], *, along_colours: bool) -> tuple[Tensor, float]:
        """Return the mean mask of the answers in all views, float H x W, and its mean predicted IoU."""
        shares = (torch.cat([each.quality for each in answers]) / _QUALITY_SCALE).softmax(dim=0)
        size = self._frame.frame.height, self._frame.frame.width
        mean = torch.full(size, -MAX_LOGIT, device=shares.device)
        by_view = shares.split([len(each.quality) for each in answers])
        for view, answer, of_view in zip(self._views, answers, by_view, strict=True):
            share = of_view.sum()
            grid = torch.einsum("k,khw->hw", of_view / share, answer.logits)
            mean[view.region] += share * (view.to_pixels(grid, along_colours=along_colours) + MAX_LOGIT)
        return mean, float(shares @ torch.cat([each.predicted_iou for each in answers]))


def _obeys(logits: Tensor, point: Point) -> bool:
    """Tell whether a mask, logits H x W, is as a point says, at the point."""
    return bool(logits[round(point.y), round(point.x)] > 0) == point.positive


def _box_around(mask: Mask, points: Sequence[Point]) -> Box | None:
    """Return the box of a mask and of the points on the object; None for nothing."""
    corners = [(point.x, point.y) for point in points if point.positive]
    if (box := box_xyxy(mask)) is not None:
        corners += [(box[0], box[1]), (box[2], box[3])]
    if not corners:
        return None
    x, y = zip(*corners, strict=True)
    return Box(min(x), min(y), max(x), max(y))


def _surely_inside(mask: Mask, points: Sequence[Point]) -> list[Point]:
    """Return the point deepest inside a mask, away from those beside the object; none where there is no such place."""
    depth = interior_depth(mask)
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    radius = _DISTANCE_TO_NEGATIVE * math.sqrt(mask.sum() / math.pi)
    for point in points:
        if not point.positive:
            depth[(rows - point.y) ** 2 + (columns - point.x) ** 2 < radius**2] = 0
    y, x = np.unravel_index(int(depth.argmax()), mask.shape)
    return [Point(float(x), float(y))] if depth[y, x] > 0 else []


def _part_at(point: Point, before: Mask, after: Mask) -> Mask:
    """Return where two masks differ, bool H x W: the connected part that holds a point and is as the point says.

    Where the point's own pixel does not change, return everything that changes as the point says.
    """
    changed = after & ~before if point.positive else before & ~after
    _, parts = cv2.connectedComponents(changed.astype(np.uint8))
    part = parts[round(point.y), round(point.x)]
    return np.asarray(parts == part) if part else changed


def _as_points_say(points: Sequence[Point], before: Tensor, after: Tensor) -> Tensor:
    """Return logits ``after``, float H x W, without those parts of the change since ``before`` that a point denies."""
    changed = ((before > 0) != (after > 0)).cpu().numpy()
    _, parts = cv2.connectedComponents(changed.astype(np.uint8))
    for point in points:
        y, x = round(point.y), round(point.x)
        if parts[y, x] and bool(before[y, x] > 0) == point.positive:
            after = torch.where(torch.from_numpy(parts == parts[y, x]).to(after.device), before, after)
    return after


def _held_by(box: Box, logits: Tensor) -> Tensor:
    """Return logits, float H x W, without what lies beyond a box."""
    beyond = _BEYOND_BOX_SHARE * max(box.x1 - box.x0 + 1, box.y1 - box.y0 + 1)
    held = pixels_of(box, beyond).intersection(Region.whole(*logits.shape))
    kept = torch.full_like(logits, -MAX_LOGIT)
    kept[held] = logits[held]
    return kept
