"""The command on masks that exist already: any export of them, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from persam_vos.cli.groups import takes_groups
from persam_vos.cli.options import Colors, Config, LogJson, MaskOptions, Names, Output, Overwrite, Quiet
from persam_vos.cli.progress import shown_progress
from persam_vos.cli.prompting import SpanOptions, named_objects
from persam_vos.cli.status import EXIT_INTERRUPTED, interrupts_pass, say, show
from persam_vos.cli.video import ReadingAndWritingOptions

RENDER_EPILOG = """
Example:
  persam-vos render clip.mp4 out --export coco,overlay -o coco
  persam-vos render clip.mp4 masks/ --name 1=dog --export masks --masks-format binary -o binary

MASKS is the folder of a run, a folder of label maps such as 00000.png, or a folder of folders for each object, such as
1_dog/00000.png, in white on black. A number in a name is that of the frame, from 0.
"""


@takes_groups
def render(
    video: Annotated[
        str, typer.Argument(metavar="VIDEO", help="Video file, folder of images, or quoted pattern of images.")
    ],
    masks: Annotated[Path, typer.Argument(metavar="MASKS", help="Folder of masks, or of a run.")],
    frames: SpanOptions,
    reading: MaskOptions,
    files: ReadingAndWritingOptions,
    name: Names = None,
    color: Colors = None,
    output: Output = Path("out/render"),
    config: Config = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Write exports of masks that exist already into OUTPUT; nothing is tracked."""
    progress = shown_progress(quiet, log_json, drops="the latest frames")
    with interrupts_pass(lambda: progress.has_advanced):
        from persam_vos.rendering.render import render_video
        from persam_vos.settings.video import load_settings

        flags = files.given()
        if config is None and flags["export"] is None:
            flags["export"] = "overlay"
        outcome = render_video(
            video,
            masks,
            output,
            load_settings(config, flags),
            progress,
            objects=named_objects(name, color),
            span=frames.span(),
            how=reading.reading(),
            overwrite=overwrite,
        )
    for warning in outcome.warnings:
        say(f"warning: {warning}")
    if outcome.interrupted:
        say(f"interrupted after {outcome.frames} frames; they are kept")
    if not quiet:
        show(*outcome.written)
    if outcome.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
