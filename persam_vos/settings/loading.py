"""Every setting of a run: frozen, validated, complete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from persam_vos.errors import SettingsError
from persam_vos.settings.common import AnySettings

# Flags that only some methods hear.
_FLAGS_OF_MEMORY = ("preset",)
_FLAGS_OF_PERSAM = ("guidance", "first_pass", "update_target")


def load_settings_of(
    kind: type[AnySettings], config: Path | None, flags: Mapping[str, Any], preset: Mapping[str, Any]
) -> AnySettings:
    """Combine the same for any kind of settings; ``preset`` is what a flag stands for, and wins over the file."""
    values = dict(_read_yaml(config)) if config else {}
    values |= preset
    values |= {key: value for key, value in flags.items() if value is not None}
    try:
        return kind(**values)
    except ValidationError as error:
        raise SettingsError(_first_fault(kind, error, config, flags)) from error


def refuse_flags_of_others(method: str, flags: Mapping[str, Any]) -> None:
    """Refuse a flag that another method hears; one in a file may stand there for later.

    Raises:
        SettingsError: If there is one.
    """
    of_others = _FLAGS_OF_PERSAM if method == "memory" else _FLAGS_OF_MEMORY
    for key in of_others:
        if flags.get(key) is not None:
            owner = "persam and persam-f" if key in _FLAGS_OF_PERSAM else "memory"
            flag = "--" + key.replace("_", "-")
            raise SettingsError(f"{flag} is a setting of {owner}, but the method is {method}; see --method")


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML's loader takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        # Whatever else is tagged as a mapping is for the loader to refuse.
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        once: set[str] = set()
        for key in (key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode)):
            if key in once:
                raise yaml.YAMLError(f"{key!r} is given twice")
            once.add(key)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _EachKeyOnce)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}); give a YAML file of settings") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError(f"{path}: holds {type(values).__name__}; a mapping of settings to values is needed")
    return values


def _first_fault(kind: type[BaseModel], error: ValidationError, config: Path | None, flags: Mapping[str, Any]) -> str:
    fault = error.errors()[0]
    name = str(fault["loc"][0])
    by_flag = config is None or flags.get(name) is not None
    if fault["type"] == "extra_forbidden":
        where = f"{config}: " if config else ""
        return f"{where}unknown setting '{name}'; allowed are {', '.join(sorted(kind.model_fields))}"
    where = "--" + name.replace("_", "-") if by_flag else f"{config}: {name}"
    if fault["type"] == "string_pattern_mismatch":
        return f"{where} is {fault['input']!r}: must be a colour such as '#00ff00'"
    # Of a setting of several kinds, one fault for each: what it may be, shortest first.
    faults = sorted({each["msg"] for each in error.errors() if each["loc"][0] == name}, key=len)
    allowed = " or ".join([faults[0], *(each.removeprefix("Input should be ") for each in faults[1:])])
    return f"{where} is {fault['input']!r}: {allowed[0].lower()}{allowed[1:]}"
