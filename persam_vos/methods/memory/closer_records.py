"""What the closer look holds: records of tensors go from one frame to the next, and through one frame."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from persam_vos.media.frame import Frame
from persam_vos.methods.memory.memory import Memory
from persam_vos.methods.memory.prior import Query
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.regions import Region


@dataclass(frozen=True, slots=True)
class CloserState:
    """What passes from one frame to the next.

    Attributes:
        memory: Of N objects; its recent cells are those of ``crop``.
        crop: Pixels of the last frame that were looked at.
        label_map: uint8, H x W: of the last frame.
        learnt: bool, N: whether most of the object lay in the crop of the annotated frame.
        tracked: bool, N: whether most of it was found in the crop of the last frame.
    """

    memory: Memory
    crop: Region
    label_map: Tensor
    learnt: Tensor
    tracked: Tensor


@dataclass(frozen=True, slots=True)
class CropLook:
    """A crop of the frame in work.

    Attributes:
        crop: Its pixels.
        frame: The crop as a frame.
        embedding: Of the crop.
        query: Of the crop; ``seen`` tells of which objects its memory speaks.
        prior_logits: float, N x 256 x 256 over the crop's padded square: of the mixed prior.
    """

    crop: Region
    frame: Frame
    embedding: ImageEmbedding
    query: Query
    prior_logits: Tensor


@dataclass(frozen=True, slots=True)
class CloserKnowledge:
    """All that a ``CloserLook`` knows between two frames.

    Attributes:
        object_ids: uint8, N.
        frame_tokens: float, N x (``token_size`` + 1): the objects' mask tokens on the frame, for the mixed prior; None
            where they are not learnt.
        tokens: Those in a crop; likewise.
        state: After the last frame.
        learnt_whole: Whether the crop of the annotated frame was all of it.
    """

    object_ids: Tensor
    frame_tokens: Tensor | None
    tokens: Tensor | None
    state: CloserState
    learnt_whole: bool
