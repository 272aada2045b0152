"""Routes that begin long work, and end it: encoding, propagation and export. Events tell how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from persam_vos.errors import PromptError
from persam_vos.files import output_errors
from persam_vos.studio.bodies import ExportBody, PropagateBody
from persam_vos.studio.calls import Call
from persam_vos.studio.jobs import Job
from persam_vos.studio.offers import checked_exports, checked_options
from persam_vos.studio.parts import Studio
from persam_vos.studio.replies import Refusal

if TYPE_CHECKING:
    from persam_vos.video.propagation.propagation import Walked


def prepare(call: Call) -> Response:
    """Encode a frame soon."""
    call.studio.preparer.prepare(call.frame())
    return JSONResponse({}, 202)


def propagate(call: Call) -> Response:
    """Begin to propagate."""
    studio, said = call.studio, call.read(PropagateBody)
    part = _part(studio, said)
    if not studio.workspace.session.objects:
        raise PromptError("there is no object yet; click on one first")
    studio.jobs.start("propagate", lambda job: _propagated(studio, job, **part))
    return JSONResponse(studio.jobs.record() or {}, 202)


def cancel_propagation(call: Call) -> Response:
    """Let the propagation end at the next frame; what is done is kept."""
    call.studio.jobs.cancel("propagate")
    return JSONResponse({}, 202)


def export(call: Call) -> Response:
    """Begin an export, into the next folder of the session."""
    studio, said = call.studio, call.read(ExportBody)
    exports, options = checked_exports(said.exports), checked_options(said.options)
    if not studio.workspace.session.objects:
        raise PromptError("there is no object yet; click on one first")
    studio.jobs.start("export", lambda job: _exported(studio, job, exports, options))
    return JSONResponse(studio.jobs.record() or {}, 202)


def cancel_export(call: Call) -> Response:
    """Let the export end; nothing of it is left."""
    call.studio.jobs.cancel("export")
    return JSONResponse({}, 202)


def _part(studio: Studio, said: PropagateBody) -> dict[str, Any]:
    """Return which frames are propagated to, and in which direction."""
    own = studio.frames
    if said.what == "all":
        return {}
    if said.frame is None or said.frame not in own:
        raise Refusal(422, f"frame is {said.frame}; it must be one of the session's, {own[0]} to {own[-1]}")
    if said.what == "forward":
        return {"frames": range(said.frame, own.stop, own.step), "direction": "forward"}
    if said.what == "backward":
        return {"frames": range(own[0], said.frame + 1, own.step), "direction": "backward"}
    later = [frame for frame, _ in studio.workspace.session.edition.placed if frame > said.frame]
    return {"frames": range(said.frame, min(later, default=own[-1]) + 1, own.step)}


def _propagated(studio: Studio, job: Job, **part: Any) -> Mapping[str, Any]:
    walked_over: set[int] = set()
    session = studio.workspace.session
    said = session.edition

    def on_progress(walked: Walked) -> None:
        walked_over.add(walked.frame)
        job.done, job.expected = walked.done, walked.expected
        revision = studio.workspace.count_change()
        direction = "forward" if walked.direction > 0 else "backward"
        told = {**job.record(), "frame": walked.frame, "direction": direction, "revision": revision}
        studio.events.tell("progress", told)

    changed = session.propagate(on_progress, cancelled=job.is_cancelled, **part)
    studio.workspace.count_change()
    if job.is_cancelled() or session.edition is not said:
        # What was walked over before that counts as well.
        changed = sorted({*changed, *walked_over})
    return {"changed": stretches(changed, studio.frames.step), "cancelled": job.is_cancelled()}


def _exported(studio: Studio, job: Job, exports: list[str], options: Mapping[str, Any]) -> Mapping[str, Any]:
    def on_progress(done: int, expected: int | None) -> None:
        job.done, job.expected = done, expected or 0
        studio.events.tell("progress", job.record())

    folder = studio.project.new_export()
    with output_errors(folder.path):
        folder.begin()
    try:
        session = studio.workspace.session
        outcome = session.export(folder.partial, exports, on_progress, cancelled=job.is_cancelled, **options)
        if job.is_cancelled():
            return {"cancelled": True, "folder": None, "files": []}
        with output_errors(folder.path):
            folder.finish()
    finally:
        folder.discard()
    files = [str(Path(path).relative_to(folder.partial)) for path in outcome.written]
    return {"folder": str(folder.path), "files": files, "warnings": list(outcome.warnings)}


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
