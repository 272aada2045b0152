"""Two frames with masks and a frame between them go in; the masks of the frame between come out, without encoding it.

The masks of both neighbours are carried along dense optical flow and joined. Where the two disagree, the flow has lost
the objects or a mask is wrong: the frame is better encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from persam_vos.masks import LabelMap, Mask, Rgb, box_xyxy
from persam_vos.media.frame import Frame
from persam_vos.methods.colour_model import follow_colours
from persam_vos.methods.competition import soft_aggregation, soft_alpha
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.networks.sizes import MASK_SIDE_SAMPLES
from persam_vos.sam.patches import MIN_MASK_LOGIT, masks_to_patches
from persam_vos.sam.regions import Region
from persam_vos.settings.video import TrackerSettings
from persam_vos.soft_edges import Alpha

_Array = npt.NDArray[np.float32]

# Numbers of the approximation: how finely motion is looked at.
# Longer side, in pixels, to which the part of the frames around the objects is scaled for the flow.
_FLOW_SIDE = 384
_MIN_FLOW_SIDE = 32
# The finest scale of the flow: 1 is half of that size.
_FINEST_SCALE = 1
# Margin around the objects' boxes, as a share of their longer side: the surroundings steady the flow.
_MARGIN_SHARE = 0.15
_MIN_MARGIN = 16
# Difference in grey values, 0..255, at which a neighbour counts e times less: that of noise and compression.
_GREY_NOISE = 10.0
# Side of the square, in pixels of the flow, over which these differences are averaged.
_GREY_WINDOW = 5
# Likeness below which a place is something else: a difference of thrice that.
_UNEXPLAINED = float(np.exp(-3.0))
# A neighbour counts this much at least, so that the sum of weights is never 0.
_MIN_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True)
class Tracked:
    """A frame, and what was found in it."""

    frame: Frame
    result: FrameResult


@dataclass(frozen=True, slots=True)
class _Carried:
    """What one neighbour says of the frame between.

    Attributes:
        masks: float, N x h x w in 0..1: the masks of N objects, at the size of the flow.
        areas: float, N: of the masks before they were carried, in pixels of the flow.
        likeness: float, h x w in 0..1: how much the carried neighbour looks like the frame.
    """

    masks: _Array
    areas: _Array
    likeness: _Array


class Between:
    """Makes masks of frames between two frames that were tracked."""

    def __init__(self, settings: TrackerSettings) -> None:
        """Take the settings of the colour model."""
        self._settings = settings
        # OpenCV's stubs want an array for the flow to start from, which may be None.
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOpticalFlow_PRESET_ULTRAFAST)
        self._flow.setFinestScale(_FINEST_SCALE)

    @torch.inference_mode()
    def join(self, frame: Frame, before: Tracked, after: Tracked) -> tuple[FrameResult, float]:
        """Carry the masks of both neighbours to a frame and join them.

        The neighbour that is nearer in time counts more, and at each place the one that looks more like the frame.

        Args:
            frame: The frame between; its time is not that of either neighbour.
            before: The nearest frame before it that was tracked.
            after: The nearest one after it, of the same size and objects.

        Returns:
            The result: its score is the lower one of both neighbours times their agreement, its similarity the lower
            one. And the lowest agreement of all objects; see ``_agreement``.
        """
        ids = before.result.ids
        part = _part_around((before, after))
        if part is None:
            nothing = np.zeros((frame.height, frame.width), np.uint8)
            alpha = nothing.copy() if self._settings.makes_alpha else None
            return _result(frame, before, after, nothing, [1.0] * len(ids), alpha), 1.0
        grey = _scaled_grey(frame.rgb, part)
        first, second = (self._carry(grey, part, each) for each in (before, after))
        a, b = (
            (side.likeness + _MIN_WEIGHT) / abs(float(each.frame.time - frame.time))
            for side, each in ((first, before), (second, after))
        )
        joined = np.asarray((a * first.masks + b * second.masks) / (a + b), np.float32)
        agreement = _agreement(first, second, joined)
        label_map, alpha = self._on_frame(joined, part, frame, ids)
        return _result(frame, before, after, label_map, agreement, alpha), min(agreement)

    def _carry(self, grey: npt.NDArray[np.uint8], part: Region, source: Tracked) -> _Carried:
        """Carry a neighbour's masks to the frame of which ``grey`` is the part."""
        theirs = _scaled_grey(source.frame.rgb, part)
        flow = self._flow.calc(_at_least(grey), _at_least(theirs), None)[: grey.shape[0], : grey.shape[1]]
        rows, columns = np.indices(grey.shape, np.float32)
        places = columns + flow[..., 0], rows + flow[..., 1]
        labels = source.result.label_map[part]
        masks = [_scaled((labels == i).astype(np.float32), grey.shape) for i in source.result.ids]
        difference = cv2.absdiff(_moved(theirs, places), grey).astype(np.float32)
        likeness = np.exp(-cv2.blur(difference, (_GREY_WINDOW, _GREY_WINDOW)) / _GREY_NOISE)
        areas = np.array([mask.sum() for mask in masks], np.float32)
        return _Carried(np.stack([_moved(mask, places) for mask in masks]), areas, likeness)

    def _on_frame(self, masks: _Array, part: Region, frame: Frame, ids: Sequence[int]) -> tuple[LabelMap, Alpha | None]:
        """Bring masks, N x h x w in 0..1, to the frame, with edges that follow its colours.

        Returns:
            The label map, uint8, H x W; and ``alpha``, if it is asked for.
        """
        geometry = Geometry(frame.height, frame.width)
        size = part.height, part.width
        # One mask at a time: at the size of the part, all of them may take a gigabyte.
        pixels = (torch.from_numpy(_scaled(mask, size))[None] for mask in masks)
        cells = torch.cat([geometry.to_cells(each, MASK_SIDE_SAMPLES, part) for each in pixels])
        logits = _to_logits(cells, geometry)
        if self._settings.colours:
            patches = follow_colours(logits, frame.rgb, geometry, self._settings, MIN_MASK_LOGIT)
        else:
            patches = masks_to_patches(logits, geometry, MIN_MASK_LOGIT)
        aggregated = soft_aggregation(patches, ids, Region.whole(frame.height, frame.width))
        label_map = np.asarray(aggregated.numpy(), np.uint8)
        return label_map, soft_alpha(patches, ids, label_map) if self._settings.makes_alpha else None


def _part_around(neighbours: Sequence[Tracked]) -> Region | None:
    """Return the part of the frame that holds all objects of the neighbours, with a margin; None if there are none."""
    boxes = [each.box for tracked in neighbours for each in tracked.result.objects if each.box is not None]
    if not boxes:
        return None
    left, top, right, bottom = (
        choose(side) for choose, side in zip((min, min, max, max), zip(*boxes, strict=True), strict=True)
    )
    height, width = bottom + 1 - top, right + 1 - left
    margin = max(round(_MARGIN_SHARE * max(height, width)), _MIN_MARGIN)
    return Region.at(top, left, height, width).expanded(margin, neighbours[0].result.label_map.shape)


def _scaled_grey(rgb: Rgb, part: Region) -> npt.NDArray[np.uint8]:
    """Return a part of a frame in grey values, at most ``_FLOW_SIDE`` pixels long."""
    shrunk = min(_FLOW_SIDE / max(part.height, part.width), 1.0)
    size = max(round(shrunk * part.height), 1), max(round(shrunk * part.width), 1)
    grey = cv2.cvtColor(_scaled(np.ascontiguousarray(rgb[part]), size), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.uint8)


def _at_least(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Repeat the last row and column up to the size that the flow needs."""
    lacking = (max(_MIN_FLOW_SIDE - side, 0) for side in grey.shape)
    return np.pad(grey, [(0, each) for each in lacking], mode="edge")


def _scaled(values: npt.NDArray[Any], size: Sequence[int]) -> npt.NDArray[Any]:
    """Scale an array to height x width: means when shrinking, else bilinear."""
    way = cv2.INTER_AREA if size[0] < values.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, (size[1], size[0]), interpolation=way))


def _moved(values: npt.NDArray[Any], places: tuple[_Array, _Array]) -> npt.NDArray[Any]:
    """Return the values at places, (x, y), bilinear; what lies outside repeats the border."""
    return np.asarray(cv2.remap(values, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _agreement(before: _Carried, after: _Carried, joined: _Array) -> list[float]:
    """Return, of each object, how sure its mask between two sides is, 0..1; 1 for one that neither side shows.

    It is the product of three shares: the soft IoU of both carried masks; how much of the smaller one's area is left,
    since masks that were carried nowhere agree; and how much of the joined mask looks like either side, since something
    else may be in front for a moment.
    """
    explained = np.maximum(before.likeness, after.likeness) > _UNEXPLAINED
    shares = []
    for a, b, mask, area in zip(
        before.masks, after.masks, joined, np.minimum(before.areas, after.areas).tolist(), strict=True
    ):
        left, union = float(mask.sum()), float(np.maximum(a, b).sum())
        if max(area, union) <= 0:
            shares.append(1.0)
        elif min(area, left) <= 0:
            shares.append(0.0)
        else:
            iou = float(np.minimum(a, b).sum()) / union
            shares.append(iou * min(left / area, 1.0) * float((mask * explained).sum()) / left)
    return shares


def _to_logits(coverage: Tensor, geometry: Geometry) -> Tensor:
    """Bring coverage, N x rows x columns in 0..1, to logits over the padded square, N x n x n."""
    rows, columns = geometry.valid(MASK_SIDE_SAMPLES)
    logits = torch.full((len(coverage), MASK_SIDE_SAMPLES, MASK_SIDE_SAMPLES), MIN_MASK_LOGIT)
    logits[:, :rows, :columns] = coverage.logit(eps=1e-6).clamp(MIN_MASK_LOGIT, -MIN_MASK_LOGIT)
    return logits


def _result(
    frame: Frame,
    before: Tracked,
    after: Tracked,
    label_map: LabelMap,
    agreement: Sequence[float],
    alpha: Alpha | None,
) -> FrameResult:
    """Describe the objects of a frame, given its label map and alpha, uint8 H x W, and the agreement on each, 0..1."""
    objects = tuple(
        _object(*both, label_map == both[0].id, agreed)
        for both, agreed in zip(zip(before.result.objects, after.result.objects, strict=True), agreement, strict=True)
    )
    return FrameResult(frame.index, frame.pts, frame.time_base, label_map, objects, alpha=alpha)


def _object(before: ObjectResult, after: ObjectResult, mask: Mask, agreement: float) -> ObjectResult:
    """Describe an object: no better than on the side where it was found worse."""
    worse = min(before, after, key=lambda each: each.score)
    similarity = [each.similarity for each in (before, after) if each.similarity is not None]
    box = box_xyxy(mask)
    return replace(
        worse,
        present=box is not None,
        score=worse.score * agreement if box is not None else 0.0,
        similarity=min(similarity) if box is not None and similarity else None,
        area=int(mask.sum()),
        box=box,
    )
