"""Which exports the page offers, and with which options: what the settings say of themselves."""

from __future__ import annotations

import inspect
import re
from typing import Any

from persam_vos.errors import SettingsError
from persam_vos.exports.select import EXPORTS, options_of
from persam_vos.media.stream import StreamInfo
from persam_vos.prompts import hex_colour
from persam_vos.settings.output import BLUR, ExportOptions

_NAME = re.compile(r"^    (\w+): ", re.MULTILINE)


def offered_exports() -> list[dict[str, Any]]:
    """Return all exports as JSON: name, about, whom it is for, and the names of their options."""
    return [
        {"name": name, "about": each.about, "purpose": each.purpose, "options": list(options_of(name))}
        for name, each in EXPORTS.items()
    ]


def offered_options(info: StreamInfo) -> list[dict[str, Any]]:
    """Return the options of exports as JSON: name, about, type, choices, default, min and max.

    Args:
        info: The video; names of images are kept only where it has some.
    """
    about, schema = _attributes(ExportOptions), ExportOptions.model_json_schema()["properties"]
    names = [name for name in ExportOptions.model_fields if name != "keep_names" or info.images]
    return [{"name": name, "about": about.get(name, ""), **_described(name, schema[name])} for name in names]


def checked_exports(names: list[str]) -> list[str]:
    """Return names of exports, each once.

    Raises:
        SettingsError: If there is no such export.
    """
    if unknown := [name for name in names if name not in EXPORTS]:
        raise SettingsError(f"export is {unknown[0][:60]!r}; allowed: {', '.join(EXPORTS)}")
    return list(dict.fromkeys(names))


def checked_options(given: dict[str, Any]) -> dict[str, Any]:
    """Return options of exports that a page may give: no path of a file.

    Raises:
        SettingsError: If one is unknown, not allowed, or names a file.
    """
    background = given.get("background")
    if (
        background is not None
        and background != BLUR
        and (not isinstance(background, str) or not hex_colour(background))
    ):
        raise SettingsError(
            f"background is {str(background)[:60]!r}: it must be a colour, such as green or #00ff00, or {BLUR}"
        )
    ExportOptions(**given)
    return given


def _described(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    kind = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
    type_ = "choice" if "enum" in kind else "color" if name == "background" else kind["type"]
    return {
        "type": type_,
        "choices": [BLUR] if type_ == "color" else kind.get("enum"),
        "default": schema.get("default"),
        "min": kind.get("minimum"),
        "max": kind.get("maximum"),
    }


def _attributes(kind: type) -> dict[str, str]:
    """Return what the docstring of a class says of its attributes, without the marks of code."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    found = _NAME.split(f"\n{text}")[1:]
    pairs = zip(found[::2], found[1::2], strict=True)
    return {name: " ".join(said.split()).replace("``", "") for name, said in pairs}
