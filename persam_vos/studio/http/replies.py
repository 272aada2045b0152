"""What the studio answers: JSON, pictures, and errors in one line."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from persam_vos.errors import FrameIndexError, OutputError, PersamVosError
from persam_vos.studio.refusals import in_words

_STATUS: tuple[tuple[type[PersamVosError], int], ...] = ((FrameIndexError, 404), (OutputError, 507))


def json_of(data: Any, status: int = 200) -> Response:
    """Return data as JSON, in ASCII: names of files need not be text."""
    return Response(json.dumps(data, allow_nan=False), status, media_type="application/json")


def failure(status: int, words: str) -> Response:
    """Return an error as JSON, in one line."""
    return json_of({"error": " ".join(words.split())}, status)


def picture(data: bytes, media_type: str, *, seconds: int = 0) -> Response:
    """Return a picture.

    Args:
        data: Of the file.
        media_type: Such as ``image/png``.
        seconds: How long the browser may keep it; another session's token makes it another picture.
    """
    kept = {"cache-control": f"private, max-age={seconds}", "vary": "Cookie"} if seconds else {}
    return Response(data, media_type=media_type, headers=kept)


def of_refusal(_: Request, error: Exception) -> Response:
    """Answer what was refused, by a route or because there is none."""
    assert isinstance(error, HTTPException)
    answer = failure(error.status_code, error.detail)
    answer.headers.update(error.headers or {})
    return answer


def of_error(_: Request, error: Exception) -> Response:
    """Answer an error that persam-vos raises on purpose."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 422)
    return failure(status, str(error))


def of_bug(_: Request, error: Exception) -> Response:
    """Answer an error that should not be."""
    return failure(500, f"this should not happen: {in_words(error)}; the studio goes on")
