"""Settings of a YAML file and of flags become one validated record, or a message of one line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from persam_vos.errors import SettingsError, reason
from persam_vos.settings.common import AnySettings
from persam_vos.settings.faults import first_fault
from persam_vos.text_files import read_text

# Of a YAML file. All settings with a comment each take 12 KiB; PyYAML takes seconds for this many.
_MOST_BYTES = 1 << 16
# Flags that only one of the methods uses.
_FLAGS_OF_MEMORY = ("preset", "keep_first_mask")
_FLAGS_OF_PERSAM = ("guidance", "first_pass", "update_target")
# Settings that tell a file for photos from one for video.
_ONLY_OF = {
    "photos": ("all_instances", "max_objects", "iou_threshold", "erase"),
    "video": ("preset", "closer_look", "encode_every", "local_matching", "reader"),
}
_EXAMPLES = {"photos": "configs/memory.yaml", "video": "configs/photos.yaml"}


def load_settings_of(
    kind: type[AnySettings], config: Path | None, flags: Mapping[str, Any], preset: Mapping[str, Any]
) -> AnySettings:
    """Combine defaults, a configuration file and flags, in rising order, into settings of any kind.

    Args:
        kind: Class of the settings.
        config: YAML file of settings, or None.
        flags: Settings given on the command line; None stands for a flag that was not given.
        preset: Settings that a flag stands for; they win over the file.

    Raises:
        SettingsError: If the file cannot be read, or a key or value is not allowed.
    """
    values = dict(_read_yaml(config)) if config else {}
    _refuse_file_of_others(kind, config, values)
    values |= preset
    values |= {key: value for key, value in flags.items() if value is not None}
    file = f"{config}: " if config else ""

    def name_of(name: str) -> str:
        by_flag = config is None or flags.get(name) is not None
        return "--" + name.replace("_", "-") if by_flag else f"{file}{name}"

    try:
        return kind(**values)
    except SettingsError as error:
        cause = error.__cause__
        if not isinstance(cause, ValidationError):
            raise
        raise SettingsError(first_fault(kind, cause, name_of=name_of, file=file)) from cause


def _refuse_file_of_others(kind: type[AnySettings], config: Path | None, values: Mapping[str, Any]) -> None:
    for subject, names in _ONLY_OF.items():
        if found := [name for name in names if name in values and name not in kind.model_fields]:
            raise SettingsError(
                f"{config}: is a file for {subject}, since it has '{found[0]}'; give one such as {_EXAMPLES[subject]}"
            )


def refuse_flags_of_others(method: str, flags: Mapping[str, Any]) -> None:
    """Refuse a flag that only another method uses. A file may hold settings of all methods.

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
    """Refuses a key that is given twice; YAML's own loader silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        # The loader itself refuses other nodes that are tagged as mappings.
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        once: set[str] = set()
        for key in (key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode)):
            if key in once:
                raise yaml.YAMLError(f"{key!r} is given twice")
            once.add(key)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.load(read_text(path, most_bytes=_MOST_BYTES), _EachKeyOnce)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({reason(error)}); give a YAML file of settings") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if values is None:
        return {}
    if _is_bomb(values):
        raise SettingsError(f"{path}: names its own parts again and again; give settings without * and &")
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError(f"{path}: holds {type(values).__name__}; a mapping of settings to values is needed")
    return values


def _is_bomb(values: object) -> bool:
    """Tell whether values hold themselves, or become very many where each mention of a part is written out."""
    sizes: dict[int, float] = {}

    def size(value: object) -> float:
        if not isinstance(value, (dict, list, tuple, set)):
            return 1
        if id(value) not in sizes:
            sizes[id(value)] = math.inf  # until it is known: a part of it may be itself
            parts = value.values() if isinstance(value, dict) else value
            sizes[id(value)] = 1 + sum(map(size, parts))
        return sizes[id(value)]

    return size(values) > _MOST_BYTES
