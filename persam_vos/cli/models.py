"""The command about checkpoints: which there are, where they lie, whether they are intact."""

from __future__ import annotations

from typing import Annotated

import typer

from persam_vos.cli.status import EXIT_INCOMPLETE, show
from persam_vos.errors import SettingsError

_ACTIONS = ("list", "verify", "path")


def models(
    action: Annotated[str, typer.Argument(metavar="[list|verify|path]", help="What to do.")] = "list",
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of a model; verify takes a file as well.")
    ] = None,
) -> None:
    """List the models' checkpoints, verify them by their hashes, or print where one lies."""
    from persam_vos.sam.checkpoints.registry import CHECKPOINTS, checkpoint_path, list_checkpoints, verify_checkpoint

    if action == "path":
        if name is None:
            raise SettingsError(f"'models path' needs a name: {', '.join(CHECKPOINTS)}")
        show(checkpoint_path(name))
        return
    if action == "list":
        for status in list_checkpoints():
            show(status.line())
        return
    if action != "verify":
        from persam_vos.settings.suggestions import did_you_mean, listed

        question = did_you_mean(action, _ACTIONS)
        raise SettingsError(f"'models {action}': {question}allowed are {listed(_ACTIONS, 'and')}")
    found = [verify_checkpoint(each) for each in ([name] if name else CHECKPOINTS)]
    for status in found:
        show(status.line())
    if any(status.intact is False for status in found):
        raise typer.Exit(EXIT_INCOMPLETE)
