"""The commands on video: options become settings and a job; its outcome becomes lines and a status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from persam_vos.cli.groups import OptionGroup, takes_groups
from persam_vos.cli.options import (
    PHOTO_SETTINGS,
    VIDEO_SETTINGS,
    Boxes,
    Config,
    DavisOptions,
    EngineOptions,
    MaskOptions,
    MethodOptions,
    Output,
    Overwrite,
    PersamOptions,
    Points,
    Quiet,
    names_of,
    prompts_given,
    split_pair,
)
from persam_vos.cli.progress import ProgressBar
from persam_vos.cli.status import EXIT_INTERRUPTED, interrupts_pass, say
from persam_vos.errors import SettingsError

if TYPE_CHECKING:
    from persam_vos.settings.video import Settings
    from persam_vos.video.first_frame import FirstFrame

RUN_EPILOG = """
Example:
  persam-vos run clip.mp4 --first-mask mask.png -o out
  persam-vos run clip.mp4 --box 120,80,300,260 -o out

A box is left, top, right and bottom in pixels of the first frame; several boxes are several objects. A mask has the
size of the video: paint object 1 with value 1, object 2 with value 2, in a palette or greyscale PNG; or one object
simply white on black. Follow the object's outline.
"""


@dataclass(frozen=True)
class FirstFrameOptions(OptionGroup):
    """Where the objects are in the first frame."""

    title: ClassVar = "First frame: --first-mask, --box and --point, or --first-ref"
    settings: ClassVar = PHOTO_SETTINGS

    first_mask: Annotated[
        Path | None,
        typer.Option(
            "--first-mask", metavar="FILE", help="Mask of the first frame, no other: object 1 has value 1, and so on."
        ),
    ] = None
    box: Boxes = None
    point: Points = None
    first_ref: Annotated[
        list[str] | None,
        typer.Option(
            "--first-ref",
            metavar="PHOTO:MASK",
            help="Instead: a photo of the object and its mask; may be repeated.",
        ),
    ] = None
    all_instances: Annotated[
        bool, typer.Option("--all-instances", help="With --first-ref: track everything that resembles the object.")
    ] = False
    max_objects: Annotated[
        str | None, typer.Option("--max-objects", help="With --all-instances: instances, at most.")
    ] = None
    presence: Annotated[
        str | None,
        typer.Option(
            "--presence",
            help="With --first-ref: similarity from which an object counts as found, as a share of the usual one; 0"
            " takes every mask.  [default: 0.77 with memory, else 0; 0.85 for instances]",
        ),
    ] = None

    def of_photos(self) -> dict[str, Any]:
        """Return the options that go with --first-ref only, by the names of the settings; None where not given."""
        return {
            "all_instances": self.all_instances or None,
            "max_objects": self.max_objects,
            "presence": self.presence,
        }


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
            metavar="COLOUR",
            help="Behind a cut-out: a CSS name such as green, or a code such as #0f0.",
        ),
    ] = None
    reader: Annotated[
        str | None,
        typer.Option(
            "--reader", help="Decodes video files; decord takes memory without bound and turns mirrored video wrongly."
        ),
    ] = None


@takes_groups
def run(
    video: Annotated[
        str, typer.Argument(metavar="VIDEO", help="Video file, folder of images, or quoted pattern of images.")
    ],
    first: FirstFrameOptions,
    masks: MaskOptions,
    method: MethodOptions,
    persam: PersamOptions,
    files: ReadingAndWritingOptions,
    engine: EngineOptions,
    output: Output = Path("out"),
    config: Config = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Track the objects of the first frame through VIDEO and write masks, overlay and tracks into OUTPUT."""
    flags = method.given() | persam.given() | files.given() | engine.given()
    chosen = _first_frame(first, masks)
    _track_video(video, output, config, flags, first=chosen, overwrite=overwrite, quiet=quiet)


@takes_groups
def demo(
    method: MethodOptions,
    engine: EngineOptions,
    output: Output = Path("out/demo"),
    config: Config = None,
    quiet: Quiet = False,
) -> None:
    """Track the clip that ships, start to finish, replacing an earlier demo."""
    flags = method.given() | engine.given() | {"export": "masks,overlay,cutout"}
    with interrupts_pass():
        from persam_vos.media.demo import demo_clip

        video, mask = demo_clip()

    def first(_: Settings) -> FirstFrame:
        from persam_vos.video.first_frame import AnnotationFile

        return AnnotationFile(mask)

    _track_video(str(video), output, config, flags, first=first, overwrite=True, quiet=quiet)


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
        from persam_vos.benchmarks.davis import run_davis
        from persam_vos.settings.video import load_settings

        settings = load_settings(config, method.given() | persam.given() | engine.given())
        scores = run_davis(root, output, settings, ProgressBar(quiet), overwrite=overwrite, **chosen)
    print(scores.table())


def _first_frame(options: FirstFrameOptions, masks: MaskOptions) -> Callable[[Settings], FirstFrame]:
    """Choose what says where the objects of the first frame are, once the settings are known.

    Raises:
        SettingsError: Unless there is a mask, or boxes and points, or photos; or if an option of photos goes without.
        PromptError: If a box or a point is no such thing.
    """
    mask, pairs = options.first_mask, options.first_ref or ()
    prompts = prompts_given(options.box, options.point)
    if (ways := (mask is not None) + bool(prompts) + bool(pairs)) != 1:
        raise SettingsError(
            "pass --first-mask MASK, --box X0,Y0,X1,Y1 or --point X,Y, or --first-ref PHOTO:MASK,"
            f" {'only one of these' if ways else 'to say what to track'}"
        )
    if prompts and (masks.resize_mask or masks.mask_threshold is not None):
        raise SettingsError("--resize-mask and --mask-threshold go with a mask, and --box and --point give none")
    given = [name for name, value in options.of_photos().items() if value is not None]
    if not pairs and given:
        raise SettingsError(f"--{given[0].replace('_', '-')} goes with --first-ref, which was not given")

    def first(settings: Settings) -> FirstFrame:
        if mask:
            from persam_vos.video.first_frame import AnnotationFile

            return AnnotationFile(mask, masks.resize_mask, masks.mask_threshold)
        if prompts:
            from persam_vos.video.first_prompt import FirstPrompts

            return FirstPrompts(prompts)
        # What photos need takes time to import.
        from persam_vos.media.reference_files import ReferenceFile
        from persam_vos.video.first_reference import FirstReference, reference_settings

        files = [ReferenceFile(*split_pair(pair), masks.resize_mask, masks.mask_threshold) for pair in pairs]
        return FirstReference(tuple(files), reference_settings(settings, settings.method, **options.of_photos()))

    return first


def _track_video(
    video: str,
    output: Path,
    config: Path | None,
    flags: dict[str, Any],
    *,
    first: Callable[[Settings], FirstFrame],
    overwrite: bool,
    quiet: bool,
) -> None:
    progress = ProgressBar(quiet, drops="the frames done so far")
    with interrupts_pass(lambda: progress.has_advanced):
        from persam_vos.settings.video import load_settings
        from persam_vos.video.run import run_video

        settings = load_settings(config, flags)
        outcome = run_video(video, first(settings), output, settings, progress, overwrite=overwrite)
    for warning in outcome.warnings:
        say(f"warning: {warning}")
    if outcome.interrupted:
        kept = "1 frame; it is kept" if outcome.frames == 1 else f"{outcome.frames} frames; they are kept"
        say(f"interrupted after {kept}")
    if not quiet:
        print("\n".join(str(path) for path in outcome.written))
    if outcome.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
