"""Answers to misuse, each one line: what was given, what is allowed, what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from persam_vos.files import PHOTO_SUFFIXES
from persam_vos.settings.suggestions import did_you_mean, listed, nearest


def explain(error: Any) -> str:
    """Put an error of usage, as Typer raises it, into one line."""
    command = error.ctx.command_path if error.ctx else "persam-vos"
    fault = _fault(error, command)
    if fault.endswith("lists its options"):
        return fault
    return f"{fault}{' See' if fault.endswith('?') else '; see'} '{command} --help'"


def unknown_command(given: str, commands: Sequence[str]) -> str:
    """Answer a word that is no command; a file's or folder's name shows what was meant."""
    if "/" in given or "." in given or any(sign in given for sign in "*?[") or Path(given).exists():
        if Path(given).suffix.lower() in PHOTO_SUFFIXES and "*" not in given:
            way = f"'persam-vos image {given} MASK PHOTOS' finds in other photos what this one shows"
        else:
            way = f"'persam-vos run {given} --first-mask MASK' tracks the objects that MASK marks in its first frame"
        return f"{given!r} is no command: {way}"
    return f"{given!r} is no command: {did_you_mean(given, commands)}there are {listed(commands, 'and')}"


def unexpected_arguments(command: str, taken: Sequence[Any], left: Sequence[str]) -> str:
    """Answer more arguments than a command takes; if they are files, the shell has replaced a pattern by them."""
    files = [text for text in [*map(str, taken), *left] if Path(text).exists()]
    if any(text in files for text in left):
        return (
            f"'{command}' got {len(taken) + len(left)} names, but takes {len(taken)}: quote a pattern, such as"
            f" '{_pattern(files)}', so that the shell does not replace it"
        )
    given = listed(map(repr, left), "and")
    return f"'{command}' takes {_counted(len(taken), 'argument')}; {given} {'is' if len(left) == 1 else 'are'} too many"


def _fault(error: Any, command: str) -> str:
    kind, param = type(error).__name__, getattr(error, "param", None)
    if kind == "NoSuchOption":
        return _unknown_option(error.option_name, error.ctx, command)
    if kind == "MissingParameter" and param is not None:
        return f"'{command}' needs {_name(param)} ({_lower_first(param.help or '').rstrip('.')})"
    if kind == "BadParameter" and param is not None and param.metavar:
        given = f" {error.message}" if error.message.startswith("is ") else ""
        return f"{_name(param)}{given}: it must be {_in_words(param.metavar)}"
    if kind == "BadOptionUsage" and "take" not in error.message:
        return f"{error.option_name} needs a value{_allowed(error.option_name, error.ctx)}"
    return _lower_first(str(error.format_message())).rstrip(".")


def _unknown_option(given: str, ctx: Any, command: str) -> str:
    commands = (ctx.parent or ctx).command.commands
    owners = [name for name, each in commands.items() if given in _options(each, ctx, short=True)]
    if owners and ctx.parent is None:
        return f"{given} belongs to {listed(owners, 'and')}: write it after the command, as '{command} {owners[0]} ...'"
    names, word = [each[2:] for each in _options(ctx.command, ctx)], given.lstrip("-")
    found = [name for name in names if word in name.split("-")] or nearest(word, names, 3)
    fault = f"'{command}' has no option {given}"
    if owners:
        return f"{fault}, which belongs to {listed(owners, 'and')}"
    return (
        f"{fault}: did you mean {listed(f'--{name}' for name in found)}?"
        if found
        else f"{fault}; '{command} --help' lists its options"
    )


def _allowed(option: str, ctx: Any) -> str:
    """Say what the setting of an option may be."""
    from persam_vos.settings.allowed import allowed_values

    name = option.lstrip("-").replace("-", "_")
    for group in getattr(ctx.command.callback, "option_groups", ()) if ctx else ():
        settings = group.setting_fields()
        if name in group.names() and name in settings and (allowed := allowed_values(settings[name])):
            return f": {allowed}"
    return ""


def _in_words(metavar: str) -> str:
    """Put "0..254" or "[2016|2017]" into words."""
    low, dots, high = metavar.partition("..")
    return f"a whole number from {low} to {high}" if dots else listed(metavar.strip("[]").split("|"))


def _options(command: Any, ctx: Any, *, short: bool = False) -> list[str]:
    names = [name for param in command.get_params(ctx) for name in param.opts if param.param_type_name == "option"]
    return [name for name in names if short or name.startswith("--")]


def _name(param: Any) -> str:
    """Return a parameter as people write it: --flag or ARGUMENT."""
    if param.param_type_name == "option":
        return str(max(param.opts, key=len))
    return str(param.metavar or param.name.upper())


def _pattern(files: Iterable[str]) -> str:
    """Return the pattern that a shell has most likely replaced by these files."""
    last = [Path(each) for each in files][-1]
    return str(last.parent / f"*{last.suffix}")


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
