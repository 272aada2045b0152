"""The command line: reads flags, calls the stages, prints, and decides the exit status."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from persam_vos import __version__
from persam_vos.cli.options import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    Interrupted,
    Quiet,
    Sequences,
    Split,
    Text,
    Year,
    names_of,
)
from persam_vos.cli.photos import image, perseg
from persam_vos.cli.video import davis, demo, run
from persam_vos.errors import PersamVosError, SettingsError
from persam_vos.pipeline.malloc import share_one_arena

# Typer carries its own copy of click in some versions and uses the installed one in others.
UsageError: Any = typer.BadParameter.__base__
app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Mask an object in one frame of a video, get its mask in every frame.",
)


for command in (run, demo, davis, image, perseg):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"persam-vos {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def score(
    results: Annotated[Path, typer.Argument(help="Folder of results: a folder of PNGs per sequence.")],
    root: Annotated[Path, typer.Argument(help="Folder of DAVIS: Annotations, ImageSets.")],
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="Folder for the tables.  [default: RESULTS]"),
    ] = None,
    year: Year = 2017,
    split: Split = "val",
    sequences: Sequences = None,
    quiet: Quiet = False,
) -> None:
    """Score PNGs that exist already, as DAVIS does."""
    from tqdm import tqdm

    from persam_vos.evaluation import score_davis

    with tqdm(unit="frame", disable=quiet or sys.stderr is None or None, leave=False) as bar:

        def on_score(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        chosen: dict[str, Any] = {"year": year, "split": split, "sequences": names_of(sequences)}
        scores = score_davis(results, root, progress=on_score, **chosen)
    scores.write(output or results)
    print(scores.table())


@app.command()
def models(
    action: Annotated[str, typer.Argument(help="list, verify or path.")] = "list",
    name: Annotated[Text, typer.Argument(help="Name of a model; for verify also a file.")] = None,
) -> None:
    """Say which checkpoints there are, where they lie, and whether they are intact."""
    from persam_vos.sam.checkpoints.registry import CHECKPOINTS, checkpoint_path, list_checkpoints, verify_checkpoint

    if action == "path":
        if name is None:
            raise SettingsError(f"models path needs a name: {', '.join(CHECKPOINTS)}")
        print(checkpoint_path(name))
        return
    if action == "list":
        for status in list_checkpoints():
            print(status.line())
        return
    if action != "verify":
        raise SettingsError(f"models {action}: allowed are list, verify and path")
    found = [verify_checkpoint(each) for each in ([name] if name else CHECKPOINTS)]
    for status in found:
        print(status.line())
    if any(status.intact is False for status in found):
        raise typer.Exit(1)


def leave_at_once() -> None:
    """Run ``main``, and end the process without taking PyTorch and OpenVINO apart, which takes most of a second.

    Everything has been written, and nothing here waits for the interpreter's end.
    """
    try:
        main()
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else EXIT_ERROR
        try:
            # There is none for who closed it.
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read it has seen enough of what waited.
            pass
        except OSError as error:
            print(f"persam-vos: cannot print: {error.strerror or error}", file=sys.stderr)
            status = EXIT_ERROR
        os._exit(status)


def main() -> None:
    """Run the command line and exit: 0 done, 2 one line of what was wrong, 130 interrupted."""
    share_one_arena()
    # Names of files need not be text; Python's own way of spelling such is undone where they are printed.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")
    # A polite kill ends a run like Ctrl-C does, and so does a closed terminal: the frames done so far are kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        status = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
    except PersamVosError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'the system says'}: {error.strerror or error}")
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "persam-vos"
        _fail(f"{error.format_message()} See '{command} --help'.")
    except (Interrupted, KeyboardInterrupt, typer.Abort):
        print("persam-vos: interrupted; what was not complete is not kept", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> None:
    print(f"persam-vos: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(EXIT_ERROR)
