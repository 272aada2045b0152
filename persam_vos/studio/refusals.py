"""What cannot be done, and what should not have happened, in words."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException

from persam_vos.errors import PersamVosError


class Refusal(HTTPException):
    """A request that cannot be met; ``status_code`` says why to programs, ``detail`` to people."""


def in_words(error: BaseException) -> str:
    """Return what an error that nobody expected says, and where it was raised."""
    if isinstance(error, PersamVosError):
        return str(error)
    place: Any = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" ({place.tb_frame.f_globals.get('__name__')}, line {place.tb_lineno})" if place else ""
    return f"{type(error).__name__}: {error}{where}"
