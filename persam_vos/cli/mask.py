"""The command that makes a mask from a box or points, to look at before anything is tracked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from persam_vos.cli.early import check_video
from persam_vos.cli.groups import takes_groups
from persam_vos.cli.options import Boxes, Config, EngineOptions, Overwrite, Points, Quiet, prompts_given
from persam_vos.cli.status import interrupts_pass, say, show
from persam_vos.errors import PromptError
from persam_vos.prompts import NamedObject, Span

MASK_EPILOG = """
Example:
  persam-vos mask clip.mp4 --box 120,80,300,260 -o mask.png --overlay look.jpg
  persam-vos run clip.mp4 --first-mask mask.png -o out
  persam-vos mask clip.mp4 --frame 57 --point 400,300 -o 57.png
  persam-vos run clip.mp4 --first-mask mask.png --prompt 57:57.png -o out

A box is left, top, right and bottom in pixels; several boxes are several objects, and object 1 has value 1. Points
belong to one object: the first on its middle, further ones where the mask is wrong.
"""


@takes_groups
def mask(
    source: Annotated[str, typer.Argument(metavar="VIDEO|PHOTO", help="Video, photo, or folder of images.")],
    engine: EngineOptions,
    box: Boxes = None,
    point: Points = None,
    frame: Annotated[
        str | None,
        typer.Option("--frame", metavar="FRAME|SECONDS", help="Which frame, from 0, or seconds.  [default: 0]"),
    ] = None,
    first_id: Annotated[
        int,
        typer.Option("--id", metavar="1..255", help="Value of the object, or of the first of several."),
    ] = 1,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The mask, a PNG.")] = Path("mask.png"),
    overlay: Annotated[
        Path | None,
        typer.Option("--overlay", metavar="FILE", help="Also the frame with its objects tinted, a PNG or JPEG."),
    ] = None,
    config: Config = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Make the mask of one frame or photo from a box or points."""
    prompts = prompts_given(box, point)
    if not prompts:
        raise PromptError("pass --box X0,Y0,X1,Y1 or --point X,Y, to say where the object is")
    NamedObject(first_id)  # or it says which ids are allowed
    with interrupts_pass():
        from persam_vos.settings.video import load_settings

        settings = load_settings(config, engine.given())
        check_video(source, settings, Span(frame))
        from persam_vos.video.mask_job import write_mask

        warnings = write_mask(
            source,
            prompts,
            output,
            settings,
            frame=frame,
            first_id=first_id,
            overlay=overlay,
            overwrite=overwrite,
        )
    for warning in warnings:
        say(f"warning: {warning}")
    if not quiet:
        show(*([output] if overlay is None else [output, overlay]))
