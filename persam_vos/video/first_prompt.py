"""The objects of a video's first frame, from boxes and points on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from persam_vos.errors import EmptyMaskError
from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.media.mask_files import annotation_warnings
from persam_vos.media.stream import FrameReader
from persam_vos.methods.prompted import masks_of_prompts
from persam_vos.pipeline.gpu_memory import explained_gpu_memory_errors
from persam_vos.prompts import ObjectPrompt
from persam_vos.sam.engine import Engine
from persam_vos.video.first_frame import Annotation

# Below this predicted IoU, a mask is often not what was meant.
_DOUBTFUL_SCORE = 0.6


@dataclass(slots=True)
class FirstPrompts:
    """What a person says of the objects of the first frame: object n is the n-th prompt; see ``FirstFrame``.

    Attributes:
        prompts: Of each object.
    """

    prompts: tuple[ObjectPrompt, ...]
    _frame: Frame | None = field(default=None, init=False, repr=False, compare=False)
    _source: Path = field(default=Path(), init=False, repr=False, compare=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """None."""
        return ()

    def check(self, video: FrameReader) -> None:
        """Check that the prompts lie in the frame, and read it.

        Raises:
            PromptError: If one of them does not.
            VideoError: If the video has no frame.
        """
        for prompt in self.prompts:
            prompt.fitted(video.info.height, video.info.width, "video")
        self._frame, self._source = video.peek(), video.info.source

    def find(self, engine: Engine[Any]) -> Annotation:
        """Segment the objects; see ``FirstFrame``.

        Raises:
            EmptyMaskError: If there is nothing where a prompt points.
        """
        assert self._frame is not None, "check comes first"
        fitted = [prompt.fitted(self._frame.height, self._frame.width, "video") for prompt in self.prompts]
        with explained_gpu_memory_errors(engine):
            found = masks_of_prompts(engine.encoder, engine.decoder, self._frame, fitted)
        label_map: LabelMap = found.label_map.cpu().numpy()
        self._refuse_missing(label_map)
        warnings = (*self._doubts(fitted, found.scores), *annotation_warnings(label_map, drawn=False))
        record = {
            "first_prompts": [
                {"object": number, **prompt.record(), "score": round(score, 4)}
                for number, (prompt, score) in enumerate(zip(fitted, found.scores, strict=True), 1)
            ]
        }
        return Annotation(label_map, warnings, record, made=True)

    def _refuse_missing(self, label_map: LabelMap) -> None:
        seen = set(np.unique(label_map).tolist())
        for number in range(1, len(self.prompts) + 1):
            if number not in seen:
                raise EmptyMaskError(
                    f"{self._source}: nothing is segmented for object {number} in the first frame; point at the middle"
                    " of the object, draw a box close around it, or pass --first-mask"
                )

    def _doubts(self, fitted: Sequence[ObjectPrompt], scores: Sequence[float]) -> tuple[str, ...]:
        cut = (
            f"the box of object {number} reaches out of the frame, and is cut"
            for number, (given, fit) in enumerate(zip(self.prompts, fitted, strict=True), 1)
            if given != fit
        )
        unsure = (
            f"the mask of object {number} is uncertain; look at prompts/ in the output, and add points or draw a box"
            for number, score in enumerate(scores, 1)
            if score < _DOUBTFUL_SCORE
        )
        return (*cut, *unsure)
