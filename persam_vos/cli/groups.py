"""Groups of options: each is a frozen dataclass, whose fields carry their Typer options.

A command names the groups it takes, and gets one object a group. Names, types and help are thus written once.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from typing import Any, ClassVar, TypeVar, get_type_hints

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class OptionGroup:
    """Base of all groups.

    Attributes:
        title: Heading of the group's section in the help.
        settings: ``module:class`` of the settings that have fields of the same names, whose choices and defaults the
            help shows; "" for options that are no settings. It is imported for the help only: that takes time.
    """

    title: ClassVar[str] = ""
    settings: ClassVar[str] = ""

    def given(self) -> dict[str, Any]:
        """Return the options by name; None stands for one that was not given."""
        return {name: getattr(self, name) for name in self.names()}

    @classmethod
    def names(cls) -> list[str]:
        """Return the options' names as Python has them."""
        return [field.name for field in fields(cls)]

    @classmethod
    def setting_fields(cls) -> dict[str, Any]:
        """Return pydantic's fields of the group's settings, by name."""
        if not cls.settings:
            return {}
        module, _, name = cls.settings.partition(":")
        return dict(getattr(import_module(module), name).model_fields)


def takes_groups(command: Callable[..., Kind]) -> Callable[..., Kind]:
    """Let Typer see the fields of a command's groups as options of the command itself.

    The decorated function takes all options by name, and hands each group over as one object. Its attribute
    ``option_groups`` holds the groups' classes in order.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[OptionGroup]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if is_dataclass(kind := hints[name]) and isinstance(kind, type) and issubclass(kind, OptionGroup):
            groups[name] = kind
            parameters += _options_of(kind)
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def run(**options: Any) -> Kind:
        for name, group in groups.items():
            options[name] = group(**{each: options.pop(each) for each in group.names()})
        return command(**options)

    described: Any = run
    described.__signature__ = inspect.Signature(parameters)
    described.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    described.option_groups = tuple(groups.values())
    return run


def _options_of(group: type[OptionGroup]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(group)
    ]
