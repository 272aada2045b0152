"""Routes that only look: at the page, the video, its masks and its state."""

from __future__ import annotations

import mimetypes
from pathlib import Path

import numpy as np
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from persam_vos import __version__
from persam_vos.studio.background.events import Listener
from persam_vos.studio.http.calls import Call
from persam_vos.studio.http.offers import offered_exports, offered_options
from persam_vos.studio.http.replies import json_of, picture
from persam_vos.studio.parts import Studio
from persam_vos.studio.pictures import png_of
from persam_vos.studio.refusals import Refusal

_PAGE = Path(__file__).parents[1] / "page"
_FILES = {path.relative_to(_PAGE).as_posix(): path for path in _PAGE.rglob("*") if path.is_file()}
_A_DAY = 24 * 60 * 60
_MOST_FRAMES = 10**9


def page(call: Call) -> Response:
    """Return the page, or a file of it: one that lay in its folder at the start, by name."""
    name = call.request.path_params.get("name", "index.html")
    if name not in _FILES:
        raise Refusal(404, f"the page has no file {name[:60]!r}")
    kind = "text/javascript" if name.endswith((".js", ".mjs")) else mimetypes.guess_type(name)[0]
    return Response(_FILES[name].read_bytes(), media_type=kind, headers={"cache-control": "no-cache"})


def video(call: Call) -> Response:
    """Return facts about the video, and what can be exported."""
    studio, info = call.studio, call.studio.footage.info
    return json_of(
        {
            "name": info.source.name,
            "width": info.width,
            "height": info.height,
            "pixel_aspect": float(info.pixel_aspect),
            "start": studio.frames[0],
            "stop": studio.frames[-1] + 1,
            "step": studio.frames.step,
            "frame_rate": None if info.frame_rate is None else float(info.frame_rate),
            "duration": studio.footage.duration(studio.frames),
            "session": str(studio.project.folder),
            "version": __version__,
            "run": studio.run,
            "exports": offered_exports(),
            "options": offered_options(info),
        }
    )


def times(call: Call) -> Response:
    """Return when each frame is shown, in seconds."""
    return json_of([round(each, 6) for each in call.studio.footage.times(call.studio.frames)])


def frame(call: Call) -> Response:
    """Return a frame as JPEG."""
    index = call.frame()
    width = call.number("width", None, range(1, 1 << 16))
    return picture(call.studio.footage.pictures.jpeg(index, width), "image/jpeg", seconds=_A_DAY)


def mask(call: Call) -> Response:
    """Return the label map of a frame as PNG; the browser may keep it if it is that of the revision asked for."""
    index, workspace = call.frame(), call.studio.workspace
    session, before = workspace.session, workspace.revision
    info = call.studio.footage.info
    shown = session[index].label_map if session.objects else np.zeros((info.height, info.width), np.uint8)
    is_known = call.request.query_params.get("r") == str(before) == str(workspace.revision)
    return picture(png_of(shown), "image/png", seconds=_A_DAY if is_known else 0)


def state(call: Call) -> Response:
    """Return all that may change."""
    return json_of(call.studio.state())


def lanes(call: Call) -> Response:
    """Return the scores of all objects in a range of frames."""
    frames, workspace = call.studio.frames, call.studio.workspace
    start = call.number("start", frames.start, range(_MOST_FRAMES))
    stop = call.number("stop", frames.stop, range(_MOST_FRAMES))
    assert start is not None
    assert stop is not None
    wanted, revision = _part(frames, start, stop), workspace.revision
    scores: dict[str, list[float | None]] = {}
    if wanted and workspace.session.objects:
        found = workspace.session.lanes(wanted)
        scores = {str(number): [_rounded(each) for each in lane] for number, lane in found.items()}
    where = {"start": wanted.start, "stop": wanted.stop, "step": frames.step}
    return json_of({"revision": revision, **where, "scores": scores})


def doubtful(call: Call) -> Response:
    """Return the frames that most need a look, the most doubtful first."""
    count = call.number("count", 5, range(1, 1001))
    assert count is not None
    session = call.studio.workspace.session
    found = session.doubtful(count) if session.objects else []
    return json_of(
        [
            {"frame": each.frame, "object": each.object_id, "reason": each.reason, "doubt": round(each.doubt, 3)}
            for each in found
        ]
    )


async def events(request: Request) -> Response:
    """Return what happens, as it happens, after the state as it is now."""
    studio: Studio = request.app.state.studio
    # It hears of changes before the first state is made: none is missed.
    listener = studio.events.add()
    try:
        await to_thread.run_sync(studio.tell_first, listener)
    except BaseException:
        listener.leave()
        raise
    return _EventStream(listener)


class _EventStream(StreamingResponse):
    """What a listener hears; it leaves when its page does."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener.stream(), media_type="text/event-stream")
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._listener.leave()


def _part(frames: range, start: int, stop: int) -> range:
    """Return the frames from one index to another, which is left out."""
    before, inside = (max(0, -(-(index - frames.start) // frames.step)) for index in (start, stop))
    return frames[before:inside]


def _rounded(score: float | None) -> float | None:
    return None if score is None or score != score else round(score, 3)
