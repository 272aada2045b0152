"""The session behind the page: what is said of it is saved, numbered, and told to every page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from persam_vos.errors import OutputError, PromptError
from persam_vos.masks import Mask
from persam_vos.prompts import MAX_ID, NamedObject, named_object
from persam_vos.studio.refusals import Refusal
from persam_vos.studio.session.project import Project

if TYPE_CHECKING:
    from persam_vos.video.session.session import Session
    from persam_vos.video.session.session_object import SessionObject

_Made = TypeVar("_Made")


class Workspace:
    """A session that several pages and scripts look at and change.

    It is opened in the background, since PyTorch takes seconds to import; who needs it earlier waits.

    Args:
        project: Where it is saved.
        open_session: Opens it.
        on_change: Called after every change of prompts or masks.

    Attributes:
        revision: Rises with every change of prompts or masks.
        unsaved: Why the latest changes are not on the disk; "" if they are.
    """

    def __init__(self, project: Project, open_session: Callable[[], Session], on_change: Callable[[], None]) -> None:
        self.project, self._on_change = project, on_change
        self.revision = 0
        self._opened: Future[Session] = Future()
        self._acting = threading.RLock()
        self._counting = threading.Lock()
        self._listed = dict(project.objects)
        self._last_id = project.last_id
        self.unsaved = ""
        self._thread = threading.Thread(target=self._open, args=(open_session,), name="open", daemon=True)

    def begin(self) -> None:
        """Open the session, in the background."""
        self._thread.start()

    @property
    def session(self) -> Session:
        """The session, once it is open.

        Raises:
            PersamVosError: If it could not be opened.
        """
        return self._opened.result()

    @property
    def is_open(self) -> bool:
        """Whether nobody has to wait for the session."""
        return self._opened.done() and self._opened.exception() is None

    def when_open(self, then: Callable[[BaseException | None], None]) -> None:
        """Call a function once the session is open, or with the error if it cannot be opened."""
        self._opened.add_done_callback(lambda opened: then(opened.exception()))

    @property
    def objects(self) -> tuple[NamedObject, ...]:
        """All objects, also those of which nothing is said yet, in rising order of id."""
        said = {each.id: each for each in self.session.edition.objects}
        return tuple(each for _, each in sorted({**self._listed, **said}.items()))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is doubtful, one line each."""
        return (*((self.unsaved,) if self.unsaved else ()), *self.session.warnings)

    def count_change(self) -> int:
        """Count a change of masks or prompts; return the new revision."""
        with self._counting:
            self.revision += 1
            return self.revision

    def add(self, name: str, color: str) -> int:
        """List a new object, of which nothing is said yet; return its id."""

        def change() -> int:
            taken = {each.id for each in self.objects}
            free = self._last_id + 1 if self._last_id < MAX_ID else _lowest_free(taken)
            self._list(named_object(free, name, color))
            return free

        return self._act(change)

    def rename(self, object_id: int, name: str | None, color: str | None) -> None:
        """Give an object another name or colour; None leaves it as it is."""

        def change() -> None:
            now = self._named(object_id)
            new = named_object(object_id, now.name if name is None else name, now.color if color is None else color)
            if (said := self._said(object_id)) is not None:
                said.rename(new.name, new.color)
            self._list(new)

        self._act(change)

    def remove(self, object_id: int) -> None:
        """Forget an object, and all that was said of it."""

        def change() -> None:
            self._named(object_id)
            if self._said(object_id) is not None:
                self.session.remove(object_id)
            self._listed.pop(object_id, None)

        self._act(change)

    def click(self, object_id: int, frame: int, x: float, y: float, *, positive: bool) -> None:
        """Say that a point is on an object, or beside it; it mends the mask that is there."""

        def change() -> None:
            named = self._named(object_id)
            said = self._said(object_id)
            if said is not None:
                said.click(frame, x, y, positive)
            elif positive:
                self._begin(named, frame, points=[(x, y, 1)])
            else:
                raise PromptError("the object has no mask yet; click on it first, then beside it")

        self._act(change)

    def say(
        self,
        object_id: int,
        frame: int,
        *,
        mask: Mask | None = None,
        box: Sequence[float] | None = None,
        points: Sequence[Sequence[float]] = (),
    ) -> None:
        """Say where an object is on a frame."""

        def change() -> None:
            named = self._named(object_id)
            says: dict[str, Any] = {"mask": mask, "box": box, "points": points}
            if (said := self._said(object_id)) is not None:
                said.correct(frame, **says)
            else:
                self._begin(named, frame, **says)

        self._act(change)

    def absent(self, object_id: int, frame: int) -> None:
        """Say that an object is not in a frame."""

        def change() -> None:
            self._named(object_id)
            if (said := self._said(object_id)) is None:
                raise PromptError("nothing is said of the object yet; say on one frame where it is")
            said.absent(frame)

        self._act(change)

    def forget(self, object_id: int, frame: int) -> None:
        """Take back what was said of an object on a frame; with its only mask, all of it."""

        def change() -> None:
            self._named(object_id)
            if (said := self._said(object_id)) is None:
                raise Refusal(404, f"nothing is said of object {object_id} on frame {frame}")
            own = said.keyframes
            if frame not in own:
                raise Refusal(404, f"nothing is said of object {object_id} on frame {frame}")
            if any(mask.any() for index, mask in own.items() if index != frame):
                said.forget(frame)
            else:
                self.session.remove(object_id)

        self._act(change)

    def undo(self) -> None:
        """Take back the last change of what was said."""
        self._act(lambda: self._moved(self.session.undo(), "take back"))

    def redo(self) -> None:
        """Make the last change again that was taken back."""
        self._act(lambda: self._moved(self.session.redo(), "make again"))

    def close(self) -> None:
        """Save what could not be saved before, and let go of the session and its folder."""
        self._thread.join()
        with self._acting:
            if self.is_open:
                with suppress(OutputError):
                    if self.unsaved:
                        self._save()
                self.session.close()
            self.project.close()

    def _act(self, change: Callable[[], _Made]) -> _Made:
        """Make a change, and save it before anybody is told that it was made.

        Raises:
            PersamVosError: If it cannot be made; nothing has changed then.
            OutputError: If it was made, and could not be saved.
        """
        self.session  # noqa: B018 - wait for it outside of the lock
        with self._acting:
            made = change()
            self.count_change()
            try:
                self._save()
            except OutputError as error:
                self.unsaved = f"the latest changes are not saved: {error}"
                raise OutputError(f"{error}; the change is made, and is saved with the next one that can be") from error
            finally:
                self._on_change()
            return made

    def _save(self) -> None:
        self.project.keep(self.session)
        self.project.list_objects(self.objects, self._last_id)
        self.unsaved = ""

    def _open(self, open_session: Callable[[], Session]) -> None:
        try:
            session = open_session()
        except BaseException as error:
            self._opened.set_exception(error)
            return
        ids = [each.id for each in session.objects]
        self._last_id = max([self._last_id, *ids, *self._listed])
        self._opened.set_result(session)
        self._on_change()

    def _list(self, named: NamedObject) -> None:
        self._listed[named.id] = named
        self._last_id = max(self._last_id, named.id)

    def _named(self, object_id: int) -> NamedObject:
        for each in self.objects:
            if each.id == object_id:
                return each
        raise Refusal(404, f"there is no object {object_id}; perhaps it was removed on another page")

    def _said(self, object_id: int) -> SessionObject | None:
        return next((each for each in self.session.objects if each.id == object_id), None)

    def _begin(self, named: NamedObject, frame: int, **says: Any) -> None:
        self.session.add(frame, **says, id=named.id, name=named.name, color=named.color)
        self._list(named)

    @staticmethod
    def _moved(moved: bool, what: str) -> None:
        if not moved:
            raise Refusal(409, f"there is nothing to {what}")


def _lowest_free(taken: Collection[int]) -> int:
    """Return the lowest id that no object has.

    Raises:
        PromptError: If all are taken.
    """
    for number in range(1, MAX_ID + 1):
        if number not in taken:
            return number
    raise PromptError(f"there are {MAX_ID} objects already, which is the most; remove one")
