"""What a person says of a session's objects becomes masks on its frames; each word makes a new edition."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from persam_vos.errors import FrameIndexError, PromptError
from persam_vos.files import PathLike
from persam_vos.masks import Mask, as_label_map
from persam_vos.media.masks.doubts import void_warnings
from persam_vos.media.masks.object_mask import object_of, read_object_mask
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.methods.prompt_view import FrameViews
from persam_vos.prompts import NamedObject, ObjectPrompt, Prompt, VideoPrompts
from persam_vos.prompts.points import as_box, as_point
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.given_prompts import GivenPrompts, fitted_prompt
from persam_vos.video.prompting.keyframes import Keyframe, mask_doubts, resolve_prompts
from persam_vos.video.session.edition import Edition


class Marks:
    """Turns prompts into keyframes of a video.

    Args:
        video: The video.
        frames: Indices of the frames on which something may be said.
        model: Returns the model, once it is needed.
        views_of: Returns what the encoder sees of a frame.
    """

    def __init__(
        self,
        video: RandomAccessVideo,
        frames: range,
        model: Callable[[], Engine[Settings]],
        views_of: Callable[[int], FrameViews],
    ) -> None:
        self._video, self._frames, self._model, self._views_of = video, frames, model, views_of

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
        frame = self.check(frame)
        if mask is None:
            found, says = self.found(frame, object_id, box, points, known)
            if says is None:
                former = edition.keyframes.get(found.place)
                clicks = (*(former.clicks if former else ()), *map(as_point, points))
                found = replace(found, clicks=clicks)
            return edition.with_keyframe(found, says)
        if box is not None or len(points):
            raise PromptError("give a mask, or a box and points; points alone mend the mask that is there")
        return edition.with_keyframe(self._drawn(mask, frame, object_id))

    def found(
        self,
        frame: int,
        object_id: int,
        box: Sequence[float] | None,
        points: Sequence[Sequence[float]],
        known: Mask | None = None,
    ) -> tuple[Keyframe, ObjectPrompt | None]:
        """Return the mask that a box and points give, and what it stands for; see ``given``."""
        frame = self.check(frame)
        mended = known if box is None and len(points) else None
        says = ObjectPrompt(
            None if box is None else as_box(box),
            tuple(as_point(each) for each in points),
            # A mask that is mended stands for itself, whatever it may be saved as.
            None if mended is None else Path(),
        )
        prompt, doubts = fitted_prompt(Prompt(frame, object_id, says), self._video.info)
        drawn = {} if mended is None else {(frame, object_id): Keyframe(frame, object_id, mended)}
        (found,) = resolve_prompts([prompt], self._views_of, self._model, drawn)[0].keyframes
        # Points that mend a mask stand for nothing without it.
        return replace(found, doubts=(*doubts, *found.doubts)), prompt.says if mended is None else None

    def absent(self, edition: Edition, frame: int, object_id: int) -> Edition:
        """Return an edition in which an object is said to be absent from a frame."""
        return edition.with_keyframe(Keyframe(self.check(frame), object_id, np.zeros(self.size, np.bool_)))

    def all_of(self, asked: VideoPrompts) -> Edition:
        """Return what a prompts.json says; boxes and points become masks.

        Raises:
            PersamVosError: If a prompt does not fit the video.
        """
        for each in asked.prompts:
            if each.frame is not None:
                self.check(each.frame)
        source = GivenPrompts(asked)
        source.fit(self._video.info, self._frames[0])
        parts = source.parts(self._views_of, self._model)
        names = {each.id: each for each in asked.objects}
        return Edition(
            tuple(names.get(number, NamedObject(number)) for number in asked.ids),
            {each.place: each for part in parts for each in part.keyframes},
            # Points that mend a mask stand for nothing without it.
            {place: says for part in parts for place, says in part.said.items() if says.mask is None},
        )

    def check(self, frame: int) -> int:
        """Return the index of a frame of which something may be said.

        Raises:
            FrameIndexError: If it is none.
        """
        first, last, step = self._frames[0], self._frames[-1], self._frames.step
        every = "" if step == 1 else f", every {step} frames"
        allowed = f"the session's, which are {first} to {last}{every}"
        try:
            index = operator.index(frame)
        except TypeError:
            raise FrameIndexError(f"frame is {frame!r}; it must be the index of one of {allowed}") from None
        if isinstance(frame, bool) or index not in self._frames:
            raise FrameIndexError(f"frame {frame} is not one of {allowed}")
        return index

    def _drawn(self, mask: PathLike | npt.ArrayLike, frame: int, object_id: int) -> Keyframe:
        """Return the mask that a person drew."""
        height, width = self.size
        doubts: list[str] = []
        if isinstance(mask, (str, os.PathLike)):
            found = read_object_mask(mask, object_id, height=height, width=width, doubts=doubts)
        else:
            found = object_of(as_label_map(mask, height, width, of="video"), object_id)
            doubts += void_warnings(np.asarray(mask))
        return Keyframe(frame, object_id, found, (*doubts, *mask_doubts((frame, object_id), found, drawn=True)))
