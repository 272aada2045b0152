"""What a person says of a session's objects becomes masks on its frames; each word makes a new edition."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from persam_vos.errors import FrameIndexError, MaskError, PromptError
from persam_vos.files import PathLike
from persam_vos.masks import Mask, as_label_map
from persam_vos.media.object_mask import read_object_mask
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.prompts import NamedObject, ObjectPrompt, VideoPrompts
from persam_vos.prompts.points import as_box, as_point
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.prompting.prompt_mask import mask_of_prompt
from persam_vos.video.session.edition import Edition


class Marks:
    """Turns prompts into keyframes of a video.

    Args:
        video: The video.
        frames: Indices of the frames on which something may be said.
        model: Returns the model, once it is needed.
    """

    def __init__(self, video: RandomAccessVideo, frames: range, model: Callable[[], Engine[Settings]]) -> None:
        self._video, self._frames, self._model = video, frames, model

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame, in pixels."""
        return self._video.info.height, self._video.info.width

    def given(
        self,
        edition: Edition,
        frame: int,
        object_id: int,
        *,
        mask: PathLike | npt.ArrayLike | None = None,
        box: Sequence[float] | None = None,
        points: Sequence[Sequence[float]] = (),
        known: Mask | None = None,
    ) -> Edition:
        """Return an edition with one more keyframe.

        Args:
            edition: The edition before.
            frame: Index of the frame.
            object_id: The object.
            mask: A path, or bool, H x W.
            box: (x0, y0, x1, y1) in pixels.
            points: (x, y) on the object, or (x, y, 0) beside it.
            known: bool, H x W: the mask that points mend where no box is given; None for none.

        Raises:
            PersamVosError: See ``Session.add``.
        """
        self.check(frame)
        if mask is not None and (box is not None or len(points)):
            raise PromptError("give a mask, or a box and points; points alone mend the mask that is there")
        if mask is not None:
            keyframe = Keyframe(frame, object_id, self._read(mask, object_id))
            if keyframe.absent:
                raise MaskError(f"the mask of object {object_id} is empty; say that it is absent instead")
            return edition.with_keyframe(keyframe)
        mended = known if box is None else None
        asked = None if box is None else as_box(box), [as_point(each) for each in points]
        found, says = mask_of_prompt(self._model(), self._video.frame(frame), *asked, mended)
        # Points that mend a mask stand for nothing without it.
        return edition.with_keyframe(Keyframe(frame, object_id, found), says if mended is None else None)

    def absent(self, edition: Edition, frame: int, object_id: int) -> Edition:
        """Return an edition in which an object is said to be absent from a frame."""
        self.check(frame)
        return edition.with_keyframe(Keyframe(frame, object_id, np.zeros(self.size, np.bool_)))

    def all_of(self, asked: VideoPrompts) -> Edition:
        """Return what a prompts.json says; boxes and points become masks.

        Raises:
            PersamVosError: If a prompt does not fit the video.
        """
        edition, names = Edition(), {each.id: each for each in asked.objects}
        # What shows an object comes first: it cannot be absent wherever it is mentioned so far.
        for each in sorted(asked.prompts, key=lambda each: each.says.absent):
            frame = self._frames[0] if each.frame is None else each.frame
            edition = edition.with_object(names.get(each.object_id, NamedObject(each.object_id)))
            edition = self._said(edition, frame, each.object_id, each.says)
        return edition

    def check(self, frame: int) -> None:
        """Raise ``FrameIndexError`` unless something may be said of a frame."""
        if frame not in self._frames:
            first, last, step = self._frames[0], self._frames[-1], self._frames.step
            every = "" if step == 1 else f", every {step} frames"
            raise FrameIndexError(f"frame {frame} is not one of the session's, which are {first} to {last}{every}")

    def _said(self, edition: Edition, frame: int, object_id: int, says: ObjectPrompt) -> Edition:
        if says.absent:
            return self.absent(edition, frame, object_id)
        if says.mask is not None and not says.points:
            return self.given(edition, frame, object_id, mask=says.mask)
        known = None if says.mask is None else self._read(says.mask, object_id)
        return self.given(edition, frame, object_id, box=says.box, points=says.points, known=known)

    def _read(self, mask: PathLike | npt.ArrayLike, object_id: int) -> Mask:
        height, width = self.size
        if isinstance(mask, (str, os.PathLike)):
            return read_object_mask(Path(mask), object_id, height=height, width=width)
        return as_label_map(mask, height, width, of="video") > 0
