"""Objects of an annotated frame, found in one frame after another by one of the methods."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from persam_vos.errors import NotStartedError, VideoError
from persam_vos.masks import VOID, Rgb, as_label_map
from persam_vos.media.frame import Frame, untimed_frame
from persam_vos.methods import VideoMethod, VideoTracking, frame_result, step_together
from persam_vos.methods.memory import MemoryVideo
from persam_vos.methods.persam import PersamVideo
from persam_vos.results import FrameResult
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings, TrackerSettings
from persam_vos.soft_edges import alpha_of_labels


@dataclass(frozen=True, slots=True)
class TrackerKnowledge:
    """All that a tracker knows.

    Attributes:
        of_method: What the method's tracking knows.
        object_ids: Of the N objects.
        size: Height and width of the frames.
        next_index: Of the frame after the last one.
    """

    of_method: Any
    object_ids: Sequence[int]
    size: tuple[int, int]
    next_index: int


class Tracker:
    """Tracks every object of an annotated frame, one frame at a time.

    ``start`` with the annotated frame, then ``step`` with each frame after it; ``start`` again for another video.
    Where all frames are at hand, ``track`` is faster: it decodes and encodes them ahead, in threads.

    >>> from persam_vos import demo_clip, open_video, read_mask
    >>> clip, mask = demo_clip()
    >>> tracker = Tracker()
    >>> with open_video(clip) as reader:
    ...     frames = iter(reader)
    ...     first = next(frames)
    ...     result = tracker.start(first, read_mask(mask, like=first))
    ...     result = tracker.step(next(frames))
    >>> result.label_map.shape, result[1].present
    ((360, 640), True)
    """

    def __init__(self, settings: Settings | None = None) -> None:
        """Load the model.

        Args:
            settings: Which model, what runs it, and how it tracks; None for the defaults.

        Raises:
            CheckpointError: If the model cannot be loaded.
            SettingsError: If the device or backend is not there.
        """
        settings = settings or Settings()
        engine = Engine(settings)
        self._set_up(engine.encoder, engine.decoder, settings, None)

    @classmethod
    def from_parts(
        cls, encoder: Encoder, decoder: Decoder, settings: TrackerSettings, *, method: VideoMethod[Any] | None = None
    ) -> Tracker:
        """Make a tracker of a model that is loaded already.

        Args:
            encoder: For one frame at a time.
            decoder: Of the same model.
            settings: How it tracks.
            method: What tracks; None for the method that the settings name.
        """
        tracker = cls.__new__(cls)
        tracker._set_up(encoder, decoder, settings, method)
        return tracker

    def _set_up(
        self, encoder: Encoder, decoder: Decoder, settings: TrackerSettings, method: VideoMethod[Any] | None
    ) -> None:
        self._encoder, self._soft = encoder, settings.makes_alpha
        self._method = method or video_method(encoder, decoder, settings)
        self._tracking: VideoTracking | None = None
        self._object_ids: list[int] = []
        self._size = (0, 0)
        self._next_index = 0

    @property
    def started(self) -> bool:
        """Whether there are objects to track: whether ``start`` has been called."""
        return self._tracking is not None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes it doubtful that the objects can be followed, one line each; none before ``start``."""
        return () if self._tracking is None else self._tracking.warnings

    @torch.inference_mode()
    def start(
        self,
        image: Frame | Rgb,
        mask: npt.ArrayLike,
        embedding: ImageEmbedding | None = None,
        *,
        void: int | None = VOID,
    ) -> FrameResult:
        """Learn the objects of the annotated frame.

        Args:
            image: The annotated frame: a ``Frame``, or uint8, H x W x 3, RGB. An array counts as frame 0 at 0 s, the
                next one as frame 1 at 1 s.
            mask: H x W: a bool mask of one object, or a label map of any integer dtype; see ``as_label_map``.
            embedding: The frame's, if it exists already.
            void: Value of pixels of a label map that count as background; None where 255 is an object as well.

        Returns:
            The annotation itself as a result, each object with a score of 1.

        Raises:
            VideoError: If the image is no such array.
            MaskError: If the mask is no such array.
            MaskSizeError: If the mask is not of the frame's size.
            EmptyMaskError: If it holds no object.
        """
        frame = self._frame(image, 0)
        label_map = as_label_map(mask, frame.height, frame.width, of="video", void=void)
        object_ids = [int(i) for i in np.unique(label_map) if i]
        embedding = embedding or self._encoder.encode([frame])[0]
        study = self._method.study(frame, embedding, label_map, object_ids)
        self._tracking = self._method.start(study)
        self._object_ids, self._size = object_ids, (frame.height, frame.width)
        self._next_index = frame.index + 1
        alpha = alpha_of_labels(label_map) if self._soft else None
        return frame_result(frame, replace(study.segmentation, alpha=alpha), object_ids)

    @torch.inference_mode()
    def step(self, image: Frame | Rgb, embedding: ImageEmbedding | None = None) -> FrameResult:
        """Find the objects in the next frame.

        Args:
            image: The frame, of the same size as the annotated one; see ``start``.
            embedding: The frame's, if it exists already.

        Raises:
            NotStartedError: If ``start`` has not been called.
            VideoError: If the image is no such array, or of another size.
        """
        if self._tracking is None:
            raise NotStartedError("no object is tracked yet: call start with the annotated frame first")
        frame = self._frame(image, self._next_index)
        if self._size != (frame.height, frame.width):
            height, width = self._size
            raise VideoError(f"frame {frame.index} is {frame.height} x {frame.width}, the first was {height} x {width}")
        embedding = embedding or self._encoder.encode([frame])[0]
        (step,) = step_together([self._tracking], frame, embedding, soft=self._soft)
        result = frame_result(frame, step.found, self._object_ids)
        # Replace all state last, so that a step that fails can be repeated.
        self._tracking, self._next_index = step.tracking, frame.index + 1
        return result

    def copy(self) -> Tracker:
        """Return a tracker that goes on from here; neither changes the other."""
        return copy.copy(self)

    @property
    def knowledge(self) -> TrackerKnowledge:
        """All that passes from one frame to the next, as a frozen record; see ``resume``."""
        assert self._tracking is not None, "start comes first"
        return TrackerKnowledge(self._tracking.knowledge, self._object_ids, self._size, self._next_index)

    @property
    def records(self) -> tuple[type, ...]:
        """The classes of the records in ``knowledge``."""
        return (TrackerKnowledge, *self._method.records)

    def resume(self, knowledge: TrackerKnowledge) -> None:
        """Go on from what a tracker of the same model and settings knew, instead of ``start``."""
        self._tracking = self._method.resume(knowledge.of_method)
        self._object_ids, self._size = list(knowledge.object_ids), knowledge.size
        self._next_index = knowledge.next_index

    def _frame(self, image: Frame | Rgb, index: int) -> Frame:
        return image if isinstance(image, Frame) else untimed_frame(image, index)


def video_method(encoder: Encoder, decoder: Decoder, settings: TrackerSettings) -> VideoMethod[Any]:
    """Return the method that the settings name, for one frame at a time."""
    return MemoryVideo(encoder, decoder, settings) if settings.method == "memory" else PersamVideo(decoder, settings)
