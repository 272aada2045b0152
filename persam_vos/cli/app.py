"""The program: commands, exit statuses, and errors as one line on standard error."""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import suppress
from typing import Annotated

import typer

from persam_vos import __version__
from persam_vos.cli.batch import BATCH_EPILOG, batch
from persam_vos.cli.command import Command, CommandGroup, UsageError
from persam_vos.cli.mask import MASK_EPILOG, mask
from persam_vos.cli.models import models
from persam_vos.cli.photos import IMAGE_EPILOG, image, perseg
from persam_vos.cli.render import RENDER_EPILOG, render
from persam_vos.cli.score import score
from persam_vos.cli.status import EXIT_DONE, EXIT_ERROR, EXIT_INTERRUPTED, Interrupted, say
from persam_vos.cli.studio import STUDIO_EPILOG, studio
from persam_vos.cli.video import RUN_EPILOG, davis, demo, run
from persam_vos.errors import PersamVosError, is_short_of_memory
from persam_vos.pipeline.interrupt import PROCESS_INTERRUPTS, ending_signals
from persam_vos.pipeline.malloc import share_one_arena

_OUT_OF_MEMORY = (
    "there is too little memory for this; end other programs, raise the limit of this one (ulimit -v, Slurm's --mem),"
    " or pass smaller frames or photos; what was saved before stays, and --resume goes on with it"
)

app = typer.Typer(
    cls=CommandGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Mask an object in the first frame of a video, get its mask in every frame.",
)
for command, short_help, epilog in (
    (run, "Track objects through a video, from its first frame.", RUN_EPILOG),
    (studio, "Mark, propagate, mend and export in the browser.", STUDIO_EPILOG),
    (batch, "Track objects through many videos, on one machine or many.", BATCH_EPILOG),
    (render, "Write exports of masks that exist already.", RENDER_EPILOG),
    (mask, "Make the mask of one frame or photo from a box or points.", MASK_EPILOG),
    (demo, "Track the clip that ships with the program.", None),
    (davis, "Track every sequence of a DAVIS split, then score it.", None),
    (image, "Find in other photos what one photo shows.", IMAGE_EPILOG),
    (perseg, "Segment PerSeg, then score it.", None),
    (score, "Score PNGs that exist already, as DAVIS does.", None),
    (models, "List, verify or find the models' weights.", None),
):
    app.command(cls=Command, short_help=short_help, epilog=epilog)(command)


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


def entry_point() -> None:
    """Run the program and end the process at once.

    Results are written by then. An ordinary exit takes PyTorch and OpenVINO apart, which takes most of a second.
    """
    status = main()
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.flush()
    os._exit(status)


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Words after the program's name; None for those of the process.

    Returns:
        The exit status: 0 done, 1 done in part, 2 one line says what is wrong, 130 interrupted.
    """
    share_one_arena()
    # File names need not be text: Python's escapes for such bytes are printed as the bytes again.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")
    former = {each: signal.signal(each, PROCESS_INTERRUPTS.raise_if_new) for each in ending_signals()}
    try:
        return _flushed(_run(sys.argv[1:] if argv is None else argv))
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)


def _run(argv: list[str]) -> int:
    try:
        status = app(args=argv or ["--help"], prog_name="persam-vos", standalone_mode=False)
    except PersamVosError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename or 'the system says'}: {error.strerror or error}")
    except UsageError as error:
        from persam_vos.cli.suggestions import explain

        return _failed(explain(error))
    except Interrupted as interrupted:
        say(str(interrupted))
        return EXIT_INTERRUPTED
    except (KeyboardInterrupt, typer.Abort):
        say(str(Interrupted()))
        return EXIT_INTERRUPTED
    except Exception as error:
        if not is_short_of_memory(error):
            raise
        return _failed(_OUT_OF_MEMORY)
    return status if isinstance(status, int) else EXIT_DONE


def _failed(message: str) -> int:
    say(message)
    return EXIT_ERROR


def _flushed(status: int) -> int:
    """Print what still waits, and return the status; another one if it cannot be printed."""
    try:
        # Standard output is None where it was closed before the start.
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough.
        _discard_output()
    except OSError as error:
        _discard_output()
        return _failed(f"cannot print: {error.strerror or error}")
    return status


def _discard_output() -> None:
    """Drop what waits to be printed, since the interpreter would try again at its end and complain."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
