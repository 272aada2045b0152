"""The options that commands share, in groups. The help adds the settings' choices and defaults to them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from persam_vos.cli.groups import OptionGroup
from persam_vos.errors import SettingsError
from persam_vos.prompts import ObjectPrompt, object_prompts, parse_box, parse_point

if TYPE_CHECKING:
    from persam_vos.media.masks.reading import MaskReading

VIDEO_SETTINGS = "persam_vos.settings.video:Settings"
PHOTO_SETTINGS = "persam_vos.settings.photos:PhotoSettings"
_MAX_ID = 255

Output = Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the results.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an earlier run was stopped.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no list of files.")]
LogJson = Annotated[
    bool, typer.Option("--log-json", help="Progress as lines of JSON on standard error, instead of a bar.")
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="YAML file of settings; flags win over it.")
]
Boxes = Annotated[
    list[str] | None,
    typer.Option(
        "--box", metavar="X0,Y0,X1,Y1", help="A box around an object, in pixels; another one for each object."
    ),
]
Points = Annotated[
    list[str] | None,
    typer.Option(
        "--point",
        metavar="X,Y[,-]",
        help="A point on the object, in pixels, or with ,- beside it; may be repeated, and go with one --box.",
    ),
]

Names = Annotated[
    list[str] | None, typer.Option("--name", metavar="ID=NAME", help="Name of an object; may be repeated.")
]
Colors = Annotated[
    list[str] | None, typer.Option("--color", metavar="ID=COLOR", help="Colour of an object; may be repeated.")
]


def only(allowed: Collection[int]) -> Callable[[int | None], int | None]:
    """Refuse other numbers; the option's metavar says which are allowed."""

    def check(number: int | None) -> int | None:
        if number is not None and number not in allowed:
            raise typer.BadParameter(f"is {number}")
        return number

    return check


@dataclass(frozen=True)
class EngineOptions(OptionGroup):
    """Which network, and what runs it."""

    title: ClassVar = "Network and machine"
    settings: ClassVar = "persam_vos.settings.common:EngineSettings"

    model: Annotated[
        str | None,
        typer.Option("--model", help="mobile_sam ships with the program; the others are downloaded once."),
    ] = None
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", metavar="FILE", help="File with the model's weights.")
    ] = None
    device: Annotated[
        str | None,
        typer.Option("--device", help="auto takes a CUDA device if there is one, which is untested; cpu is tested."),
    ] = None
    backend: Annotated[
        str | None, typer.Option("--backend", help="Runs the encoder; auto takes the fastest that is installed.")
    ] = None
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="Arithmetic of the networks; auto is bfloat16 where OpenVINO has it."),
    ] = None
    batch_size: Annotated[
        str | None, typer.Option("--batch-size", help="Frames encoded at once; OpenVINO takes 4 at most.")
    ] = None


@dataclass(frozen=True)
class MethodOptions(OptionGroup):
    """How an object is followed through a video."""

    title: ClassVar = "Method"
    settings: ClassVar = VIDEO_SETTINGS

    method: Annotated[
        str | None, typer.Option("--method", help="memory is the most accurate; the others are PerSAM and PerSAM-F.")
    ] = None
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="Preset of memory: quick encodes fewer frames; best also encodes the objects enlarged.",
        ),
    ] = None
    keep_first_mask: Annotated[
        bool | None,
        typer.Option("--keep-first-mask", help="Of memory: learn from the first mask without moving its edges."),
    ] = None


@dataclass(frozen=True)
class PersamOptions(OptionGroup):
    """What only PerSAM and PerSAM-F use on video."""

    title: ClassVar = "PerSAM and PerSAM-F (--method persam, persam-f)"
    settings: ClassVar = VIDEO_SETTINGS

    guidance: Annotated[
        str | None,
        typer.Option("--guidance", help="What the target guides in the decoder: its attention, its prompt tokens."),
    ] = None
    first_pass: Annotated[
        str | None, typer.Option("--first-pass", help="Which candidate mask of the first pass is refined.")
    ] = None
    update_target: Annotated[
        str | None,
        typer.Option("--update-target", help="Share by which a well segmented frame moves the target feature."),
    ] = None


@dataclass(frozen=True)
class MaskOptions(OptionGroup):
    """How a mask that a person made is read."""

    title: ClassVar = "Reading masks"

    resize_mask: Annotated[
        bool, typer.Option("--resize-mask", help="Scale a mask of another size instead of refusing it.")
    ] = False
    mask_threshold: Annotated[
        int | None,
        typer.Option(
            "--mask-threshold",
            metavar="0..254",
            callback=only(range(255)),
            help="Read a soft mask as one object: the pixels with more alpha, or brighter, than this.",
        ),
    ] = None
    invert_mask: Annotated[bool, typer.Option("--invert-mask", help="The object is what a mask leaves unpainted.")] = (
        False
    )
    mask_ids: Annotated[
        str | None, typer.Option("--mask-ids", metavar="ID,...", help="Read only these objects of a label map.")
    ] = None

    def reading(self) -> MaskReading:
        """Return how masks are read.

        Raises:
            SettingsError: If an id is none.
        """
        from persam_vos.media.masks.reading import MaskReading

        ids = names_of(self.mask_ids)
        if ids is not None and not (ids and all(each.isdecimal() and 0 < int(each[:4]) <= _MAX_ID for each in ids)):
            raise SettingsError(f"--mask-ids is {self.mask_ids!r}: it must be ids from 1 to 255, such as 1,5")
        numbers = None if ids is None else tuple(sorted({int(each) for each in ids}))
        return MaskReading(self.resize_mask, self.mask_threshold, self.invert_mask, numbers)


@dataclass(frozen=True)
class DavisOptions(OptionGroup):
    """Which sequences of DAVIS."""

    title: ClassVar = "Sequences"

    year: Annotated[
        int,
        typer.Option(
            "--year",
            metavar="[2016|2017]",
            callback=only((2016, 2017)),
            help="2016 has one object a sequence, 2017 several.",
        ),
    ] = 2017
    split: Annotated[str, typer.Option("--split", metavar="NAME", help="Name of the list of sequences.")] = "val"
    sequences: Annotated[
        str | None, typer.Option("--sequences", metavar="NAME,...", help="Only these sequences of the list.")
    ] = None


def names_of(text: str | None) -> list[str] | None:
    """Split names at commas."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def prompts_given(boxes: list[str] | None, points: list[str] | None) -> tuple[ObjectPrompt, ...]:
    """Return the prompts of --box and --point, one for each object.

    Raises:
        PromptError: If one of them is no such thing.
    """
    if not boxes and not points:
        return ()
    return object_prompts([*map(parse_box, boxes or ())], [*map(parse_point, points or ())])


def split_pair(text: str) -> tuple[Path, Path]:
    """Split PHOTO:MASK at the colon that leaves two files.

    Raises:
        SettingsError: If there is none.
    """
    for place, character in enumerate(text):
        if character == ":" and Path(text[:place]).is_file() and Path(text[place + 1 :]).is_file():
            return Path(text[:place]), Path(text[place + 1 :])
    raise SettingsError(f"{text!r}: must be PHOTO:MASK, two files that exist, with a colon between them")
