"""Follow the objects of the annotated frame, frame by frame, by one of the methods."""

from __future__ import annotations

import numpy as np
import torch

from persam_vos.errors import EmptyMaskError, MaskSizeError, VideoError
from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.methods.base import VideoMethod, frame_result
from persam_vos.methods.memory.video import MemoryVideo
from persam_vos.methods.persam.video import PersamVideo
from persam_vos.results import FrameResult
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.settings.video import TrackerSettings


class Tracker:
    """Tracks every object of the first frame.

    ``start`` with the annotated frame, then ``step`` with each frame after it. Frames may be embedded beforehand, many
    at once; otherwise the tracker embeds them itself.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, settings: TrackerSettings) -> None:
        self._encoder = encoder
        self._method: VideoMethod = (
            MemoryVideo(encoder, decoder, settings) if settings.method == "memory" else PersamVideo(decoder, settings)
        )
        self._object_ids: list[int] = []
        self._size = (0, 0)

    @torch.inference_mode()
    def start(self, frame: Frame, label_map: LabelMap, embedding: ImageEmbedding | None = None) -> FrameResult:
        """Learn the objects of the annotated frame.

        Args:
            frame: The annotated frame.
            label_map: uint8, H x W of the frame; every value but 0 is an object.
            embedding: The frame's, if it exists already.

        Returns:
            The annotation itself as a result, each object with a score of 1.

        Raises:
            MaskSizeError: If the label map is not of the frame's size.
            EmptyMaskError: If it holds no object.
        """
        if label_map.shape != frame.rgb.shape[:2]:
            height, width = label_map.shape
            raise MaskSizeError(f"mask is {height} x {width}, video is {frame.height} x {frame.width}")
        object_ids = [int(i) for i in np.unique(label_map) if i]
        if not object_ids:
            raise EmptyMaskError("the mask holds no object: every pixel is 0")
        embedding = embedding or self._encoder.encode([frame])[0]
        found = self._method.start(frame, embedding, label_map.copy(), object_ids)
        self._object_ids, self._size = object_ids, (frame.height, frame.width)
        return frame_result(frame, found, object_ids)

    @torch.inference_mode()
    def step(self, frame: Frame, embedding: ImageEmbedding | None = None) -> FrameResult:
        """Find the objects in the next frame.

        Args:
            frame: Of the same size as the annotated one.
            embedding: The frame's, if it exists already.

        Raises:
            EmptyMaskError: If ``start`` has not been called.
            VideoError: If the frame is of another size.
        """
        if not self._object_ids:
            raise EmptyMaskError("no object is tracked yet: call start with the annotated frame first")
        if self._size != (frame.height, frame.width):
            height, width = self._size
            raise VideoError(f"frame {frame.index} is {frame.height} x {frame.width}, the first was {height} x {width}")
        embedding = embedding or self._encoder.encode([frame])[0]
        return frame_result(frame, self._method.step(frame, embedding), self._object_ids)
