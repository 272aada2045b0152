"""The commands on photos: options become settings and a job; its outcome becomes lines and a status."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from persam_vos.cli.early import check_weights
from persam_vos.cli.groups import OptionGroup, takes_groups
from persam_vos.cli.options import (
    PHOTO_SETTINGS,
    Config,
    EngineOptions,
    LogJson,
    MaskOptions,
    Output,
    Overwrite,
    Quiet,
    names_of,
    split_pair,
)
from persam_vos.cli.progress import ProgressBar, shown_progress
from persam_vos.cli.status import EXIT_INCOMPLETE, EXIT_INTERRUPTED, interrupts_pass, say, show

if TYPE_CHECKING:
    from persam_vos.pipeline.writing import Outcome

IMAGE_EPILOG = """
Example:
  persam-vos image cat.jpg cat_mask.png holiday/ 'more/*.png' -o out

The mask has the size of its photo, as seen upright: paint object 1 with value 1, object 2 with value 2, in a palette
or greyscale PNG; or one object simply white on black.
"""

MoreReferences = Annotated[
    list[str] | None,
    typer.Option("--ref", metavar="PHOTO:MASK", help="One more annotated photo; may be repeated."),
]


@dataclass(frozen=True)
class PhotoMethodOptions(OptionGroup):
    """How an object is found in photos."""

    title: ClassVar = "Method"
    settings: ClassVar = PHOTO_SETTINGS

    method: Annotated[
        str | None, typer.Option("--method", help="memory is the most accurate; the others are PerSAM and PerSAM-F.")
    ] = None
    guidance: Annotated[
        str | None,
        typer.Option(
            "--guidance",
            help="Of persam and persam-f: what the target guides in the decoder.  [default: both with persam, none with"
            " persam-f]",
        ),
    ] = None
    max_megapixels: Annotated[
        str | None, typer.Option("--max-megapixels", help="Refuse photos that claim to be larger.")
    ] = None


@dataclass(frozen=True)
class PresenceOptions(OptionGroup):
    """When an object counts as found, and how many are looked for."""

    title: ClassVar = "What is found"
    settings: ClassVar = PHOTO_SETTINGS

    presence: Annotated[
        str | None,
        typer.Option(
            "--presence",
            help="Similarity to the reference from which an object counts as found, as a share of the usual one; 0"
            " takes every mask.  [default: 0.77 with memory, else 0; 0.85 for instances]",
        ),
    ] = None
    all_instances: Annotated[
        bool, typer.Option("--all-instances", help="Find everything that resembles the one object of the reference.")
    ] = False
    max_objects: Annotated[
        str | None, typer.Option("--max-objects", help="With --all-instances: instances in a photo, at most.")
    ] = None
    iou_threshold: Annotated[
        str | None,
        typer.Option(
            "--iou-threshold",
            help="With --erase pixels: share of an instance that earlier ones may already cover.",
        ),
    ] = None
    erase: Annotated[
        str | None,
        typer.Option("--erase", help="With --all-instances: how a found instance is excluded from the search."),
    ] = None


@dataclass(frozen=True)
class PhotoResultOptions(OptionGroup):
    """What is written of photos, and what happens when a run stops or a photo cannot be read."""

    title: ClassVar = "Results"
    settings: ClassVar = PHOTO_SETTINGS

    export: Annotated[str | None, typer.Option("--export", help="What is written, with commas.")] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier run was stopped.")] = False
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Leave out photos that cannot be read.")] = False
    overwrite: Overwrite = False

    def job_arguments(self) -> dict[str, bool]:
        """Return what is no setting, by the names of the job's arguments."""
        return {"resume": self.resume, "keep_going": self.keep_going, "overwrite": self.overwrite}


@takes_groups
def image(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="Photo that shows the object.")],
    reference_mask: Annotated[
        Path, typer.Argument(metavar="REFERENCE_MASK", help="Its mask: object 1 has value 1, and so on.")
    ],
    photos: Annotated[
        list[str], typer.Argument(metavar="PHOTOS", help="Photos, folders of photos, or quoted patterns.")
    ],
    results: PhotoResultOptions,
    found: PresenceOptions,
    method: PhotoMethodOptions,
    masks: MaskOptions,
    engine: EngineOptions,
    more: MoreReferences = None,
    output: Output = Path("out"),
    config: Config = None,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Find what REFERENCE shows in other PHOTOS, and write masks, overlays and cut-outs into OUTPUT."""
    flags = method.given() | found.given() | engine.given() | {"export": results.export}
    # Without the flag, the file decides.
    flags["all_instances"] = found.all_instances or None
    with interrupts_pass():
        from persam_vos.media.photo_files import find_photos
        from persam_vos.media.reference_files import ReferenceFile
        from persam_vos.settings.photos import load_photo_settings

        pairs = [(reference, reference_mask), *map(split_pair, more or ())]
        references = [ReferenceFile(*pair, masks.reading()) for pair in pairs]
        settings = load_photo_settings(config, flags)
        check_weights(settings)
        for each in references:
            each.read(settings.max_pixels)
        find_photos(photos)
        from persam_vos.photos.run import run_photos

        progress = shown_progress(quiet, log_json, "photo")
        outcome = run_photos(references, photos, output, settings, progress, **results.job_arguments())
    _tell(outcome, output, quiet)


def _tell(outcome: Outcome, output: Path, quiet: bool) -> None:
    """Say how the run ended, and exit with the status for it."""
    if outcome.interrupted:
        say(f"interrupted after {_photos(outcome.frames)}; --resume goes on")
        raise typer.Exit(EXIT_INTERRUPTED)
    if not quiet:
        show(output / "results.jsonl")
    if outcome.failed:
        failed = _photos(outcome.failed)
        say(f"{failed} could not be read; results.jsonl names them")
        raise typer.Exit(EXIT_INCOMPLETE)


def _photos(count: int) -> str:
    return f"{count} photo" if count == 1 else f"{count} photos"


@takes_groups
def perseg(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of PerSeg: Images, Annotations.")],
    method: PhotoMethodOptions,
    engine: EngineOptions,
    output: Output = Path("out/perseg"),
    classes: Annotated[str | None, typer.Option("--classes", metavar="NAME,...", help="Only these classes.")] = None,
    config: Config = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Segment PerSeg, each class by its photo 00, then score it."""
    with interrupts_pass():
        from persam_vos.evaluation import PerSegDataset
        from persam_vos.settings.photos import load_photo_settings

        settings = load_photo_settings(config, method.given() | engine.given())
        check_weights(settings)
        PerSegDataset(root, classes=names_of(classes))  # or it says what is missing
        from persam_vos.benchmarks.perseg import run_perseg

        progress = ProgressBar(quiet, "photo")
        scores = run_perseg(root, output, settings, progress, classes=names_of(classes), overwrite=overwrite)
    show(scores.table())
