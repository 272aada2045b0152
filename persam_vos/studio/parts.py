"""The parts of a studio, and how they are told of each other's changes."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from persam_vos.errors import PersamVosError
from persam_vos.exports.styles import ObjectStyles
from persam_vos.studio.background.events import Events, Listener
from persam_vos.studio.background.jobs import Jobs
from persam_vos.studio.background.preparing import Preparer
from persam_vos.studio.footage import Footage
from persam_vos.studio.session.project import Project
from persam_vos.studio.session.workspace import Workspace

if TYPE_CHECKING:
    from persam_vos.prompts import ObjectPrompt
    from persam_vos.video.prompting.keyframes import Keyframe
    from persam_vos.video.session.session import Session


class Studio:
    """A video, its session, and what is done with it.

    Args:
        footage: The video.
        project: The folder of the session, which has begun.
        open_session: Opens the session; called in a thread.

    Attributes:
        run: Random, and another one for each studio: a page that knows another one is of a studio that has ended.
    """

    def __init__(self, footage: Footage, project: Project, open_session: Callable[[], Session]) -> None:
        assert project.frames is not None
        self.footage, self.project, self.frames = footage, project, project.frames
        self.run = secrets.token_hex(8)
        self._telling = threading.RLock()
        self._serial = 0
        self.events = Events()
        self.jobs = Jobs(self.events, self._tell)
        self.workspace = Workspace(project, open_session, self._tell)
        self.preparer = Preparer(lambda: self.workspace.session, self.events)
        # Only now: the session may be open at once, and all are told.
        self.workspace.begin()

    def state(self) -> dict[str, Any]:
        """Return all that may change, as JSON, but pixels and scores; its serial is higher than that of any before.

        Raises:
            PersamVosError: If the session could not be opened.
        """
        self.workspace.session  # noqa: B018 - wait for it outside of the lock
        with self._telling:
            self._serial += 1
            return {"run": self.run, "serial": self._serial, **self._state()}

    def tell_first(self, listener: Listener) -> None:
        """Tell a new listener the state; if the session is not open yet, it hears of it when it is."""
        with self._telling:
            if self.workspace.is_open:
                listener.tell("state", self.state())

    def _state(self) -> dict[str, Any]:
        revision, session = self.workspace.revision, self.workspace.session
        objects, edition = self.workspace.objects, session.edition
        colours = ObjectStyles(objects).overlay
        keyframes: dict[int, list[dict[str, Any]]] = {each.id: [] for each in objects}
        for (frame, object_id), keyframe in edition.placed.items():
            said = _said(edition.says(frame, object_id), keyframe)
            keyframes.setdefault(object_id, []).append({"frame": frame, **said})
        return {
            "revision": revision,
            "objects": [
                {
                    "id": each.id,
                    "name": each.name,
                    "color": f"#{bytes(colours[each.id]).hex()}",
                    "keyframes": keyframes[each.id],
                }
                for each in objects
            ],
            "can_undo": session.can_undo,
            "can_redo": session.can_redo,
            "propagated": session.is_propagated,
            "job": self.jobs.record(),
            "warnings": list(self.workspace.warnings),
            "cache": {"bytes": session.cache_bytes, "limit": session.cache_limit},
            "prepared": self.preparer.prepared(),
        }

    def close(self, on_wait: Callable[[str], None] = lambda _: None) -> None:
        """End all work, save what is not saved yet, and let go of everything; each step though another one fails.

        Frames in work are waited for: nothing is closed under them. A KeyboardInterrupt ends the wait, and all at once.

        Args:
            on_wait: Told what is waited for, if that lasts.
        """
        failed: list[Exception] = []
        for step in (
            self.events.end,
            lambda: self.jobs.end(on_wait),
            lambda: self.preparer.end(on_wait),
            self.workspace.close,
            self.footage.close,
        ):
            try:
                step()
            except Exception as error:  # the others let go of the folder and the video
                failed.append(error)
        if failed:
            raise failed[0]

    def _tell(self) -> None:
        # States are told in the order in which they are made.
        with self._telling:
            if self.workspace.is_open:
                # What was done is done, whether it can be told or not.
                with suppress(PersamVosError):
                    self.events.tell("state", self.state())


def _said(says: ObjectPrompt | None, keyframe: Keyframe) -> dict[str, Any]:
    """Return what a keyframe was made of, as JSON: also the points that have mended a mask."""
    points = keyframe.clicks if says is None else says.points
    box = None if says is None or says.box is None else list(says.box)
    kind = "absent" if keyframe.absent else "mask" if says is None else "points" if points else "box"
    return {"kind": kind, "points": [[x, y, int(positive)] for x, y, positive in points], "box": box}
