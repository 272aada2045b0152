"""What routes are given of a request, and how their answers are made in threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from persam_vos.errors import PersamVosError
from persam_vos.studio.http.bodies import Body, read_body
from persam_vos.studio.http.replies import of_bug
from persam_vos.studio.parts import Studio
from persam_vos.studio.refusals import Refusal

_Body = TypeVar("_Body", bound=Body)
_MOST_DIGITS = 9


class Call(NamedTuple):
    """A request to a studio.

    Attributes:
        studio: Which is asked.
        request: Its path and headers.
        body: Of the request.
    """

    studio: Studio
    request: Request
    body: bytes

    def read(self, kind: type[_Body]) -> _Body:
        """Return the body, which is JSON of this kind."""
        return read_body(kind, self.body, self.request.headers.get("content-type", ""))

    def frame(self) -> int:
        """Return the frame that the path names.

        Raises:
            Refusal: If it is not one of the session's.
        """
        text, frames = self.request.path_params["frame"], self.studio.frames
        frame = _number(text)
        if frame is None or frame not in frames:
            every = "" if frames.step == 1 else f", every {frames.step} frames"
            raise Refusal(404, f"there is no frame {text[:20]}; the session has {frames[0]} to {frames[-1]}{every}")
        return frame

    def object_id(self) -> int:
        """Return the object that the path names, which need not be there."""
        text = self.request.path_params["object"]
        number = _number(text)
        if number is None:
            raise Refusal(404, f"there is no object {text[:20]!r}")
        return number

    def number(self, name: str, default: int | None, allowed: range) -> int | None:
        """Return a number of the query.

        Raises:
            Refusal: If it is none that is allowed.
        """
        text = self.request.query_params.get(name)
        if text is None:
            return default
        number = _number(text)
        if number is None or number not in allowed:
            raise Refusal(422, f"{name} is {text[:20]!r}; allowed are {allowed[0]} to {allowed[-1]}")
        return number


Answer = Callable[[Call], Response]


def in_thread(answer: Answer, limiter: CapacityLimiter | None = None) -> Callable[[Request], Awaitable[Response]]:
    """Return a route that computes its answer in a thread, so that nothing else waits for it.

    Args:
        answer: Computes it.
        limiter: Of the threads that it may take up; None for those that all share.
    """

    async def route(request: Request) -> Response:
        call = Call(request.app.state.studio, request, await request.body())
        try:
            return await to_thread.run_sync(answer, call, limiter=limiter)
        except (HTTPException, PersamVosError):
            raise
        except Exception as error:  # nothing that goes wrong in one request ends the studio
            return of_bug(request, error)

    return route


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None
