"""The interface of a method: annotated frames go in, a ``Segmentation`` of other frames or photos comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from persam_vos.masks import LabelMap, box_xyxy
from persam_vos.media.frame import Frame
from persam_vos.methods.competition import Aggregation, PresenceTest
from persam_vos.methods.score import Evidence
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.networks.sizes import MASK_SIDE_SAMPLES
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import Region
from persam_vos.soft_edges import Alpha


@dataclass(frozen=True, slots=True)
class Segmentation:
    """N objects as a method finds them in one frame.

    Attributes:
        label_map: uint8, H x W.
        score: float, N in 0..1: how good each mask probably is; of no meaning where it is absent.
        similarity: float, N: mean cosine similarity, -1..1, of each object's memory or target feature with the cells
            under its mask; NaN where it is absent.
        windows: N regions of the frame, each of which holds all pixels of an object; None for the whole frame.
        evidence: What ``score`` was made of; None on an annotated frame.
        alpha: uint8, H x W; see ``FrameResult``. None where it is not made.
    """

    label_map: LabelMap
    score: Tensor
    similarity: Tensor
    windows: Sequence[Region] | None = None
    evidence: Evidence | None = None
    alpha: Alpha | None = None


def frame_result(frame: Frame, found: Segmentation, object_ids: Sequence[int]) -> FrameResult:
    """Describe each object of a segmentation, absent ones included."""
    objects = []
    windows = found.windows or [Region.whole(frame.height, frame.width)] * len(object_ids)
    for object_id, score, similarity, window in zip(
        object_ids, found.score.tolist(), found.similarity.tolist(), windows, strict=True
    ):
        mask = found.label_map[window] == object_id
        box = box_xyxy(mask, left=window.left, top=window.top)
        objects.append(
            ObjectResult(
                id=object_id,
                present=box is not None,
                score=min(max(score, 0.0), 1.0) if box is not None else 0.0,
                similarity=similarity if box is not None else None,
                area=int(mask.sum()),
                box=box,
                keyframe=found.evidence is None,
            )
        )
    return FrameResult(frame.index, frame.pts, frame.time_base, found.label_map, tuple(objects), alpha=found.alpha)


class VideoLook(Protocol):
    """A frame as one tracking sees it, until it is settled which object gets which pixel."""

    @property
    def prior(self) -> Tensor | None:
        """The probability of each object, float, N x rows x columns of cells in 0..1; None for a method without one."""
        ...

    def masks(self, rivals: Tensor | None = None, /) -> tuple[Sequence[Patch], PresenceTest]:
        """Return N masks on the frame, and which of them show their objects.

        Args:
            rivals: float, rows x columns in 0..1: the probability of the likeliest object of other trackings, 0 where
                none is likely; None without others.
        """
        ...

    def settle(self, label_map: Tensor, /) -> tuple[VideoTracking, Segmentation]:
        """Learn from the frame, after ``masks``.

        Args:
            label_map: uint8, H x W: what came of the masks; pixels of other trackings count as background.

        Returns:
            What follows the objects from here on, and how they are found in this frame.
        """
        ...


class VideoTracking(Protocol):
    """The objects of one video while they are followed; it never changes: each frame gives the next one.

    So a frame that fails, for want of memory perhaps, can be repeated.
    """

    @property
    def object_ids(self) -> Sequence[int]:
        """Ids of the N objects, 1..255."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes it doubtful that the objects can be followed, one line each."""
        ...

    @property
    def aggregate(self) -> Aggregation:
        """Who gets a pixel that several masks claim."""
        ...

    @property
    def knowledge(self) -> Any:
        """All that passes from one frame to the next, as frozen records of tensors; see ``VideoMethod.resume``."""
        ...

    def look(self, frame: Frame, embedding: ImageEmbedding, /) -> VideoLook:
        """Look for the objects in the next frame, which may be an earlier one of the video."""
        ...


class Study(Protocol):
    """What a method sees in one annotated frame; it may serve several trackings of the same objects."""

    @property
    def segmentation(self) -> Segmentation:
        """The annotation itself."""
        ...


StudyT = TypeVar("StudyT", bound=Study)


class VideoMethod(Protocol[StudyT]):
    """A way to follow objects through a video."""

    @property
    def records(self) -> tuple[type, ...]:
        """The classes of the records in ``VideoTracking.knowledge``."""
        ...

    def study(
        self, frame: Frame, embedding: ImageEmbedding, label_map: LabelMap, object_ids: Sequence[int], /
    ) -> StudyT:
        """Look at an annotated frame.

        Args:
            frame: The annotated frame.
            embedding: The frame's.
            label_map: uint8, H x W.
            object_ids: Ids of N objects, 1..255; one without a pixel is absent from the frame.
        """
        ...

    def start(self, study: StudyT, others: Sequence[StudyT] = (), /) -> VideoTracking:
        """Return what follows the objects from an annotated frame on.

        Args:
            study: Of the frame that the tracking starts from.
            others: Of more frames of the video in which the same objects are annotated; what they look like is learnt
                from all of them. Each object has a pixel in one of the frames.
        """
        ...

    def resume(self, knowledge: Any, /) -> VideoTracking:
        """Return what follows the objects on from ``VideoTracking.knowledge``, with the same masks to the pixel."""
        ...


@dataclass(frozen=True, slots=True)
class Reference:
    """An annotated photo.

    Attributes:
        frame: The photo.
        embedding: The photo's, over the whole square.
        label_map: uint8, H x W; 0 is background, n is object n.
    """

    frame: Frame
    embedding: ImageEmbedding
    label_map: LabelMap

    def masks(self, object_ids: Sequence[int]) -> Tensor:
        """Return bool, N x H x W; the mask of an object that this photo does not show is empty."""
        ids = torch.tensor(object_ids, dtype=torch.uint8, device=self.embedding.features.device)
        return torch.tensor(self.label_map).to(ids.device) == ids[:, None, None]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Masks that a method proposes for N objects of one photo, before they compete and absent objects leave.

    Attributes:
        patches: N masks on the photo.
        similarity_of: Given coverage, float N x rows x columns, returns the similarity of each mask to its object,
            float, N; NaN where there is no mask.
        evidence_of: Given the similarity, float N, of the masks that are left, returns what they are judged by.
        place: bool, rows x columns: cells that were searched for an instance of one object; None for all cells.
    """

    patches: Sequence[Patch]
    similarity_of: Callable[[Tensor], Tensor]
    evidence_of: Callable[[Tensor], Evidence]
    place: Tensor | None = None


def blocked_samples(occupied: Tensor | None, geometry: Geometry) -> Tensor | None:
    """Return which decoder samples, bool 256 x 256, are mostly occupied, bool H x W pixels; None for None."""
    return None if occupied is None else geometry.to_grid(occupied[None], MASK_SIDE_SAMPLES)[0] > 0.5


class PhotoMethod(Protocol):
    """A way to find N objects in photos.

    Attributes:
        reference_similarity: float, N: similarity of each object in its references to what was learnt of it;
            ``presence`` is a share of it.
        instance_size: Square root of the object's area as a share of its reference's longer side, the size at which
            small instances are looked at again; None to look at each photo once.
    """

    reference_similarity: Tensor
    instance_size: float | None

    def learn(self, references: Sequence[Reference], object_ids: Sequence[int], /) -> None:
        """Learn the objects; each has pixels in at least one reference."""
        ...

    def look(
        self,
        frame: Frame,
        embedding: ImageEmbedding,
        *,
        occupied: Tensor | None = None,
        ignored: Tensor | None = None,
    ) -> Proposal:
        """Look for the objects.

        Args:
            frame: The photo.
            embedding: The photo's, over the whole square.
            occupied: bool, H x W: pixels that no mask may cover; None for none.
            ignored: bool, H x W: pixels where no object is searched, although a mask may extend there; None for none.
        """
        ...

    def settle(
        self,
        label_map: Tensor,
        object_ids: Sequence[int],
        similarity: Tensor,
        proposal: Proposal,
        embedding: ImageEmbedding,
        /,
    ) -> Tensor:
        """Take out of each mask, in place, what belongs to another thing of the same kind.

        Args:
            label_map: uint8, H x W.
            object_ids: N ids.
            similarity: float, N: of the masks.
            proposal: The masks before they competed.
            embedding: The photo's.

        Returns:
            float, N: similarity of what is left.
        """
        ...

    def single_instance(self, mask: Tensor, /) -> Tensor:
        """Return the part of an instance's mask, bool H x W, that is one thing."""
        ...
