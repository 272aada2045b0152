"""The commands on video: options become settings and a job; its outcome becomes lines and a status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from persam_vos.cli.early import check_video, check_weights
from persam_vos.cli.groups import OptionGroup, takes_groups
from persam_vos.cli.options import (
    VIDEO_SETTINGS,
    Config,
    DavisOptions,
    EngineOptions,
    LogJson,
    MaskOptions,
    MethodOptions,
    Output,
    Overwrite,
    PersamOptions,
    Quiet,
    Resume,
    names_of,
)
from persam_vos.cli.progress import ProgressBar, shown_progress
from persam_vos.cli.prompting import PromptOptions, RangeOptions, prompting_of
from persam_vos.cli.status import EXIT_INTERRUPTED, interrupts_pass, say, show

if TYPE_CHECKING:
    from persam_vos.pipeline.writing import Outcome
    from persam_vos.prompts import Span
    from persam_vos.settings.video import Settings
    from persam_vos.video.prompting.prompting import Prompting

RUN_EPILOG = """
Example:
  persam-vos run clip.mp4 --first-mask mask.png -o out
  persam-vos run clip.mp4 --box 120,80,300,260 -o out

A box is left, top, right and bottom in pixels of the first frame; several boxes are several objects. A mask has the
size of the video: paint object 1 with value 1, object 2 with value 2, in a palette or greyscale PNG; or one object
simply white on black. Follow the object's outline.
"""


@dataclass(frozen=True)
class ReadingAndWritingOptions(OptionGroup):
    """How a video is read, and what is written."""

    title: ClassVar = "Reading and writing"
    settings: ClassVar = VIDEO_SETTINGS

    export: Annotated[str | None, typer.Option("--export", help="What is written, with commas.")] = None
    background: Annotated[
        str | None,
        typer.Option(
            "--background",
            metavar="COLOUR|blur|FILE",
            help="Behind a cut-out: a colour such as green or #0f0, the blurred frame, a picture or a video.",
        ),
    ] = None
    masks_format: Annotated[
        str | None,
        typer.Option("--masks-format", help="Of masks: one label map a frame, or one black and white PNG per object."),
    ] = None
    start_number: Annotated[
        str | None,
        typer.Option("--start-number", help="Of masks, rgba and exr: number of the first picture, such as 1001."),
    ] = None
    keep_names: Annotated[
        bool | None,
        typer.Option(
            "--keep-names", help="Of masks, rgba and exr: call pictures like the images of an image sequence."
        ),
    ] = None
    matte_codec: Annotated[
        str | None, typer.Option("--matte-codec", help="Of matte: H.264 in MP4, or ProRes 422 HQ in MOV.")
    ] = None
    alpha: Annotated[
        str | None,
        typer.Option("--alpha", help="Of prores, webm and rgba: colours as they are, or multiplied by alpha."),
    ] = None
    allow_playlists: Annotated[
        bool | None,
        typer.Option("--allow-playlists", help="Let a file, such as m3u8, lead to other files and addresses."),
    ] = None
    deinterlace: Annotated[
        bool | None, typer.Option("--deinterlace", help="Make every second row of interlaced frames anew.")
    ] = None
    per_object: Annotated[
        bool | None,
        typer.Option("--per-object", help="Of cutout, matte, prores, webm, rgba and exr: a file for each object."),
    ] = None
    grow: Annotated[
        str | None, typer.Option("--grow", help="Pixels by which objects are grown in all exports; below 0, shrunk.")
    ] = None
    feather: Annotated[
        str | None, typer.Option("--feather", help="Pixels to either side of the edges over which objects fade.")
    ] = None
    fill_holes: Annotated[
        bool | None, typer.Option("--fill-holes", help="Fill what one object encloses, in all exports.")
    ] = None
    min_area: Annotated[
        str | None, typer.Option("--min-area", help="Leave out parts of fewer pixels, in all exports.")
    ] = None
    reader: Annotated[
        str | None,
        typer.Option(
            "--reader", help="Decodes video files; decord takes memory without bound and turns mirrored video wrongly."
        ),
    ] = None


@dataclass(frozen=True)
class LiveOptions(OptionGroup):
    """How what is live is read."""

    title: ClassVar = "Live video"
    settings: ClassVar = VIDEO_SETTINGS

    max_latency: Annotated[
        str | None,
        typer.Option(
            "--max-latency", metavar="SECONDS", help="Of what is live: drop frames that come later than this."
        ),
    ] = None


@takes_groups
def run(
    video: Annotated[
        str,
        typer.Argument(
            metavar="VIDEO",
            help="Video file, folder or quoted pattern of images, address, camera (0), or - for standard input.",
        ),
    ],
    prompts: PromptOptions,
    frames: RangeOptions,
    masks: MaskOptions,
    method: MethodOptions,
    persam: PersamOptions,
    files: ReadingAndWritingOptions,
    live: LiveOptions,
    engine: EngineOptions,
    output: Output = Path("out"),
    config: Config = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Track objects, said on the first frame or on any, through VIDEO; write masks, overlay and tracks into OUTPUT."""
    flags = method.given() | persam.given() | files.given() | live.given() | engine.given()
    said = prompting_of(prompts, masks)
    how = {"overwrite": overwrite, "resume": resume, "quiet": quiet, "log_json": log_json}
    _track_video(video, output, config, flags, said=said, frames=frames, **how)


@takes_groups
def demo(
    method: MethodOptions,
    engine: EngineOptions,
    output: Output = Path("out/demo"),
    config: Config = None,
    quiet: Quiet = False,
) -> None:
    """Track the clip that ships, start to finish, replacing an earlier demo."""
    flags = method.given() | engine.given() | {"export": "masks,overlay,cutout,report"}
    with interrupts_pass():
        from persam_vos.media.demo import demo_clip

        video, mask = demo_clip()

    def said(_: Settings) -> tuple[Prompting, None]:
        from persam_vos.video.prompting.label_maps import AnnotationFile
        from persam_vos.video.prompting.prompting import Prompting

        return Prompting((AnnotationFile(mask),)), None

    _track_video(str(video), output, config, flags, said=said, overwrite=True, quiet=quiet)


@takes_groups
def davis(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of DAVIS: JPEGImages, Annotations, ImageSets.")],
    choice: DavisOptions,
    method: MethodOptions,
    persam: PersamOptions,
    engine: EngineOptions,
    output: Output = Path("out/davis"),
    config: Config = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Track every sequence of a DAVIS split, then score it."""
    chosen: dict[str, Any] = choice.given() | {"sequences": names_of(choice.sequences)}
    with interrupts_pass():
        from persam_vos.evaluation import DavisDataset
        from persam_vos.settings.video import load_settings

        settings = load_settings(config, method.given() | persam.given() | engine.given())
        check_weights(settings)
        DavisDataset(root, **chosen)  # or it says what is missing
        from persam_vos.benchmarks.davis import run_davis

        scores = run_davis(root, output, settings, ProgressBar(quiet), overwrite=overwrite, **chosen)
    for warning in scores.warnings:
        say(f"warning: {warning}")
    show(scores.table())


def _track_video(
    video: str,
    output: Path,
    config: Path | None,
    flags: dict[str, Any],
    *,
    said: Callable[[Settings], tuple[Prompting, Span | None]],
    frames: RangeOptions = RangeOptions(),
    overwrite: bool,
    quiet: bool,
    log_json: bool = False,
    resume: bool = False,
) -> None:
    progress = shown_progress(quiet, log_json, drops="the latest frames")
    with interrupts_pass(lambda: progress.has_advanced, lambda: _goes_on(output)):
        from persam_vos.settings.video import load_settings

        settings = load_settings(config, flags)
        check_video(video, settings, frames.span())
        prompting, span = said(settings)
        from persam_vos.video.run import run_video

        outcome = run_video(
            video,
            prompting,
            output,
            settings,
            progress,
            span=frames.span(span),
            backward=frames.backward,
            overwrite=overwrite,
            resume=resume,
        )
    _tell(outcome, output, resume=resume, quiet=quiet)


def _tell(outcome: Outcome, output: Path, *, resume: bool, quiet: bool) -> None:
    """Say how a run ended; exit if it was interrupted."""
    for warning in outcome.warnings:
        say(f"warning: {warning}")
    if outcome.interrupted:
        kept = "1 frame; it is kept" if outcome.frames == 1 else f"{outcome.frames} frames; they are kept"
        say(f"interrupted after {kept}, and --resume goes on")
    elif resume and not outcome.written:
        say(f"{output} is complete: nothing is left to do")
    if outcome.written and not quiet:
        show(*outcome.written)
    if outcome.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


def _goes_on(output: Path) -> bool:
    from persam_vos.video.resuming.resume import is_unfinished

    return is_unfinished(output)
