"""The commands on photos: read flags, call the stages, print, and decide the exit status."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from persam_vos.cli.options import (
    EXIT_INTERRUPTED,
    AllInstances,
    Backend,
    BatchSize,
    Checkpoint,
    Config,
    Device,
    MaskThreshold,
    MaxObjects,
    Method,
    Model,
    Output,
    Overwrite,
    Precision,
    Presence,
    Quiet,
    ResizeMask,
    Text,
    flags_of,
    names_of,
    own_interrupt,
    split_pair,
)
from persam_vos.cli.progress import ProgressBar

if TYPE_CHECKING:
    from persam_vos.photos.pipeline import PhotoOutcome


EXIT_INCOMPLETE = 1
PhotoExport = Annotated[
    Text, typer.Option("--export", help="Of masks, overlay, cutout; with commas.  [default: all three]")
]
Number = Optional[float]  # noqa: UP045
MoreReferences = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--ref", metavar="PHOTO:MASK", help="One more annotated photo; may be repeated."),
]
Guidance = Annotated[
    Text,
    typer.Option(
        "--guidance",
        help="Of persam and persam-f: none, attention, prompting or both.  [default: both of persam, none of persam-f]",
    ),
]
IouThreshold = Annotated[
    Number,
    typer.Option(
        "--iou-threshold",
        metavar="SHARE",
        help="With --erase pixels: of an instance, what may be found already.  [default: 0.3]",
    ),
]
Erase = Annotated[
    Text, typer.Option("--erase", help="How an instance is taken out: similarity or pixels.  [default: similarity]")
]
MaxMegapixels = Annotated[
    Number, typer.Option("--max-megapixels", help="Refuse photos that claim to be larger.  [default: 100]")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an earlier run was stopped.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="Leave out photos that cannot be read.")]


def image(
    reference: Annotated[Path, typer.Argument(help="Photo that shows the object.")],
    reference_mask: Annotated[Path, typer.Argument(help="Its mask: object n has value n.")],
    photos: Annotated[list[str], typer.Argument(help="Photos, folders of photos, or globs.")],
    more: MoreReferences = None,
    resize_mask: ResizeMask = False,
    mask_threshold: MaskThreshold = None,
    output: Output = Path("out"),
    method: Method = None,
    all_instances: AllInstances = False,
    max_objects: MaxObjects = None,
    iou_threshold: IouThreshold = None,
    erase: Erase = None,
    presence: Presence = None,
    guidance: Guidance = None,
    model: Model = None,
    checkpoint: Checkpoint = None,
    device: Device = None,
    backend: Backend = None,
    precision: Precision = None,
    batch_size: BatchSize = None,
    max_megapixels: MaxMegapixels = None,
    export: PhotoExport = None,
    config: Config = None,
    resume: Resume = False,
    keep_going: KeepGoing = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Find what REFERENCE shows in other PHOTOS, and write masks, overlays and cut-outs into OUTPUT.

    REFERENCE_MASK is a palette or greyscale picture in which object n has the value n, or white on black, of the size
    at which REFERENCE is seen.
    """
    flags = flags_of(
        method=method, all_instances=all_instances or None, max_objects=max_objects, iou_threshold=iou_threshold,
        erase=erase, presence=presence, guidance=guidance, model=model, checkpoint=checkpoint, device=device,
        backend=backend, precision=precision, batch_size=batch_size, max_megapixels=max_megapixels, export=export,
    )  # fmt: skip
    ways: dict[str, Any] = {"overwrite": overwrite, "resume": resume, "keep_going": keep_going}
    with own_interrupt():
        from persam_vos.media.reference_files import ReferenceFile
        from persam_vos.photos.run import run_photos
        from persam_vos.settings.photos import load_photo_settings

        pairs = [(reference, reference_mask), *map(split_pair, more or ())]
        references = [ReferenceFile(*pair, resize_mask, mask_threshold) for pair in pairs]
        settings = load_photo_settings(config, flags)
        outcome = run_photos(references, photos, output, settings, ProgressBar(quiet, "photo"), **ways)
    _tell(outcome, output, quiet)


def _tell(outcome: PhotoOutcome, output: Path, quiet: bool) -> None:
    """Say how it ended, and exit with the status for it."""
    if outcome.interrupted:
        print(f"persam-vos: interrupted after {_photos(outcome.photos)}; --resume goes on", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED)
    if not quiet:
        print(output / "results.jsonl")
    if outcome.failed:
        failed = _photos(outcome.failed)
        print(f"persam-vos: {failed} could not be read, as results.jsonl says", file=sys.stderr)
        raise typer.Exit(EXIT_INCOMPLETE)


def _photos(count: int) -> str:
    return f"{count} photo" if count == 1 else f"{count} photos"


def perseg(
    root: Annotated[Path, typer.Argument(help="Folder of PerSeg: Images, Annotations.")],
    output: Output = Path("out/perseg"),
    classes: Annotated[Text, typer.Option("--classes", help="Only these, with commas.")] = None,
    method: Method = None,
    guidance: Guidance = None,
    model: Model = None,
    checkpoint: Checkpoint = None,
    device: Device = None,
    backend: Backend = None,
    precision: Precision = None,
    batch_size: BatchSize = None,
    max_megapixels: MaxMegapixels = None,
    config: Config = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Segment PerSeg, each class by its photo 00, then score it."""
    flags = flags_of(
        method=method, guidance=guidance, model=model, checkpoint=checkpoint, device=device, backend=backend,
        precision=precision, batch_size=batch_size, max_megapixels=max_megapixels,
    )  # fmt: skip
    with own_interrupt():
        from persam_vos.benchmarks.perseg import run_perseg
        from persam_vos.settings.photos import load_photo_settings

        settings = load_photo_settings(config, flags)
        progress = ProgressBar(quiet, "photo")
        scores = run_perseg(root, output, settings, progress, classes=names_of(classes), overwrite=overwrite)
    print(scores.table())
