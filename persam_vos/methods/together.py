"""Several trackings and the next frame go in; out comes who gets which pixel, and each tracking after the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from persam_vos.media.frame import Frame
from persam_vos.methods.base import Segmentation, VideoTracking
from persam_vos.methods.competition import Aggregation, PresenceTest, resolve_overlaps, soft_alpha
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import Region

# Probability from which an object of one tracking is a rival of another's; below, both are as if each were alone.
_LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Step:
    """A tracking and a frame that it has found its objects in.

    Attributes:
        tracking: What follows the objects after the frame.
        found: The objects in the frame.
    """

    tracking: VideoTracking
    found: Segmentation


def step_together(
    trackings: Sequence[VideoTracking],
    frame: Frame,
    embedding: ImageEmbedding,
    held: Tensor | None = None,
    *,
    soft: bool = False,
) -> list[Step]:
    """Find the objects of several trackings in the next frame, where they compete for pixels.

    An object that touches no other one is found as if it were alone.

    Args:
        trackings: At least one, all of one method; no two have an object in common.
        frame: The frame.
        embedding: Of it.
        held: bool, H x W: pixels that none of these objects may get; None for none.
        soft: Whether what is found has ``alpha``, of the objects of each tracking alone.

    Returns:
        A step for each tracking, in the same order.
    """
    looks = [tracking.look(frame, embedding) for tracking in trackings]
    asked = [look.masks(rivals) for look, rivals in zip(looks, _rivals([look.prior for look in looks]), strict=True)]
    patches = [patch for of_one, _ in asked for patch in of_one]
    object_ids = [number for tracking in trackings for number in tracking.object_ids]
    presence = _JointPresence([test for _, test in asked], [len(tracking.object_ids) for tracking in trackings])
    aggregate = trackings[0].aggregate
    if held is not None:
        aggregate = partial(_beside, held, aggregate)
    label_map = resolve_overlaps(patches, object_ids, embedding.geometry, aggregate, presence)
    steps = [Step(*look.settle(label_map)) for look in looks]
    if soft:
        softened = zip(steps, trackings, (of_one for of_one, _ in asked), strict=True)
        steps = [_softened(step, tracking.object_ids, of_one) for step, tracking, of_one in softened]
    return steps


def _softened(step: Step, object_ids: Sequence[int], patches: Sequence[Patch]) -> Step:
    found = step.found
    return replace(step, found=replace(found, alpha=soft_alpha(patches, object_ids, found.label_map)))


def _rivals(priors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return, for each tracking, the highest probability of the others' objects, 0 where none is likely."""
    best = [None if prior is None else prior.amax(dim=0) for prior in priors]
    rivals: list[Tensor | None] = []
    for k in range(len(best)):
        others = [each for i, each in enumerate(best) if i != k and each is not None]
        highest = torch.stack(others).amax(dim=0) if others else None
        rivals.append(None if highest is None else torch.where(highest > _LIKELY, highest, 0.0))
    return rivals


def _beside(
    held: Tensor, aggregate: Aggregation, patches: Sequence[Patch], object_ids: Sequence[int], region: Region
) -> Tensor:
    """Give pixels away by ``aggregate``, but none of those that are held."""
    return aggregate(patches, object_ids, region).masked_fill(held[region], 0)


class _JointPresence:
    """The tests of several trackings as one; see ``PresenceTest``."""

    def __init__(self, tests: Sequence[PresenceTest], counts: Sequence[int]) -> None:
        self._tests, self._counts = tests, counts
        self._surplus: list[Tensor | None] = [None] * len(tests)

    def surplus(self, label_map: Tensor, changed: Sequence[int]) -> Tensor:
        """Rate the masks; see ``PresenceTest``."""
        first = 0
        for k, (test, count) in enumerate(zip(self._tests, self._counts, strict=True)):
            if own := [i - first for i in changed if first <= i < first + count]:
                self._surplus[k] = test.surplus(label_map, own)
            first += count
        return torch.cat([each for each in self._surplus if each is not None])
