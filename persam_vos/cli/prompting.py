"""The options that say where the objects of a video are: words become prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from persam_vos.cli.early import check_masks
from persam_vos.cli.groups import OptionGroup
from persam_vos.cli.options import PHOTO_SETTINGS, Boxes, Colors, MaskOptions, Names, Points, prompts_given, split_pair
from persam_vos.errors import PromptError, SettingsError
from persam_vos.prompts import NamedObject, ObjectPrompt, Prompt, Span, VideoPrompts, hex_colour, span_of

if TYPE_CHECKING:
    from persam_vos.settings.video import Settings
    from persam_vos.video.prompting.prompting import Prompting, PromptSource

_PROMPT_FORM = "FRAME:MASK, such as 57:mask.png"
_OBJECT_FORM = "ID=MASK with an id from 1 to 255, such as 1=dog.png"

# Of a frame, a stride or an id.
_MOST_DIGITS = 12


@dataclass(frozen=True)
class PromptOptions(OptionGroup):
    """Where the objects are."""

    title: ClassVar = "Where the objects are"
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
    object_mask: Annotated[
        list[str] | None,
        typer.Option("--object", metavar="ID=MASK", help="Mask of one object on the first frame; may be repeated."),
    ] = None
    prompt: Annotated[
        list[str] | None,
        typer.Option("--prompt", metavar="FRAME:MASK", help="Mask of any frame, from 0; may be repeated."),
    ] = None
    prompts: Annotated[
        Path | None, typer.Option("--prompts", metavar="FILE", help="All of it in a prompts.json, as every run writes.")
    ] = None
    name: Names = None
    color: Colors = None
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

    def of_first_frame(self) -> tuple[Prompt, ...]:
        """Return the prompts of --box, --point and --object.

        Raises:
            PromptError: If one of them is no such thing.
        """
        shown = [Prompt(None, n, says) for n, says in enumerate(prompts_given(self.box, self.point), 1)]
        masks = [_split_id(text, "--object", _OBJECT_FORM) for text in self.object_mask or ()]
        return (*shown, *(Prompt(None, number, ObjectPrompt(mask=Path(path))) for number, path in masks))


@dataclass(frozen=True)
class SpanOptions(OptionGroup):
    """Which frames of a video."""

    title: ClassVar = "Which frames"

    start: Annotated[
        str | None,
        typer.Option("--start", metavar="FRAME|SECONDS", help="First frame, from 0, or seconds such as 12.5s."),
    ] = None
    end: Annotated[
        str | None, typer.Option("--end", metavar="FRAME|SECONDS", help="First frame that is left out, or seconds.")
    ] = None
    stride: Annotated[
        str | None, typer.Option("--stride", metavar="N", help="Every N-th frame from the start on.  [default: 1]")
    ] = None

    def span(self, other: Span | None = None) -> Span:
        """Return the frames; the other span counts where nothing is given.

        Raises:
            SettingsError: If the stride is no number.
        """
        if self.stride is not None and not (_is_whole(self.stride) and int(self.stride)):
            raise SettingsError(f"--stride is {self.stride!r}: it must be a whole number, at least 1")
        return span_of(self.start, self.end, None if self.stride is None else int(self.stride), other)


@dataclass(frozen=True)
class RangeOptions(SpanOptions):
    """Which frames are tracked."""

    backward: Annotated[
        bool,
        typer.Option("--backward/--no-backward", help="Propagate also to the frames before the first one with a mask."),
    ] = True


def prompting_of(options: PromptOptions, masks: MaskOptions) -> Callable[[Settings], tuple[Prompting, Span | None]]:
    """Return what makes the prompting of a run, and the range of its prompts.json, once its settings are known.

    Raises:
        SettingsError: Unless the options say in one way what to track in the first frame, or in later ones; or if an
            option goes with another one that is missing.
        PromptError: If a prompt is no such thing.
    """
    first, objects = options.of_first_frame(), named_objects(options.name, options.color)
    later = [_split_frame(text) for text in options.prompt or ()]
    _check_ways(options, masks, [*first, *later])

    def prompting(settings: Settings) -> tuple[Prompting, Span | None]:
        reading, given = masks.reading(), _read(options.prompts)
        shown = VideoPrompts(first) if first else None
        said = [*first, *(given.prompts if given else ())]
        files = options.first_mask, *(each.says.mask for each in said), *(path for _, path in later)
        check_masks(path for path in files if path is not None)
        from persam_vos.video.prompting.given_prompts import GivenPrompts
        from persam_vos.video.prompting.label_maps import AnnotationFile
        from persam_vos.video.prompting.prompting import Prompting

        sources: list[PromptSource] = []
        if given is not None:
            sources.append(GivenPrompts(given, reading))
        if options.first_mask is not None:
            sources.append(AnnotationFile(options.first_mask, None, reading))
        if shown is not None:
            sources.append(GivenPrompts(shown, reading))
        sources += [AnnotationFile(path, frame, reading) for frame, path in later]
        if options.first_ref:
            sources.append(_references(options, masks, settings))
        named = _named(objects, given.objects if given else ())
        return Prompting(tuple(sources), named), given.range if given else None

    return prompting


def _named(flags: Sequence[NamedObject], given: Sequence[NamedObject]) -> tuple[NamedObject, ...]:
    """Return the objects of flags and of a prompts.json; what a flag says of one wins."""
    named = {each.id: each for each in flags}
    for each in given:
        flag = named.get(each.id, each)
        named[each.id] = replace(each, name=flag.name or each.name, color=flag.color or each.color)
    return tuple(named.values())


def _read(path: Path | None) -> VideoPrompts | None:
    if path is None:
        return None
    # Only here: pydantic takes time to import.
    from persam_vos.prompts.prompts_json import read_prompts

    return read_prompts(path)


def named_objects(names: Sequence[str] | None, colors: Sequence[str] | None) -> tuple[NamedObject, ...]:
    """Return the objects that --name and --color are about.

    Raises:
        PromptError: If one of them is no such thing.
    """
    found: dict[int, NamedObject] = {}
    for number, name in (_split_id(text, "--name", "ID=NAME, such as 1=dog") for text in names or ()):
        found[number] = replace(found.get(number, NamedObject(number)), name=name)
    for number, text in (_split_id(text, "--color", "ID=COLOR, such as 1=red") for text in colors or ()):
        colour = hex_colour(text)
        if colour is None:
            raise PromptError(f"--color is {text!r}: it must be a CSS name such as red, or a code such as #e6194b")
        found[number] = replace(found.get(number, NamedObject(number)), color=colour)
    return tuple(found.values())


def _references(options: PromptOptions, masks: MaskOptions, settings: Settings) -> PromptSource:
    # What photos need takes time to import.
    from persam_vos.media.reference_files import ReferenceFile
    from persam_vos.video.prompting.first_reference import FirstReference, reference_settings

    pairs = [split_pair(pair) for pair in options.first_ref or ()]
    files = tuple(ReferenceFile(*pair, masks.reading()) for pair in pairs)
    return FirstReference(files, reference_settings(settings, settings.method, **options.of_photos()))


def _check_ways(options: PromptOptions, masks: MaskOptions, said: Sequence[object]) -> None:
    shown = bool(options.box or options.point)
    ways = (options.first_mask is not None) + shown + bool(options.first_ref)
    if ways > 1 or not (ways or said or options.prompts):
        others = "only one of these" if ways else "--prompt FRAME:MASK or --prompts FILE, to say what to track"
        raise SettingsError(
            f"pass --first-mask MASK, --box X0,Y0,X1,Y1 or --point X,Y, or --first-ref PHOTO:MASK, {others}"
        )
    masks_given = options.first_mask or options.first_ref or options.object_mask or options.prompt or options.prompts
    if not masks_given and masks != MaskOptions():
        raise SettingsError(
            "--resize-mask, --mask-threshold, --invert-mask and --mask-ids go with a mask, and --box and --point give"
            " none"
        )
    given = [name for name, value in options.of_photos().items() if value is not None]
    if not options.first_ref and given:
        raise SettingsError(f"--{given[0].replace('_', '-')} goes with --first-ref, which was not given")


def _split_id(text: str, option: str, form: str) -> tuple[int, str]:
    """Split ID=VALUE."""
    number, sign, value = text.partition("=")
    if not sign or not value or not _is_whole(number.strip()):
        raise PromptError(f"{option} is {text!r}: it must be {form}")
    return NamedObject(int(number)).id, value


def _is_whole(text: str) -> bool:
    """Tell whether a text is a whole number that a video may have; Python refuses to read thousands of digits."""
    return text.isdecimal() and len(text) <= _MOST_DIGITS


def _split_frame(text: str) -> tuple[int, Path]:
    """Split FRAME:MASK."""
    number, sign, path = text.partition(":")
    if not sign or not path or not _is_whole(number.strip()):
        raise PromptError(f"--prompt is {text!r}: it must be {_PROMPT_FORM}")
    return int(number), Path(path)
