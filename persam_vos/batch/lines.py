"""A line of a manifest becomes a clip, or is refused with the reason."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from persam_vos.batch.clips import BatchClip, Said, fault_of_id
from persam_vos.errors import PersamVosError, PromptError, SettingsError
from persam_vos.media.photo_files import is_glob
from persam_vos.media.ranges import frame_range
from persam_vos.prompts import ObjectPrompt, hex_colour, parse_box, parse_point, span_of
from persam_vos.prompts.object_prompt import prompts_of
from persam_vos.settings.faults import first_fault
from persam_vos.settings.loading import load_settings_of, refuse_flags_of_others
from persam_vos.settings.output import BLUR
from persam_vos.settings.suggestions import did_you_mean
from persam_vos.settings.video import PRESETS, Settings, load_settings

# Between the boxes or points of a text.
_NEXT = ";"
_WAYS = ("mask", "prompts", "box", "points")
_ALLOWED = {
    "id": "a text, the name of the folder of its results",
    "video": "the path of a video, of a folder of images, or a pattern of them",
    "mask": "the path of the first frame's mask",
    "prompts": "the path of a prompts.json",
    "box": "[x0, y0, x1, y1] in pixels, a list of such boxes, or a text such as 120,80,300,260",
    "points": "a list of [x, y], or [x, y, 0] for one beside the object, in pixels, or a text such as 400,300;90,60,-",
    "start": "a frame from 0, or seconds as text such as 12.5s",
    "end": "a frame from 0, or seconds as text such as 12.5s",
    "stride": "a whole number, at least 1",
    "backward": "true or false",
}
_Position = StrictInt | StrictStr | None


class _Line(BaseModel):
    """What a line says beside settings; see ``BatchClip``."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    id: Annotated[StrictStr, Field(min_length=1)] | None = None
    video: Annotated[StrictStr, Field(min_length=1)]
    mask: Annotated[StrictStr, Field(min_length=1)] | None = None
    prompts: Annotated[StrictStr, Field(min_length=1)] | None = None
    box: StrictStr | list[Any] | None = None
    points: StrictStr | list[Any] | None = None
    start: _Position = None
    end: _Position = None
    stride: Annotated[StrictInt, Field(ge=1)] | None = None
    backward: StrictBool = True


class LineError(Exception):
    """A line that is no clip; its message says why."""


class LineReader:
    """Makes clips of the lines of one manifest.

    Args:
        folder: Where the manifest lies; relative paths begin there.
        config: YAML file of settings for all clips, or None.
        flags: Settings for all clips, which win over the file; what a line says wins over both.

    Raises:
        SettingsError: If the file or a flag is not allowed.
    """

    def __init__(self, folder: Path, config: Path | None, flags: Mapping[str, Any]) -> None:
        self._folder, self._config, self._flags = folder, config, flags
        self._common = load_settings(config, flags)
        # Clips of the same settings share one record, and the network that was loaded for it.
        self._settings: dict[str, Settings] = {}

    def clip(self, values: Mapping[str, Any], place: str) -> BatchClip:
        """Return the clip of a line.

        Args:
            values: What it says, by key.
            place: Where it is said, for messages.

        Raises:
            LineError: If it is no clip.
        """
        for text in _texts(values):
            _check_text(text)
        given = {key: value for key, value in values.items() if value is not None}
        _refuse_unknown(given)
        line = _line({key: value for key, value in given.items() if key in _Line.model_fields})
        ways = [key for key in _WAYS if key in given]
        if not ways or ways not in (["box", "points"], ways[:1]):
            found = f"{' and '.join(ways)} are given" if ways else "nothing says where its objects are"
            raise LineError(f"{found}; give one of mask, prompts, or box and points")
        try:
            frame_range(*span_of(line.start, line.end, line.stride))
            return BatchClip(
                id=_id(line, given["video"]),
                place=place,
                video=self._video(line.video),
                said=Said(self._path(line.mask), self._path(line.prompts), _shown(line)),
                settings=self._settings_of({key: given[key] for key in given if key not in _Line.model_fields}),
                start=line.start,
                end=line.end,
                stride=line.stride,
                backward=line.backward,
            )
        except PersamVosError as error:
            raise LineError(str(error)) from error

    def _path(self, name: str | None) -> Path | None:
        return None if name is None else self._folder / name

    def _video(self, name: str) -> str:
        if "://" in name:
            raise LineError(f"video is {name!r}, an address; a batch reads files, so that it can be resumed")
        path = self._folder / name
        if is_glob(name) and not path.exists():
            return os.path.join(glob.escape(str(self._folder)), name)  # noqa: PTH118 - a pattern is no path
        return str(path)

    def _settings_of(self, values: dict[str, Any]) -> Settings:
        if not values:
            return self._common
        key = json.dumps(values, sort_keys=True)
        if key not in self._settings:
            self._settings[key] = self._loaded(values)
        return self._settings[key]

    def _loaded(self, values: dict[str, Any]) -> Settings:
        if "allow_playlists" in values:
            raise LineError("allow_playlists is a matter of trust, and no line gives it; pass --allow-playlists")
        if isinstance(weights := values.get("checkpoint"), str):
            values = {**values, "checkpoint": str(self._folder / weights)}
        behind = values.get("background")
        if isinstance(behind, str) and behind != BLUR and hex_colour(behind) is None:
            values = {**values, "background": str(self._folder / behind)}
        flags = {**self._flags, **values}
        preset = flags.get("preset")
        expanded = PRESETS.get(preset, {}) if isinstance(preset, str) else {}
        try:
            settings = load_settings_of(Settings, self._config, flags, expanded)
            refuse_flags_of_others(settings.method, values)
        except SettingsError as error:
            cause = error.__cause__
            told = first_fault(Settings, cause) if isinstance(cause, ValidationError) else str(error)
            raise LineError(told) from error
        return settings


def as_values(row: Mapping[str, str]) -> dict[str, Any]:
    """Return what a row of CSV says, as JSON would: without empty cells, with numbers and switches as such.

    Raises:
        LineError: If a switch is neither true nor false.
    """
    values: dict[str, Any] = {key: text.strip() for key, text in row.items() if text.strip()}
    switches = {
        name for model in (Settings, _Line) for name, field in model.model_fields.items() if field.annotation is bool
    }
    for key in values:
        if key in switches or key == "backward":
            values[key] = _switch(key, values[key])
        elif key == "stride" and values[key].isdecimal() and len(values[key]) < 10:
            values[key] = int(values[key])
    return values


def _switch(key: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise LineError(f"{key} is {text!r}; allowed: true or false")
    return text.lower() == "true"


def _texts(value: Any) -> Iterable[str]:
    """Yield every text in the values of JSON, and every key."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield str(key)
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _check_text(text: str) -> None:
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text):
        raise LineError(f"{_shown_value(text)} is no text: a manifest takes file names in UTF-8 alone")


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    known = [*_Line.model_fields, *Settings.model_fields]
    for key in given:
        if key not in known:
            raise LineError(
                f"unknown key {_shown_value(key)}: {did_you_mean(key, known)}a line has"
                f" {', '.join(_Line.model_fields)}, and any setting of the files in configs/"
            )


def _line(values: dict[str, Any]) -> _Line:
    try:
        return _Line(**values)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        key = str(found["loc"][0])
        if found["type"] == "missing":
            raise LineError(f"{key} is missing; allowed: {_ALLOWED[key]}") from error
        raise LineError(f"{key} is {_shown_value(values[key])}; allowed: {_ALLOWED[key]}") from error


def _id(line: _Line, video: str) -> str:
    name = Path(video).stem if line.id is None else line.id
    if fault := fault_of_id(name):
        of = "" if line.id is not None else ", from the name of the video"
        raise LineError(f"id is {_shown_value(name)}{of}, which {fault}; allowed: a plain file name")
    return name


def _shown(line: _Line) -> tuple[ObjectPrompt, ...]:
    boxes, points = line.box or [], line.points or []
    parsed_boxes = [parse_box(text) for text in boxes.split(_NEXT)] if isinstance(boxes, str) else boxes
    parsed_points = [parse_point(text) for text in points.split(_NEXT)] if isinstance(points, str) else points
    for key, value in (("box", line.box), ("points", line.points)):
        if value is not None and not value:
            raise PromptError(f"{key} is empty; allowed: {_ALLOWED[key]}")
    return prompts_of(parsed_boxes, parsed_points)


def _shown_value(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
