"""One object of a session: its keyframes, and what a person says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy.typing as npt

from persam_vos.files import PathLike
from persam_vos.masks import Mask

if TYPE_CHECKING:
    from persam_vos.video.session.session import Session


class SessionObject:
    """One object of a session.

    Attributes:
        id: Its value in label maps, 1..255.
    """

    def __init__(self, session: Session, object_id: int) -> None:
        self._session, self.id = session, object_id

    def __repr__(self) -> str:
        return f"SessionObject(id={self.id}, name={self.name!r}, keyframes={list(self.keyframes)})"

    @property
    def name(self) -> str:
        """What people call it."""
        return self._session.edition.named(self.id).name

    @property
    def color(self) -> str:
        """Its colour, ``#rrggbb``; "" for that of the palette."""
        return self._session.edition.named(self.id).color

    @property
    def keyframes(self) -> dict[int, Mask]:
        """The masks that a person has given, bool, H x W, by frame; an empty one says that the object is absent.

        Pixels that another object was given there later are that one's, as long as it has them.
        """
        return {frame: each.mask for frame, each in self._session.edition.of(self.id).items()}

    def correct(
        self,
        frame: int,
        *,
        mask: PathLike | npt.ArrayLike | None = None,
        box: Sequence[float] | None = None,
        points: Sequence[Sequence[float]] = (),
    ) -> Mask:
        """Say where the object is on a frame; points alone mend the mask that is there.

        Args:
            frame: Index of the frame.
            mask: A path, or bool, H x W.
            box: (x0, y0, x1, y1) in pixels, with inclusive maxima.
            points: (x, y) on the object, or (x, y, 0) beside it.

        Returns:
            bool, H x W: the mask on that frame, which propagation keeps to the pixel.

        Raises:
            PromptError: If the prompt is no such thing, lies outside the frame, or covers all of another object.
            MaskError: If the mask is no such thing, or nothing is found.
            FrameIndexError: If the frame is not one of the session's.
        """
        session = self._session
        session.edition.named(self.id)
        shown = session[frame][self.id].mask if mask is None and box is None and len(points) else None
        known = shown if shown is not None and shown.any() else None
        said = session.marks.given(session.edition, frame, self.id, mask=mask, box=box, points=points, known=known)
        session.change(said)
        return said.placed[session.marks.check(frame), self.id].mask

    def absent(self, frame: int) -> None:
        """Say that the object is not in a frame."""
        self._session.edition.named(self.id)
        self._session.change(self._session.marks.absent(self._session.edition, frame, self.id))

    def forget(self, frame: int) -> None:
        """Take back what was said of a frame.

        Raises:
            PromptError: If nothing was, or it is the only keyframe that shows the object.
        """
        self._session.change(self._session.edition.without_keyframe(self.id, frame))
