"""Bodies of requests are limited, whether they tell their length or not."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from persam_vos.studio.http.replies import failure

MOST_JSON_BYTES = 256 * 1024
MOST_PICTURE_BYTES = 16 * 1024 * 1024


class BodyLimit:
    """Reads the body of a request before anything answers it, and refuses one that is too large.

    JSON may have 256 KiB, a PNG 16 MiB.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = MOST_PICTURE_BYTES if headers.get("content-type") == "image/png" else MOST_JSON_BYTES
        told = headers.get("content-length", "0")
        body = None if not told.isdecimal() or len(told) > 12 or int(told) > limit else await _body(receive, limit)
        if body is None:
            refusal = failure(413, f"the body is too large; allowed are {limit // 1024} KiB")
            refusal.headers["connection"] = "close"
            await refusal(scope, receive, send)
            return
        await self._app(scope, _given(body, receive), send)


async def _body(receive: Receive, limit: int) -> bytes | None:
    """Return a whole body; None if it is larger than allowed, or its sender has gone."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _given(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read already."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Message:
        return left.pop() if left else await receive()

    return given
