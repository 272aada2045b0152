"""A video in which a person marks objects, bit by bit: what was said so far, and the masks that it gives at once."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy.typing as npt

from persam_vos.files import PathLike
from persam_vos.masks import Mask, Rgb
from persam_vos.media.stream import StreamInfo
from persam_vos.prompts import named_object
from persam_vos.video.session.edition import Edition, History
from persam_vos.video.session.marks import Marks
from persam_vos.video.session.session_object import SessionObject
from persam_vos.video.session.session_parts import SessionParts

# A change has a mask of its own, a byte a pixel.
_BYTES_OF_CHANGES = 200_000_000
_FEWEST_CHANGES = 20


class MarkedVideo(ABC):
    """A video and its objects, as far as a person has said what they are; threads may share it.

    Attributes:
        frames: Indices of the frames that may be marked.
        marks: Turns what is said into masks.
    """

    def __init__(self, parts: SessionParts) -> None:
        self._parts, self._history = parts, History(Edition(), keeps=_changes_kept(parts.video.info))
        self._changing = threading.RLock()
        self.frames = parts.frames
        self.marks = Marks(parts.video, parts.frames, parts.engine, parts.views_of)

    @property
    def edition(self) -> Edition:
        """What a person has said so far."""
        return self._history.now

    @property
    def info(self) -> StreamInfo:
        """Facts about the video."""
        return self._parts.video.info

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """The objects, in rising order of id."""
        return tuple(SessionObject(self, each.id) for each in self.edition.objects)

    def image(self, frame: int) -> Rgb:
        """Return the picture of a frame: uint8, H x W x 3, RGB."""
        return self._parts.video.frame(self.marks.check(frame)).rgb

    def add(
        self,
        frame: int,
        *,
        mask: PathLike | npt.ArrayLike | None = None,
        box: Sequence[float] | None = None,
        points: Sequence[Sequence[float]] = (),
        id: int | None = None,
        name: str = "",
        color: str = "",
    ) -> SessionObject:
        """Say where a new object is on a frame; it may be any frame.

        Args:
            frame: Index of the frame.
            mask: A path, or bool, H x W.
            box: (x0, y0, x1, y1) in pixels, with inclusive maxima.
            points: (x, y) on the object, or (x, y, 0) beside it.
            id: Its value in label maps, 1..255; None for the next one that no object of this session has had.
            name: What to call it.
            color: A CSS name, or a code such as ``#e6194b``; "" for that of the palette.

        Raises:
            PromptError, MaskError: If the id is taken, the prompt or mask is no such thing, lies outside the frame,
                finds nothing or covers all of another object.
            FrameIndexError: If the frame is not one of the session's.
        """
        self._parts.check_open()
        with self._changing:
            number = self.edition.free_id(id, self._history.used)
            new = named_object(number, name, color)

            def added(edition: Edition) -> Edition:
                return self.marks.given(edition.with_object(new), frame, number, mask=mask, box=box, points=points)

            # Before anybody can propagate it.
            self._parts.anew |= {number} & {*self._history.used, *self._parts.store.object_ids()}
            self.change(added)
        return SessionObject(self, number)

    def remove(self, object_id: int) -> None:
        """Forget an object, and all that was said of it.

        Raises:
            PromptError: If there is no such object.
        """
        self.change(lambda edition: edition.without_object(object_id))

    def change(self, make: Callable[[Edition], Edition]) -> Edition:
        """Go on with what a function makes of what was said so far; return it. Changes come one after another."""
        with self._changing:
            self._parts.check_open()
            edition = make(self.edition)
            self._history.change(edition)
            return edition

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to make again."""
        return self._history.can_redo

    def undo(self) -> bool:
        """Take back the last change of prompts; return False if there is none. ``propagate`` then makes its masks."""
        with self._changing:
            return self._history.undo()

    def redo(self) -> bool:
        """Make the last change again that was taken back; return False if there is none."""
        with self._changing:
            return self._history.redo()

    def prepare(self, frame: int) -> None:
        """Encode a frame, so that points and boxes on it answer at once; what is encoded is kept, see ``cache``.

        Raises:
            FrameIndexError: If the frame is not one of the session's.
            VideoError: If it cannot be decoded.
        """
        _ = self._parts.views_of(self.marks.check(frame)).whole

    def is_prepared(self, frame: int) -> bool:
        """Tell whether a frame is encoded."""
        return self._parts.is_prepared(self.marks.check(frame))

    def preview(
        self,
        frame: int,
        object_id: int | None = None,
        *,
        box: Sequence[float] | None = None,
        points: Sequence[Sequence[float]] = (),
    ) -> Mask:
        """Return the mask that one more box, or more points, would give; nothing is changed.

        Args:
            frame: Index of the frame.
            object_id: The object; None for a new one.
            box: See ``add``.
            points: See ``add``.

        Returns:
            bool, H x W.

        Raises:
            PromptError, MaskError, FrameIndexError: See ``add``.
        """
        index = self.marks.check(frame)
        if object_id is None:
            return self.marks.found(index, 1, box, points)[0].mask
        self.edition.named(object_id)
        if box is not None:
            return self.marks.found(index, object_id, box, points)[0].mask
        says = self.edition.says(index, object_id)
        if says is not None:
            return self.marks.found(index, object_id, says.box, [*says.points, *points])[0].mask
        return self.marks.found(index, object_id, None, points, self.shown(index, object_id))[0].mask

    @abstractmethod
    def shown(self, frame: int, object_id: int) -> Mask | None:
        """Return the mask of an object on a frame, bool H x W; None where it is absent or not known yet."""


def _changes_kept(info: StreamInfo) -> int:
    """Return how many changes of a video's prompts can be taken back: 96 at 1080p."""
    return max(_BYTES_OF_CHANGES // (info.height * info.width), _FEWEST_CHANGES)
