"""The values that a setting may have, read off its type: for messages and for the command line's help."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from persam_vos.settings.suggestions import listed

_LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def choices_of(field: FieldInfo) -> list[str]:
    """Return the words that a setting may be; none if it is a number, a path or the like."""
    return [str(word) for kind, _ in _kinds(field) if get_origin(kind) is Literal for word in get_args(kind)]


def allowed_values(field: FieldInfo) -> str:
    """Say what a setting may be, such as "fast or best" or "a number from 0 to 0.9"; "" where the type is free text."""
    choices = choices_of(field)
    names = {bool: "true or false"}
    others = [names.get(kind) or _number(kind, limits) for kind, limits in _kinds(field) if get_origin(kind) is None]
    return listed(filter(None, [*choices, *others])) if choices or any(others) else ""


def metavar_of(field: FieldInfo) -> str:
    """Return how a setting's values look in the help: "[fast|best]", "0..0.9", "above 0, at most 10" or ""."""
    numbers = [_interval(limits) for kind, limits in _kinds(field) if kind in (int, float)]
    choices = choices_of(field)
    if numbers:
        return "|".join(filter(None, [*choices, *numbers]))
    separator = "," if get_origin(field.annotation) is tuple else "|"
    return f"[{separator.join(choices)}]" if choices else ""


def default_of(field: FieldInfo) -> str:
    """Return a setting's default as the command line would give it; "" if there is none."""
    default = field.default
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return "" if default is None else f"{default:g}" if isinstance(default, float) else str(default)


def _kinds(field: FieldInfo) -> Iterator[tuple[Any, dict[str, float]]]:
    """Yield the types that a setting may have, each with its limits."""
    yield from _parts(field.annotation, field.metadata)


def _parts(kind: Any, metadata: list[Any]) -> Iterator[tuple[Any, dict[str, float]]]:
    if get_origin(kind) is Annotated:
        kind, *more = get_args(kind)
        nested = [each for one in more for each in (one.metadata if isinstance(one, FieldInfo) else [one])]
        yield from _parts(kind, nested)
    elif get_origin(kind) in (Union, UnionType):
        for part in get_args(kind):
            yield from _parts(part, metadata)
    elif get_origin(kind) is tuple:
        yield from _parts(get_args(kind)[0], metadata)
    else:
        yield (
            kind,
            {key: getattr(each, key) for each in metadata for key in _LIMITS if key in dir(each)},
        )


def _number(kind: Any, limits: dict[str, float]) -> str:
    if kind not in (int, float):
        return ""
    name = "a whole number" if kind is int else "a number"
    if "ge" in limits and "le" in limits:
        return f"{name} from {_plain(limits['ge'])} to {_plain(limits['le'])}"
    return " ".join([name, " and ".join(_in_words(limits))]).strip()


def _interval(limits: dict[str, float]) -> str:
    low, high = limits.get("ge", limits.get("gt")), limits.get("le", limits.get("lt"))
    if low is None or high is None:
        return ""
    return f"{_plain(low)}..{_plain(high)}" if limits.keys() <= {"ge", "le"} else ", ".join(_in_words(limits))


def _in_words(limits: dict[str, float]) -> list[str]:
    return [f"{_LIMITS[key]} {_plain(limit)}" for key, limit in limits.items()]


def _plain(number: float) -> str:
    return f"{number:.15g}"
