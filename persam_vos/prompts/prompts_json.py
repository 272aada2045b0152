"""prompts.json: a file becomes ``VideoPrompts``, or a message with the line that is wrong; and the other way round."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persam_vos.errors import PromptError, reason
from persam_vos.files import PathLike, write_lines
from persam_vos.prompts.object_prompt import ObjectPrompt
from persam_vos.prompts.points import Box, Point
from persam_vos.prompts.video_prompts import (
    MAX_ID,
    Fault,
    NamedObject,
    Prompt,
    Span,
    VideoPrompts,
    faults,
    hex_colour,
)
from persam_vos.text_files import each_key_once, read_text

VERSION = 1
_MAX_SEARCHED = 1 << 20
_Place = tuple[str | int, ...]
_Id = Annotated[int, Field(ge=1, le=MAX_ID)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_FrameIndex = Annotated[int, Field(ge=0)]
# What messages call allowed, by key.
_ALLOWED = {
    "version": "1",
    "video": "the path of the video",
    "range": "[start, end] or [start, end, stride], frames from 0; end is not tracked, and null stands for the last",
    "objects": 'a list of {"id": 1, "name": "dog", "color": "#e6194b"}',
    "prompts": 'a list of {"frame": 0, "object": 1, ...} with "box", "points", "mask" or "absent"',
    "id": f"a whole number from 1 to {MAX_ID}",
    "object": f"a whole number from 1 to {MAX_ID}",
    "frame": "a whole number from 0",
    "name": "a text",
    "color": "a CSS name such as red, or a code such as #e6194b",
    "box": "[x0, y0, x1, y1]: left, top, right and bottom in pixels",
    "points": "[x, y, 1] on the object, [x, y, 0] beside it, in pixels, each in the list",
    "mask": "the path of a mask, relative to the file",
    "absent": "true",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Object(_Strict):
    id: _Id
    name: str = ""
    color: str = ""


class _Prompt(_Strict):
    frame: _FrameIndex
    object: _Id
    box: Annotated[list[_Number], Field(min_length=4, max_length=4)] | None = None
    points: list[Annotated[list[_Number], Field(min_length=3, max_length=3)]] = []
    mask: Annotated[str, Field(min_length=1)] | None = None
    absent: Literal[True] | None = None


class _File(_Strict):
    version: Literal[1]
    video: Annotated[str, Field(min_length=1)] | None = None
    range: Annotated[list[_FrameIndex | None], Field(min_length=2, max_length=3)] | None = None
    objects: list[_Object] = []
    prompts: list[_Prompt]


class _WrongPlaceError(Exception):
    """A fault of the file's content.

    Attributes:
        fault: Its place and message.
    """

    def __init__(self, *place: str | int, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(place, message)


def read_prompts(path: PathLike) -> VideoPrompts:
    """Read prompts.json; relative paths in it are relative to its folder.

    Raises:
        PromptError: If the file cannot be read or is wrong; the message names the line.
    """
    path = Path(path)
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read ({reason(error)}); give a prompts.json") from error
    try:
        values = json.loads(text, object_pairs_hook=each_key_once)
        return _prompts_of(values, path.parent)
    except json.JSONDecodeError as error:
        raise PromptError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{path}: not JSON ({error})") from error
    except _WrongPlaceError as error:
        raise PromptError(f"{path}{_line_of(text, error.fault.place)}: {error.fault.message}") from error


def write_prompts(path: PathLike, prompts: VideoPrompts) -> None:
    """Write prompts.json, a line for each object and prompt; paths become relative to its folder.

    Args:
        path: The file.
        prompts: Each with its frame.

    Raises:
        OutputError: If it cannot be written.
    """
    path = Path(path)
    head: dict[str, Any] = {"version": VERSION}
    if prompts.video is not None:
        head["video"] = _relative(prompts.video, path.parent)
    if prompts.range is not None:
        head["range"] = list(prompts.range if prompts.range.stride != 1 else prompts.range[:2])
    objects = [_without_empty({"id": each.id, "name": each.name, "color": each.color}) for each in prompts.objects]
    said = []
    for each in prompts.prompts:
        assert each.frame is not None, "the file names every frame"
        record = {"frame": each.frame, "object": each.object_id, **each.says.record()}
        if each.says.mask is not None:
            record["mask"] = _relative(each.says.mask, path.parent)
        said.append(record)
    lists = [
        f' "{key}": [\n{_lines(of_key)}\n ]' for key, of_key in (("objects", objects), ("prompts", said)) if of_key
    ]
    write_lines(path, f"{json.dumps(head, ensure_ascii=False)[:-1]},\n" + ",\n".join(lists) + "\n}")


def _lines(records: Sequence[Mapping[str, Any]]) -> str:
    return ",\n".join(f"  {json.dumps(each, ensure_ascii=False)}" for each in records)


def _without_empty(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value != ""}


def _relative(path: Path, folder: Path) -> str:
    # There is no relative path to another drive.
    with suppress(ValueError):
        return Path(os.path.relpath(path, folder)).as_posix()
    return path.absolute().as_posix()


def _prompts_of(values: object, folder: Path) -> VideoPrompts:
    if not isinstance(values, dict):
        raise _WrongPlaceError(message='must hold {"version": 1, "prompts": [...]}')
    if values.get("version", VERSION) != VERSION or isinstance(values.get("version"), bool):
        raise _WrongPlaceError(
            "version", message=f"version is {json.dumps(values['version'])}; this program reads {VERSION}"
        )
    try:
        file = _File.model_validate(values)
    except ValidationError as error:
        raise _first_fault(error) from error
    objects = tuple(_object(each, position) for position, each in enumerate(file.objects))
    prompts = tuple(_prompt(each, position, folder) for position, each in enumerate(file.prompts))
    for fault in faults(prompts, objects):
        raise _WrongPlaceError(*fault.place, message=fault.message)
    video = None if file.video is None else _joined(folder, file.video)
    return VideoPrompts(prompts, objects, video, _range(file.range))


def _object(given: _Object, position: int) -> NamedObject:
    colour = hex_colour(given.color) if given.color else ""
    if colour is None:
        raise _WrongPlaceError(
            "objects", position, "color", message=f"color is {given.color!r}; allowed: {_ALLOWED['color']}"
        )
    return NamedObject(given.id, given.name, colour)


def _prompt(given: _Prompt, position: int, folder: Path) -> Prompt:
    if wrong := [each for each in given.points if each[2] not in (0, 1)]:
        raise _WrongPlaceError(
            "prompts", position, "points", message=f"point is {wrong[0]}; allowed: {_ALLOWED['points']}"
        )
    try:
        says = ObjectPrompt(
            box=None if given.box is None else Box(*given.box),
            points=tuple(Point(x, y, positive=bool(sign)) for x, y, sign in given.points),
            mask=None if given.mask is None else _joined(folder, given.mask),
            absent=given.absent is True,
        )
    except PromptError as error:
        raise _WrongPlaceError("prompts", position, message=f"object {given.object}: {error}") from error
    return Prompt(given.frame, given.object, says)


def _range(values: list[int | None] | None) -> Span | None:
    if values is None:
        return None
    start, end, stride = (*values, 1)[:3]
    if start is None or not stride or (end is not None and end <= start):
        raise _WrongPlaceError("range", message=f"range is {json.dumps(values)}; allowed: {_ALLOWED['range']}")
    return Span(start, end, stride)


def _joined(folder: Path, name: str) -> Path:
    return Path(os.path.normpath(folder / name))


def _first_fault(error: ValidationError) -> _WrongPlaceError:
    """Return the first fault that pydantic has found, in the program's words."""
    found = error.errors(include_url=False)[0]
    place, last = found["loc"], found["loc"][-1]
    if found["type"] == "extra_forbidden":
        model = _File if len(place) == 1 else _Object if place[0] == "objects" else _Prompt
        return _WrongPlaceError(*place, message=f"unknown key {last!r}; allowed: {', '.join(model.model_fields)}")
    key = next(each for each in reversed(place) if isinstance(each, str) and each in _ALLOWED)
    if found["type"] == "missing":
        return _WrongPlaceError(*place[:-1], message=f"{key} is missing; allowed: {_ALLOWED[key]}")
    verb = "is" if key == last else "holds"
    return _WrongPlaceError(*place, message=f"{key} {verb} {_shown(found['input'])}; allowed: {_ALLOWED[key]}")


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _line_of(text: str, place: _Place) -> str:
    """Return ``, line 7``: where a value of a JSON text begins; nothing where that cannot be told.

    JSON is YAML but for tabs, and PyYAML knows the line of every value. It takes seconds for a million characters.
    """
    if len(text) > _MAX_SEARCHED:
        return ""
    with suppress(yaml.YAMLError, RecursionError):
        node: yaml.Node | None = yaml.compose(text.replace("\t", " "), yaml.SafeLoader)
        line = 0
        for key in (*place, None):
            if node is None:
                break
            line = node.start_mark.line
            node = _below(node, key)
        return f", line {line + 1}"
    return ""


def _below(node: yaml.Node, key: str | int | None) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        found: yaml.Node = node.value[key]
        return found
    return None
