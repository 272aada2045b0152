"""Boxes, points and masks of single objects, on any frame, as prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from persam_vos.errors import PromptError
from persam_vos.files import real_path
from persam_vos.media.masks.object_mask import read_object_mask
from persam_vos.media.masks.reading import AS_IT_IS, MaskReading
from persam_vos.media.stream import FrameReader, StreamInfo
from persam_vos.methods.prompt_view import FrameViews
from persam_vos.prompts import Prompt, VideoPrompts
from persam_vos.sam.engine import Engine
from persam_vos.video.prompting.keyframes import (
    FrameOf,
    Keyframe,
    Keyframes,
    Place,
    joined,
    mask_doubts,
    resolve_prompts,
)


@dataclass(slots=True)
class GivenPrompts:
    """What a person says of objects on frames; see ``PromptSource``.

    Attributes:
        prompts: Where the objects are.
        reading: How masks are read.
    """

    prompts: VideoPrompts
    reading: MaskReading = AS_IT_IS
    _fitted: tuple[Prompt, ...] = field(default=(), init=False, repr=False, compare=False)
    _drawn: dict[Place, Keyframe] = field(default_factory=dict, init=False, repr=False, compare=False)
    _doubts: list[str] = field(default_factory=list, init=False, repr=False, compare=False)
    _of_boxes: dict[Place, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The masks."""
        return tuple(each.says.mask for each in self.prompts.prompts if each.says.mask is not None)

    def check(self, video: FrameReader) -> tuple[Place, ...]:
        """Check that the prompts lie in the frame, and read the masks; see ``PromptSource``.

        Raises:
            PromptError: If a box or a point lies outside.
            MaskError: If a mask cannot be read or does not fit.
        """
        return self.fit(video.info, video.peek().index)

    def fit(self, info: StreamInfo, first: int) -> tuple[Place, ...]:
        """Check that the prompts lie in the frame, and read the masks; see ``check``.

        Args:
            info: Of the video.
            first: Index of the first frame that is tracked.
        """
        self._doubts.clear()
        self._drawn.clear()
        self._of_boxes.clear()
        meant = self.prompts.video
        if meant is not None and real_path(meant) != real_path(info.source):
            self._doubts.append(f"the prompts are of {meant}, and are used with {info.source}")
        fitted = []
        for each in self.prompts.beginning_at(first).prompts:
            prompt, self._of_boxes[_place(each)] = fitted_prompt(each, info)
            fitted.append(prompt)
            if prompt.says.mask is not None:
                self._drawn[_place(prompt)] = self._read(prompt, prompt.says.mask, info)
            elif prompt.says.absent:
                self._drawn[_place(prompt)] = Keyframe(*_place(prompt), np.zeros((info.height, info.width), np.bool_))
        self._fitted = tuple(fitted)
        return tuple(map(_place, fitted))

    def parts(self, views_of: Callable[[int], FrameViews], load: Callable[[], Engine[Any]]) -> list[Keyframes]:
        """Return the keyframes of the prompts that were checked; see ``resolve_prompts``."""
        found = resolve_prompts(self._fitted, views_of, load, self._drawn)
        return [replace(each, keyframes=tuple(map(self._with_doubts, each.keyframes))) for each in found]

    def find(self, engine: Engine[Any], frame_of: FrameOf) -> Keyframes:
        """Segment the objects of boxes and points; see ``PromptSource``.

        Raises:
            EmptyMaskError: If there is nothing where a prompt points.
        """
        found = joined(self.parts(lambda index: FrameViews(engine.encoder, frame_of(index)), lambda: engine))
        masks = [
            {"frame": each.frame, "object": each.object_id, "mask": str(each.says.mask)}
            for each in self._fitted
            if each.says.mask is not None
        ]
        record = {**found.record, **({"object_masks": masks} if masks else {})}
        return replace(found, warnings=(*self._doubts, *found.warnings), record=record)

    def _with_doubts(self, keyframe: Keyframe) -> Keyframe:
        return replace(keyframe, doubts=(*self._of_boxes[keyframe.place], *keyframe.doubts))

    def _read(self, prompt: Prompt, path: Path, info: StreamInfo) -> Keyframe:
        doubts: list[str] = []
        mask = read_object_mask(
            path,
            prompt.object_id,
            height=info.height,
            width=info.width,
            reading=self.reading,
            frame=info.name_of(prompt.frame or 0),
            doubts=doubts,
        )
        if not prompt.says.decoded:
            doubts += mask_doubts(_place(prompt), mask, drawn=True)
        return Keyframe(*_place(prompt), mask, tuple(doubts))


def fitted_prompt(prompt: Prompt, info: StreamInfo) -> tuple[Prompt, tuple[str, ...]]:
    """Cut the box of a prompt to its frame; see ``ObjectPrompt.fitted``.

    Returns:
        The prompt, and a warning if a box was cut.

    Raises:
        PromptError: If a point, or all of the box, lies outside; the message names object and frame.
    """
    try:
        says = prompt.says.fitted(info.height, info.width, "video")
    except PromptError as error:
        raise PromptError(f"object {prompt.object_id} on frame {prompt.frame}: {error}") from error
    if says == prompt.says:
        return prompt, ()
    doubt = f"the box of object {prompt.object_id} in frame {prompt.frame} reaches out of the frame, and is cut"
    return replace(prompt, says=says), (doubt,)


def _place(prompt: Prompt) -> Place:
    assert prompt.frame is not None, "beginning_at names every frame"
    return prompt.frame, prompt.object_id
