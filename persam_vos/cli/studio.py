"""The command that opens a video in the browser: mark, propagate, mend and export there."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from persam_vos.cli.groups import takes_groups
from persam_vos.cli.options import Config, EngineOptions, MethodOptions
from persam_vos.cli.prompting import SpanOptions
from persam_vos.cli.status import EXIT_INTERRUPTED, Interrupted, say
from persam_vos.errors import MissingDependencyError

STUDIO_EPILOG = """
Example:
  persam-vos studio clip.mp4
  persam-vos studio clip.mp4 --prompts out/prompts.json    go on with what a run was told
  persam-vos studio clip.mp4 --no-browser --port 8765

Everything is saved after each action, in a folder beside the video, clip.persam, and is there again at the next start;
persam-vos run --prompts clip.persam/prompts.json gives the same masks. Ctrl-C ends the studio.
"""
_HIGHEST_PORT = 65535
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
_EXTRA = ("starlette", "uvicorn", "anyio", "h11")


def _check_port(port: int | None) -> int | None:
    if port is not None and not 0 <= port <= _HIGHEST_PORT:
        raise typer.BadParameter(f"is {port}")
    return port


@takes_groups
def studio(
    video: Annotated[
        str, typer.Argument(metavar="VIDEO", help="Video file, folder of images, or quoted pattern of images.")
    ],
    frames: SpanOptions,
    method: MethodOptions,
    engine: EngineOptions,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the session.  [default: beside VIDEO]"),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", metavar="FILE", help="Begin with a prompts.json, such as that of a run."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="0..65535", callback=_check_port, help="Where it listens; 0 takes any port that is free."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Let other machines in: the address of this one, or 0.0.0.0.")
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, and open no browser.")] = False,
    config: Config = None,
) -> None:
    """Mark, propagate, mend and export in the browser; the session of VIDEO is kept in a folder."""
    flags = method.given() | engine.given()
    try:
        serving = _serving()
        from persam_vos.studio.opening import open_studio

        unsaved = serving.serve(
            lambda: open_studio(video, output, span=frames.span(), prompts=prompts, config=config, flags=flags),
            serving.Listening(host, port),
            announce=lambda address, for_others: _announce(address, for_others, host),
            on_wait=lambda work: say(f"{work}; Ctrl-C again ends at once"),
            on_no_browser=None if no_browser else lambda: say("no browser was found; open the address above"),
        )
    except KeyboardInterrupt:
        raise Interrupted("ended at once; each change that was answered is saved") from None
    say(f"ended; {unsaved}" if unsaved else "ended; all is saved")
    raise typer.Exit(EXIT_INTERRUPTED)


def _serving() -> ModuleType:
    """Import what serves.

    Raises:
        MissingDependencyError: If the extra is not installed.
    """
    try:
        from persam_vos.studio import serving
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        raise MissingDependencyError(
            f"the studio needs {missing}, which is not installed: pip install 'persam-vos[studio]'"
        ) from error
    return serving


def _announce(address: str, for_others: str | None, host: str) -> None:
    print(address, flush=True)
    if for_others is not None:
        print(for_others, flush=True)
    if host not in _THIS_MACHINE:
        say(
            f"warning: --host {host} lets other machines in; whoever has the address above sees and changes everything,"
            " and nothing on the way is encrypted"
        )
