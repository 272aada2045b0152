"""The command line: reads flags, calls the stages, prints, and decides the exit status."""

from __future__ import annotations

import io
import signal
import sys
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from persam_vos import __version__
from persam_vos.allocation import share_one_arena
from persam_vos.errors import PersamVosError, SettingsError
from persam_vos.options import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    Backend,
    Background,
    BatchSize,
    Checkpoint,
    Config,
    Device,
    Export,
    FirstPass,
    Guidance,
    Interrupted,
    Method,
    Model,
    Output,
    Overwrite,
    Precision,
    Preset,
    Quiet,
    Reader,
    Sequences,
    Split,
    Text,
    UpdateTarget,
    Year,
    flags_of,
    names_of,
    own_interrupt,
)
from persam_vos.photo_cli import image, perseg
from persam_vos.progress import ProgressBar

# Typer carries its own copy of click in some versions and uses the installed one in others.
UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Mask an object in one frame of a video, get its mask in every frame.",
)

app.command()(image)
app.command()(perseg)


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
def run(
    video: Annotated[str, typer.Argument(help="Video file, folder of images, or glob.")],
    first_mask: Annotated[Path, typer.Option("--first-mask", help="Mask of the first frame: object n has value n.")],
    output: Output = Path("out"),
    resize_mask: Annotated[bool, typer.Option("--resize-mask", help="Scale a mask of another size.")] = False,
    mask_threshold: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--mask-threshold", min=0, max=254, help="Take a soft mask as one object above this brightness."),
    ] = None,
    method: Method = None,
    preset: Preset = None,
    model: Model = None,
    checkpoint: Checkpoint = None,
    device: Device = None,
    backend: Backend = None,
    precision: Precision = None,
    batch_size: BatchSize = None,
    reader: Reader = None,
    guidance: Guidance = None,
    first_pass: FirstPass = None,
    update_target: UpdateTarget = None,
    export: Export = None,
    background: Background = None,
    config: Config = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Track the objects of the first frame through VIDEO and write masks, overlay and tracks into OUTPUT."""
    flags = flags_of(
        method=method, preset=preset, model=model, checkpoint=checkpoint, device=device, backend=backend,
        precision=precision, batch_size=batch_size,
        reader=reader, guidance=guidance, first_pass=first_pass, update_target=update_target, export=export,
        background=background,
    )  # fmt: skip
    mask = (first_mask, resize_mask, mask_threshold)
    _track_video(video, output, config, flags, mask=mask, overwrite=overwrite, quiet=quiet)


@app.command()
def demo(
    output: Output = Path("out/demo"),
    method: Method = None,
    preset: Preset = None,
    model: Model = None,
    checkpoint: Checkpoint = None,
    device: Device = None,
    backend: Backend = None,
    precision: Precision = None,
    batch_size: BatchSize = None,
    config: Config = None,
    quiet: Quiet = False,
) -> None:
    """Track the clip that ships, start to finish, replacing an earlier demo."""
    flags = flags_of(
        method=method, preset=preset, model=model, checkpoint=checkpoint, device=device, backend=backend,
        precision=precision, batch_size=batch_size,
        export="masks,overlay,cutout",
    )  # fmt: skip
    with resources.as_file(resources.files("persam_vos") / "data") as data:
        mask = (data / "bunny_mask.png", False, None)
        _track_video(str(data / "bunny.mp4"), output, config, flags, mask=mask, overwrite=True, quiet=quiet)


@app.command()
def davis(
    root: Annotated[Path, typer.Argument(help="Folder of DAVIS: JPEGImages, Annotations, ImageSets.")],
    output: Output = Path("out/davis"),
    year: Year = 2017,
    split: Split = "val",
    sequences: Sequences = None,
    method: Method = None,
    preset: Preset = None,
    model: Model = None,
    checkpoint: Checkpoint = None,
    device: Device = None,
    backend: Backend = None,
    precision: Precision = None,
    batch_size: BatchSize = None,
    guidance: Guidance = None,
    first_pass: FirstPass = None,
    update_target: UpdateTarget = None,
    config: Config = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Track every sequence of a DAVIS split, then score it."""
    flags = flags_of(
        method=method, preset=preset, model=model, checkpoint=checkpoint, device=device, backend=backend,
        precision=precision, batch_size=batch_size,
        guidance=guidance, first_pass=first_pass, update_target=update_target,
    )  # fmt: skip
    chosen: dict[str, Any] = {"year": year, "split": split, "sequences": names_of(sequences)}
    with own_interrupt():
        from persam_vos.config import load_settings
        from persam_vos.jobs import run_davis

        settings = load_settings(config, flags)
        scores = run_davis(root, output, settings, ProgressBar(quiet), overwrite=overwrite, **chosen)
    print(scores.table())


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

    from persam_vos.davis import score_davis

    with tqdm(unit="frame", disable=quiet or None, leave=False) as bar:

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
    from persam_vos.models.checkpoints import CHECKPOINTS, checkpoint_path, list_checkpoints, verify_checkpoint

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


def main() -> None:
    """Run the command line and exit: 0 done, 2 one line of what was wrong, 130 interrupted."""
    share_one_arena()
    # Names of files need not be text; Python's own way of spelling such is undone where they are printed.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")
    # A polite kill ends a run like Ctrl-C does: the frames done so far are kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
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


def _track_video(
    video: str,
    output: Path,
    config: Path | None,
    flags: dict[str, Any],
    *,
    mask: tuple[Path, bool, int | None],
    overwrite: bool,
    quiet: bool,
) -> None:
    with own_interrupt():
        from persam_vos.config import load_settings
        from persam_vos.jobs import AnnotationFile, run_video

        settings = load_settings(config, flags)
        outcome = run_video(video, AnnotationFile(*mask), output, settings, ProgressBar(quiet), overwrite=overwrite)
    for warning in outcome.warnings:
        print(f"persam-vos: warning: {warning}", file=sys.stderr)
    if outcome.interrupted:
        print(f"persam-vos: interrupted after {outcome.frames} frames; they are kept", file=sys.stderr)
    if not quiet:
        print("\n".join(str(path) for path in outcome.written))
    if outcome.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
