"""One object of a session: its keyframes, and what a person says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy.typing as npt

from persam_vos.files import PathLike
from persam_vos.masks import Mask
from persam_vos.prompts import named_object

if TYPE_CHECKING:
    from persam_vos.video.session.edition import Edition
    from persam_vos.video.session.marked import MarkedVideo


class SessionObject:
    """One object of a session.

    Attributes:
        id: Its value in label maps, 1..255.
    """

    def __init__(self, session: MarkedVideo, object_id: int) -> None:
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

        def corrected(edition: Edition) -> Edition:
            edition.named(self.id)
            mends = mask is None and box is None and len(points)
            known = session.shown(frame, self.id) if mends else None
            return session.marks.given(edition, frame, self.id, mask=mask, box=box, points=points, known=known)

        return session.change(corrected).placed[session.marks.check(frame), self.id].mask

    def click(self, frame: int, x: float, y: float, positive: bool = True) -> Mask:
        """Say that a pixel belongs to the object or not.

        Where the object has a box or clicks on that frame, this is one more of them; else it mends the mask that is
        there.

        Args:
            frame: Index of the frame.
            x: In pixels.
            y: In pixels.
            positive: Whether the pixel belongs to the object.

        Returns:
            bool, H x W: the mask on that frame, which propagation keeps to the pixel.

        Raises:
            PromptError, MaskError, FrameIndexError: See ``correct``.
        """
        session, index = self._session, self._session.marks.check(frame)
        point = (x, y, int(positive))

        def clicked(edition: Edition) -> Edition:
            edition.named(self.id)
            if (says := edition.says(index, self.id)) is not None:
                return session.marks.given(edition, index, self.id, box=says.box, points=[*says.points, point])
            return session.marks.given(edition, index, self.id, points=[point], known=session.shown(index, self.id))

        return session.change(clicked).placed[index, self.id].mask

    def rename(self, name: str | None = None, color: str | None = None) -> None:
        """Give the object another name or colour; None leaves what it has.

        Raises:
            PromptError: If the colour is none.
        """

        def renamed(edition: Edition) -> Edition:
            former = edition.named(self.id)
            given = former.name if name is None else name, former.color if color is None else color
            return edition.with_object(named_object(self.id, *given))

        self._session.change(renamed)

    def absent(self, frame: int) -> None:
        """Say that the object is not in a frame."""

        def gone(edition: Edition) -> Edition:
            edition.named(self.id)
            return self._session.marks.absent(edition, frame, self.id)

        self._session.change(gone)

    def forget(self, frame: int) -> None:
        """Take back what was said of a frame.

        Raises:
            PromptError: If nothing was, or it is the only keyframe that shows the object.
        """
        self._session.change(lambda edition: edition.without_keyframe(self.id, frame))
