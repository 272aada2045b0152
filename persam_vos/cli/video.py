"""The commands on video: read flags, call the stages, print, and decide the exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from persam_vos.cli.options import (
    EXIT_INTERRUPTED,
    AllInstances,
    Backend,
    Background,
    BatchSize,
    Checkpoint,
    Config,
    Device,
    Export,
    FirstPass,
    Guidance,
    MaskThreshold,
    MaxObjects,
    Method,
    Model,
    Output,
    Overwrite,
    Precision,
    Presence,
    Preset,
    Quiet,
    Reader,
    ResizeMask,
    Sequences,
    Split,
    UpdateTarget,
    Year,
    flags_of,
    names_of,
    own_interrupt,
    split_pair,
)
from persam_vos.cli.progress import ProgressBar
from persam_vos.errors import SettingsError

if TYPE_CHECKING:
    from persam_vos.settings.video import Settings
    from persam_vos.video.first_frame import FirstFrame


def run(
    video: Annotated[str, typer.Argument(help="Video file, folder of images, or glob.")],
    first_mask: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--first-mask", help="Mask of the first frame: object n has value n."),
    ] = None,
    first_ref: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--first-ref",
            metavar="PHOTO:MASK",
            help="Instead of a mask: a photo of the object and its mask; may be repeated.",
        ),
    ] = None,
    all_instances: AllInstances = False,
    max_objects: MaxObjects = None,
    presence: Presence = None,
    output: Output = Path("out"),
    resize_mask: ResizeMask = False,
    mask_threshold: MaskThreshold = None,
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
    of_references = {"all_instances": all_instances or None, "max_objects": max_objects, "presence": presence}
    first = _first_frame_of(first_mask, first_ref or (), (resize_mask, mask_threshold), of_references)
    _track_video(video, output, config, flags, first=first, overwrite=overwrite, quiet=quiet)


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

        def first(_: Settings) -> FirstFrame:
            from persam_vos.video.first_frame import AnnotationFile

            return AnnotationFile(data / "bunny_mask.png")

        _track_video(str(data / "bunny.mp4"), output, config, flags, first=first, overwrite=True, quiet=quiet)


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
        from persam_vos.benchmarks.davis import run_davis
        from persam_vos.settings.video import load_settings

        settings = load_settings(config, flags)
        scores = run_davis(root, output, settings, ProgressBar(quiet), overwrite=overwrite, **chosen)
    print(scores.table())


def _first_frame_of(
    first_mask: Path | None,
    first_refs: Sequence[str],
    mask_options: tuple[bool, int | None],
    of_references: Mapping[str, Any],
) -> Callable[[Settings], FirstFrame]:
    """Choose what says where the objects of the first frame are, once the settings are known.

    Raises:
        SettingsError: Unless there is either a mask or photos; ``of_references`` goes with the latter only.
    """
    if (first_mask is None) == (not first_refs):
        raise SettingsError("pass --first-mask MASK or --first-ref PHOTO:MASK, one of both")
    given = [name for name, value in of_references.items() if value is not None]
    if first_mask and given:
        raise SettingsError(f"--{given[0].replace('_', '-')} goes with --first-ref, which was not given")

    def first(settings: Settings) -> FirstFrame:
        if first_mask:
            from persam_vos.video.first_frame import AnnotationFile

            return AnnotationFile(first_mask, *mask_options)
        # Only here: what photos need takes time to import.
        from persam_vos.media.reference_files import ReferenceFile
        from persam_vos.video.first_reference import FirstReference, reference_settings

        references = tuple(ReferenceFile(*split_pair(pair), *mask_options) for pair in first_refs)
        return FirstReference(references, reference_settings(settings, settings.method, **of_references))

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
    with own_interrupt():
        from persam_vos.settings.video import load_settings
        from persam_vos.video.run import run_video

        settings = load_settings(config, flags)
        outcome = run_video(video, first(settings), output, settings, ProgressBar(quiet), overwrite=overwrite)
    for warning in outcome.warnings:
        print(f"persam-vos: warning: {warning}", file=sys.stderr)
    if outcome.interrupted:
        print(f"persam-vos: interrupted after {outcome.frames} frames; they are kept", file=sys.stderr)
    if not quiet:
        print("\n".join(str(path) for path in outcome.written))
    if outcome.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
