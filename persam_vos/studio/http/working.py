"""Routes that begin long work, and end it: encoding, propagation and export. Events tell how it goes."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from persam_vos.errors import PromptError
from persam_vos.studio.background.exporting import exported
from persam_vos.studio.background.propagating import propagated
from persam_vos.studio.http.bodies import ExportBody, PropagateBody
from persam_vos.studio.http.calls import Call
from persam_vos.studio.http.offers import checked_exports, checked_options
from persam_vos.studio.http.replies import json_of
from persam_vos.studio.parts import Studio
from persam_vos.studio.refusals import Refusal


def prepare(call: Call) -> Response:
    """Encode a frame soon."""
    call.studio.preparer.prepare(call.frame())
    return json_of({}, 202)


def propagate(call: Call) -> Response:
    """Begin to propagate."""
    studio, said = call.studio, call.read(PropagateBody)
    part = _part(studio, said)
    if not studio.workspace.session.objects:
        raise PromptError("there is no object yet; click on one first")
    studio.jobs.start("propagate", lambda job: propagated(studio.workspace, studio.events, job, **part))
    return json_of(studio.jobs.record() or {}, 202)


def cancel_propagation(call: Call) -> Response:
    """Let the propagation end at the next frame; what is done is kept."""
    call.studio.jobs.cancel("propagate")
    return json_of({}, 202)


def export(call: Call) -> Response:
    """Begin an export, into the next folder of the session."""
    studio, said = call.studio, call.read(ExportBody)
    exports, options = checked_exports(said.exports), checked_options(said.options)
    if not studio.workspace.session.objects:
        raise PromptError("there is no object yet; click on one first")
    studio.jobs.start("export", lambda job: exported(studio.workspace, studio.events, job, exports, options))
    return json_of(studio.jobs.record() or {}, 202)


def cancel_export(call: Call) -> Response:
    """Let the export end; nothing of it is left."""
    call.studio.jobs.cancel("export")
    return json_of({}, 202)


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
