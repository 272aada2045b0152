"""The routes of the studio, and what every request passes first."""

from __future__ import annotations

from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from persam_vos.errors import PersamVosError
from persam_vos.studio.http import marking, reading, working
from persam_vos.studio.http.calls import Answer, in_thread
from persam_vos.studio.http.limits import BodyLimit
from persam_vos.studio.http.replies import of_bug, of_error, of_refusal
from persam_vos.studio.http.security import Door, Guard, SafeHeaders
from persam_vos.studio.parts import Studio

_OBJECT = "/api/objects/{object}"
_ROUTES: tuple[tuple[str, str, Answer], ...] = (
    ("GET", "/", reading.page),
    ("GET", "/page/{name:path}", reading.page),
    ("GET", "/api/video", reading.video),
    ("GET", "/api/times", reading.times),
    ("GET", "/api/state", reading.state),
    ("GET", "/api/lanes", reading.lanes),
    ("GET", "/api/doubtful", reading.doubtful),
    ("POST", "/api/objects", marking.add_object),
    ("PATCH", _OBJECT, marking.change_object),
    ("DELETE", _OBJECT, marking.remove_object),
    ("POST", f"{_OBJECT}/clicks/{{frame}}", marking.click),
    ("PUT", f"{_OBJECT}/prompts/{{frame}}", marking.put_prompt),
    ("DELETE", f"{_OBJECT}/prompts/{{frame}}", marking.delete_prompt),
    ("POST", "/api/preview/{frame}", marking.preview),
    ("POST", "/api/undo", marking.undo),
    ("POST", "/api/redo", marking.redo),
    ("POST", "/api/prepare/{frame}", working.prepare),
    ("POST", "/api/propagate", working.propagate),
    ("DELETE", "/api/propagate", working.cancel_propagation),
    ("POST", "/api/export", working.export),
    ("DELETE", "/api/export", working.cancel_export),
)
# Pictures are asked for by the dozen; clicks and the state must not wait behind them.
_PICTURES: tuple[tuple[str, str, Answer], ...] = (
    ("GET", "/api/frames/{frame}.jpg", reading.frame),
    ("GET", "/api/masks/{frame}.png", reading.mask),
)
_PICTURE_THREADS = 4


def make_app(studio: Studio, door: Door) -> Starlette:
    """Return the studio as an ASGI application.

    Args:
        studio: What answers.
        door: What lets requests in.
    """
    few = CapacityLimiter(_PICTURE_THREADS)
    routes = [
        *(Route(path, in_thread(answer), methods=[method]) for method, path, answer in _ROUTES),
        *(Route(path, in_thread(answer, few), methods=[method]) for method, path, answer in _PICTURES),
        Route("/api/events", reading.events, methods=["GET"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(SafeHeaders), Middleware(Guard, door=door), Middleware(BodyLimit)],
        exception_handlers={HTTPException: of_refusal, PersamVosError: of_error, Exception: of_bug},
    )
    app.state.studio = studio
    return app
