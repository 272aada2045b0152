"""The JSON that pages and scripts send, validated."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from persam_vos.prompts import MAX_ID
from persam_vos.studio.refusals import Refusal

# Persian and Hindi need the zero-width non-joiner and joiner, as joined emoji do; Python does not count them as text.
_JOINERS = str.maketrans("", "", "\u200c\u200d")


def _in_one_line(text: str) -> str:
    if not text.translate(_JOINERS).isprintable():
        raise ValueError("it has characters that cannot be shown; give letters, digits and signs in one line")
    return text


_Number = Annotated[float, Field(allow_inf_nan=False)]
_Sign = Literal[0, 1]
_Points = Annotated[list[tuple[_Number, _Number, _Sign]], Field(max_length=1000)]
_Box = tuple[_Number, _Number, _Number, _Number]
_Name = Annotated[str, Field(max_length=200), AfterValidator(_in_one_line)]
_Body = TypeVar("_Body", bound="Body")


class Body(BaseModel):
    """Base of all bodies: nothing is converted, and nothing unknown is let pass."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ObjectBody(Body):
    """Name and colour of an object; null leaves them as they are."""

    name: _Name | None = None
    color: _Name | None = None


class ClickBody(Body):
    """A click, in pixels of the frame."""

    x: _Number
    y: _Number
    positive: bool = True


class PromptBody(Body):
    """What is said of an object on a frame."""

    box: _Box | None = None
    points: _Points = []
    absent: Literal[True] | None = None


class PreviewBody(Body):
    """What would be said of an object; null is a new one."""

    object: Annotated[int, Field(ge=1, le=MAX_ID)] | None = None
    points: _Points = []
    box: _Box | None = None


class PropagateBody(Body):
    """Which frames masks are wanted for, seen from one of them."""

    what: Literal["all", "forward", "backward", "to_next"] = "all"
    frame: Annotated[int, Field(ge=0)] | None = None


class ExportBody(Body):
    """What is written, and how."""

    exports: Annotated[list[str], Field(min_length=1, max_length=50)]
    options: dict[str, bool | int | float | str | None] = {}


def read_body(kind: type[_Body], body: bytes, content_type: str) -> _Body:
    """Read the JSON of a request; an empty body stands for ``{}``.

    Raises:
        Refusal: If it is no JSON, or not this one.
    """
    if body and content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, f"the body is of type {content_type!r}; send application/json")
    try:
        return kind.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise Refusal(422, _first_fault(error)) from error


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    place = ".".join(map(str, fault["loc"])) or "the body"
    return f"{place} is {_shown(fault['input'])}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
