"""Masks are carried to other frames, and every page is told how far that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from persam_vos.studio.background.events import Events
from persam_vos.studio.background.jobs import Job
from persam_vos.studio.session.workspace import Workspace

if TYPE_CHECKING:
    from persam_vos.video.propagation.walked import Walked


def propagated(workspace: Workspace, events: Events, job: Job, **part: Any) -> Mapping[str, Any]:
    """Propagate, and tell after each frame how far it is.

    Args:
        workspace: Of the session.
        events: Hear ``progress``.
        job: As which it runs.
        **part: See ``Session.propagate``.

    Returns:
        What ``done`` says: the stretches that may have changed, and whether it was cancelled.
    """
    walked_over: set[int] = set()
    session = workspace.session
    said = session.edition

    def on_progress(walked: Walked) -> None:
        walked_over.add(walked.frame)
        job.advance(walked.done, walked.expected)
        revision = workspace.count_change()
        direction = "forward" if walked.direction > 0 else "backward"
        where = {"frame": walked.frame, "frames": [walked.frame] * 2, "direction": direction, "revision": revision}
        events.tell("progress", {**job.record(), **where})

    try:
        changed = session.propagate(on_progress, cancelled=job.is_cancelled, **part)
    finally:
        # Masks that no longer hold are gone even if it has failed.
        workspace.count_change()
    if job.is_cancelled() or session.edition is not said:
        # What was walked over before that counts as well.
        changed = sorted({*changed, *walked_over})
    return {"changed": stretches(changed, session.frames.step), "cancelled": job.is_cancelled()}


def stretches(frames: list[int], step: int) -> list[list[int]]:
    """Return rising indices as first and last of each stretch without a gap.

    >>> stretches([0, 2, 4, 8], 2)
    [[0, 4], [8, 8]]
    """
    found: list[list[int]] = []
    for frame in frames:
        if found and frame == found[-1][1] + step:
            found[-1][1] = frame
        else:
            found.append([frame, frame])
    return found
