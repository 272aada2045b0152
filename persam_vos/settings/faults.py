"""What pydantic refuses becomes one sentence: which setting, its value, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ValidationError

from persam_vos.settings.allowed import allowed_values, choices_of
from persam_vos.settings.suggestions import did_you_mean


def first_fault(
    kind: type[BaseModel], error: ValidationError, *, name_of: Callable[[str], str] = str, file: str = ""
) -> str:
    """Say what is wrong with the first setting that is not allowed, and what it may be.

    Args:
        kind: Class of the settings.
        error: Of validating them.
        name_of: Returns what the user calls a setting, such as its flag.
        file: What a message on an unknown setting begins with.
    """
    fault = error.errors()[0]
    name, given = str(fault["loc"][0]), fault["input"]
    if fault["type"] == "extra_forbidden":
        return f"{file}unknown setting '{name}': {did_you_mean(name, kind.model_fields)}the files in configs/ list all"
    allowed = allowed_values(kind.model_fields[name])
    if not allowed:
        return f"{name_of(name)} is {given!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"
    choices = choices_of(kind.model_fields[name])
    question = did_you_mean(given, choices) if isinstance(given, str) else ""
    return f"{name_of(name)} is {given!r}: {question}it must be {allowed}"
