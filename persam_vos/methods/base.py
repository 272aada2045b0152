"""What every method does with photos: it learns objects from annotated ones, and looks for them in others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from persam_vos.masks import LabelMap, box_xyxy
from persam_vos.media.frame import Frame
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import Region


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What a method says of N objects in one frame.

    Attributes:
        label_map: uint8, H x W.
        predicted_iou: float, N: the decoder's own opinion of each mask.
        similarity: float, N: mean cosine similarity, -1..1, of what is known of each object with the cells under its
            mask; NaN where it is absent.
        windows: N parts of the frame that hold all pixels of each object; None if they may be anywhere.
    """

    label_map: LabelMap
    predicted_iou: Tensor
    similarity: Tensor
    windows: Sequence[Region] | None = None


def frame_result(frame: Frame, found: Segmentation, object_ids: Sequence[int]) -> FrameResult:
    """Write down what was found, object by object."""
    objects = []
    windows = found.windows or [Region.whole(frame.height, frame.width)] * len(object_ids)
    for object_id, score, similarity, (y, x) in zip(
        object_ids, found.predicted_iou.tolist(), found.similarity.tolist(), windows, strict=True
    ):
        mask = found.label_map[y, x] == object_id
        box = box_xyxy(mask, left=x.start, top=y.start)
        objects.append(
            ObjectResult(
                id=object_id,
                present=box is not None,
                score=min(max(score, 0.0), 1.0) if box is not None else 0.0,
                similarity=similarity if box is not None else None,
                area=int(mask.sum()),
                box=box,
            )
        )
    return FrameResult(frame.index, frame.pts, frame.time_base, found.label_map, tuple(objects))


class VideoMethod(Protocol):
    """A way to follow the objects of one video."""

    def start(
        self, frame: Frame, embedding: ImageEmbedding, label_map: LabelMap, object_ids: list[int], /
    ) -> Segmentation:
        """Learn the objects of the annotated frame."""
        ...

    def step(self, frame: Frame, embedding: ImageEmbedding, /) -> Segmentation:
        """Find them in the next frame."""
        ...


@dataclass(frozen=True, slots=True)
class Reference:
    """An annotated photo.

    Attributes:
        frame: The photo.
        embedding: Of it, over the whole square.
        label_map: uint8, H x W; 0 is background, n is object n.
    """

    frame: Frame
    embedding: ImageEmbedding
    label_map: LabelMap

    def masks(self, object_ids: Sequence[int]) -> Tensor:
        """Return bool, N x H x W, one mask per object; that of an object which this photo does not show is empty."""
        ids = torch.tensor(object_ids, dtype=torch.uint8, device=self.embedding.features.device)
        return torch.tensor(self.label_map).to(ids.device) == ids[:, None, None]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a method makes of one photo, before it is settled what is there.

    Attributes:
        patches: N masks on the photo.
        predicted_iou: float, N: the decoder's own opinion of each mask.
        similarity_of: Says how like its object each mask is; see ``resolve_overlaps``.
        place: bool, rows x columns: of one object, the cells that were looked at for an instance; None for all.
    """

    patches: Sequence[Patch]
    predicted_iou: Tensor
    similarity_of: Callable[[Tensor], Tensor]
    place: Tensor | None = None


class PhotoMethod(Protocol):
    """A way to find N objects in photos.

    Attributes:
        reference_similarity: float, N: similarity of each object in its references to what was learnt of it.
        both_ways: Whether a mask's similarity also asks how much of the object it shows.
        size: The square root of the one object's area, as a share of its photo's longer side, by which small instances
            are looked at more closely; None to look at photos as they are.
    """

    reference_similarity: Tensor
    both_ways: bool
    size: float | None

    def learn(self, references: Sequence[Reference], object_ids: Sequence[int], /) -> None:
        """Learn the objects; each has pixels in one reference at least."""
        ...

    def look(
        self, frame: Frame, embedding: ImageEmbedding, occupied: Tensor | None = None, ignored: Tensor | None = None, /
    ) -> Proposal:
        """Look for the objects.

        Args:
            frame: The photo.
            embedding: Of it, over the whole square.
            occupied: bool, H x W: pixels that are out of the running; None for none.
            ignored: bool, H x W: pixels where nothing is looked for, although an answer may reach there; None for none.
        """
        ...
