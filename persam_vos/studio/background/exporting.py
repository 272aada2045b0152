"""Exports are written into the folder of the session, and every page is told how far that is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from persam_vos.files import output_errors
from persam_vos.studio.background.events import Events
from persam_vos.studio.background.jobs import Job
from persam_vos.studio.background.propagating import propagated
from persam_vos.studio.session.workspace import Workspace


def exported(
    workspace: Workspace, events: Events, job: Job, exports: list[str], options: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Propagate what is not there yet, and write exports into the next folder of the session.

    The folder gets its name when it is whole.

    Args:
        workspace: Of the session.
        events: Hear ``progress``.
        job: As which it runs.
        exports: What is written.
        options: How.

    Returns:
        What ``done`` says: the folder, the files in it, and warnings; or that it was cancelled.

    Raises:
        PersamVosError: If it cannot be written; nothing of it is left then.
    """

    def on_progress(done: int, expected: int | None) -> None:
        job.advance(done, expected or 0)
        events.tell("progress", job.record())

    session = workspace.session
    if not session.is_propagated:
        propagated(workspace, events, job)
    folder = workspace.project.new_export()
    with output_errors(folder.path):
        folder.begin()
    try:
        outcome = session.export(folder.partial, exports, on_progress, cancelled=job.is_cancelled, **options)
        if job.is_cancelled():
            return {"cancelled": True, "folder": None, "files": []}
        with output_errors(folder.path):
            folder.finish()
    finally:
        folder.discard()
        # What was said in the meantime is propagated by the session itself.
        workspace.count_change()
    files = [str(Path(path).relative_to(folder.partial)) for path in outcome.written]
    return {"folder": str(folder.path), "files": files, "warnings": list(outcome.warnings)}
