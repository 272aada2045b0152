"""Boxes, points and masks of single objects, on any frame, as prompts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from persam_vos.errors import PromptError
from persam_vos.masks import Mask
from persam_vos.media.mask_files import annotation_warnings
from persam_vos.media.object_mask import read_object_mask
from persam_vos.media.stream import FrameReader
from persam_vos.prompts import Prompt, VideoPrompts
from persam_vos.sam.engine import Engine
from persam_vos.video.prompting.keyframes import FrameOf, Keyframes, Place, resolve_prompts
from persam_vos.video.prompting.label_maps import frame_name


@dataclass(slots=True)
class GivenPrompts:
    """What a person says of objects on frames; see ``PromptSource``.

    Attributes:
        prompts: Where the objects are.
        resize: Whether masks of another size are scaled.
        threshold: Brightness (0..254) above which a soft mask is the object; None for masks that are not soft.
    """

    prompts: VideoPrompts
    resize: bool = False
    threshold: int | None = None
    _fitted: tuple[Prompt, ...] = field(default=(), init=False, repr=False, compare=False)
    _masks: dict[Place, Mask] = field(default_factory=dict, init=False, repr=False, compare=False)
    _doubts: list[str] = field(default_factory=list, init=False, repr=False, compare=False)
    _size: tuple[int, int] = field(default=(0, 0), init=False, repr=False, compare=False)

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
        self._size = video.info.height, video.info.width
        self._doubts.clear()
        self._masks.clear()
        meant = self.prompts.video
        if meant is not None and meant.resolve() != video.info.source.resolve():
            self._doubts.append(f"the prompts are of {meant}, and are used with {video.info.source}")
        fitted = []
        for each in self.prompts.beginning_at(video.peek().index).prompts:
            fitted.append(self._fit(each))
            if each.says.mask is not None:
                self._masks[_place(each)] = self._read(each, each.says.mask)
        self._fitted = tuple(fitted)
        return tuple(map(_place, fitted))

    def find(self, engine: Engine[Any], frame_of: FrameOf) -> Keyframes:
        """Segment the objects of boxes and points; see ``PromptSource``.

        Raises:
            EmptyMaskError: If there is nothing where a prompt points.
        """
        found = resolve_prompts(self._fitted, frame_of, engine, size=self._size, masks=self._masks)
        warnings = [*self._doubts, *found.warnings]
        for each in found.keyframes:
            if not each.absent:
                label_map = each.mask.astype(np.uint8) * np.uint8(each.object_id)
                warnings += annotation_warnings(
                    label_map, drawn=each.place not in found.said, of=frame_name(each.frame)
                )
        masks = [
            {"frame": each.frame, "object": each.object_id, "mask": str(each.says.mask)}
            for each in self._fitted
            if each.says.mask is not None
        ]
        record = {**found.record, **({"object_masks": masks} if masks else {})}
        return replace(found, warnings=tuple(warnings), record=record)

    def _fit(self, prompt: Prompt) -> Prompt:
        try:
            says = prompt.says.fitted(*self._size, "video")
        except PromptError as error:
            raise PromptError(f"object {prompt.object_id} on frame {prompt.frame}: {error}") from error
        if says != prompt.says:
            self._doubts.append(
                f"the box of object {prompt.object_id} in frame {prompt.frame} reaches out of the frame, and is cut"
            )
        return replace(prompt, says=says)

    def _read(self, prompt: Prompt, path: Path) -> Mask:
        height, width = self._size
        return read_object_mask(
            path,
            prompt.object_id,
            height=height,
            width=width,
            resize=self.resize,
            threshold=self.threshold,
            doubts=self._doubts,
        )


def _place(prompt: Prompt) -> Place:
    assert prompt.frame is not None, "beginning_at names every frame"
    return prompt.frame, prompt.object_id
