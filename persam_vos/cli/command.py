"""Commands as Typer runs them, with a help in sections and an answer to every misuse."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from persam_vos.cli.groups import OptionGroup

# Typer carries its own copy of click in some versions and uses the installed one in others.
UsageError: Any = typer.BadParameter.__base__


class Command(TyperCommand):
    """A command whose help has a section for each group of options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; too many are refused with what was probably meant."""
        ctx.allow_extra_args = True
        try:
            left = super().parse_args(ctx, args)
        except UsageError as error:
            error.ctx = error.ctx or ctx
            raise
        if left:
            from persam_vos.cli.suggestions import unexpected_arguments

            taken = [value for param, value in _arguments(self, ctx) if value is not None]
            raise UsageError(unexpected_arguments(ctx.command_path, taken, left), ctx)
        return left

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what stands after the program's name: "[OPTIONS]" and the arguments."""
        arguments = [_spelled(param) for param, _ in _arguments(self, ctx)]
        return [*([self.options_metavar] if self.options_metavar else []), *arguments]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options: first those of no group, then each group with its title."""
        groups: tuple[type[OptionGroup], ...] = getattr(self.callback, "option_groups", ())
        left = {str(param.name): param for param in self.get_params(ctx)}
        sections: list[tuple[str, list[Any]]] = []
        for group in groups:
            settings = group.setting_fields()
            options = [left.pop(name) for name in group.names()]
            for option in options:
                if option.name in settings:
                    _add_setting(option, settings[option.name])
            sections.append((group.title, options))
        arguments = [param for param in left.values() if param.param_type_name == "argument"]
        others = [param for param in left.values() if param.param_type_name == "option"]
        for title, params in (("Arguments", arguments), ("Options", others), *sections):
            records = [record for param in params if (record := _help_record(param, ctx)) is not None]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the epilog line by line, as it stands."""
        for line in (self.epilog or "").splitlines():
            formatter.write(f"{line}\n")


class CommandGroup(TyperGroup):
    """The program: answers an unknown command with the nearest one, or with the command that takes such a file."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, or raise UsageError."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            from persam_vos.cli.suggestions import unknown_command

            raise UsageError(unknown_command(args[0], self.list_commands(ctx)), ctx)
        return super().resolve_command(ctx, args)


def _arguments(command: Command, ctx: Any) -> list[tuple[Any, Any]]:
    params = [param for param in command.get_params(ctx) if param.param_type_name == "argument"]
    return [(param, ctx.params.get(param.name)) for param in params]


def _help_record(param: Any, ctx: Any) -> tuple[str, str] | None:
    record = param.get_help_record(ctx)
    # Typer would add the argument's type.
    return (_spelled(param), record[1]) if record and param.param_type_name == "argument" else record


def _spelled(argument: Any) -> str:
    """Return an argument as the help shows it: "VIDEO", "PHOTOS..." or "[NAME]"."""
    return f"{argument.metavar}{'...' if argument.nargs == -1 else ''}"


def _add_setting(option: Any, field: Any) -> None:
    """Let an option's help show the choices and the default of its setting."""
    from persam_vos.settings.allowed import default_of, metavar_of

    if not option.is_flag:
        option.metavar = option.metavar or metavar_of(field) or None
        default = default_of(field)
        if default and "[default:" not in option.help:
            option.help = f"{option.help}  [default: {default}]"
