"""Routes that say something of objects on frames; all but previews answer with the new state."""

from __future__ import annotations

from starlette.responses import Response

from persam_vos.errors import EmptyMaskError
from persam_vos.studio.http.bodies import ClickBody, ObjectBody, PreviewBody, PromptBody
from persam_vos.studio.http.calls import Call
from persam_vos.studio.http.replies import json_of, picture
from persam_vos.studio.pictures import mask_of_png, png_of_mask
from persam_vos.studio.refusals import Refusal


def add_object(call: Call) -> Response:
    """List a new object, of which nothing is said yet."""
    said = call.read(ObjectBody)
    number = call.studio.workspace.add(said.name or "", said.color or "")
    return json_of({"id": number, **call.studio.state()}, 201)


def change_object(call: Call) -> Response:
    """Give an object another name or colour."""
    said = call.read(ObjectBody)
    call.studio.workspace.rename(call.object_id(), said.name, said.color)
    return _state(call)


def remove_object(call: Call) -> Response:
    """Forget an object, and all that was said of it."""
    call.studio.workspace.remove(call.object_id())
    return _state(call)


def click(call: Call) -> Response:
    """Say that a point is on an object, or beside it."""
    said = call.read(ClickBody)
    call.studio.workspace.click(call.object_id(), call.frame(), said.x, said.y, positive=said.positive)
    return _state(call)


def put_prompt(call: Call) -> Response:
    """Say where an object is on a frame: by a box, points or a mask, or that it is absent."""
    workspace, info = call.studio.workspace, call.studio.footage.info
    place = call.object_id(), call.frame()
    if call.request.headers.get("content-type") == "image/png":
        workspace.say(*place, mask=mask_of_png(call.body, info.height, info.width))
        return _state(call)
    said = call.read(PromptBody)
    if said.absent and (said.box or said.points):
        raise Refusal(422, "an object is absent, and a box or a point says where it is; give one of both")
    if said.absent:
        workspace.absent(*place)
    else:
        workspace.say(*place, box=said.box, points=said.points)
    return _state(call)


def delete_prompt(call: Call) -> Response:
    """Take back what was said of an object on a frame."""
    call.studio.workspace.forget(call.object_id(), call.frame())
    return _state(call)


def preview(call: Call) -> Response:
    """Return the mask that points or a box would give, or nothing; never wait for an encoding."""
    index, said, session = call.frame(), call.read(PreviewBody), call.studio.workspace.session
    if not session.is_prepared(index):
        raise Refusal(409, f"frame {index} is not encoded yet; ask for it, and wait for the event prepared")
    known = said.object if any(each.id == said.object for each in session.objects) else None
    try:
        shown = session.preview(index, known, points=said.points, box=said.box)
    except EmptyMaskError:
        return Response(status_code=204)
    return picture(png_of_mask(shown), "image/png")


def undo(call: Call) -> Response:
    """Take back the last change."""
    call.studio.workspace.undo()
    return _state(call)


def redo(call: Call) -> Response:
    """Make the last change again that was taken back."""
    call.studio.workspace.redo()
    return _state(call)


def _state(call: Call) -> Response:
    return json_of(call.studio.state())
