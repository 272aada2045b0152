"""All that a person says of a video: its objects, with names and colours, and the prompts on its frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from persam_vos.errors import PromptError
from persam_vos.prompts.object_prompt import ObjectPrompt

MAX_ID = 255
_COLOUR = re.compile(r"#[0-9a-f]{6}")


class Span(NamedTuple):
    """Which frames of a video are tracked; the defaults are all.

    Attributes:
        start: The first one: its index, from 0, or seconds as text such as ``"12.5s"``; None for that of the video.
        end: The first one that is left out, in the same way; None for the end of the video.
        stride: Every so many-th frame from ``start`` on.
    """

    start: int | str | None = None
    end: int | str | None = None
    stride: int = 1


def span_of(
    start: int | str | None = None, end: int | str | None = None, stride: int | None = None, other: Span | None = None
) -> Span:
    """Return the span of what is given; the other one counts where nothing is.

    >>> span_of(start="2s", other=Span(0, 40, 3))
    Span(start='2s', end=40, stride=3)
    """
    begin, stop, step = other or Span()
    return Span(begin if start is None else start, stop if end is None else end, step if stride is None else stride)


@dataclass(frozen=True, slots=True)
class NamedObject:
    """An object of a video.

    Attributes:
        id: Its value in label maps, 1..255.
        name: What people call it; "" for no name.
        color: ``#rrggbb``; "" leaves it to the palette.

    Raises:
        PromptError: If the id or the colour is not allowed.

    >>> NamedObject(1, "dog", "#e6194b").name
    'dog'
    """

    id: int
    name: str = ""
    color: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.id <= MAX_ID:
            raise PromptError(f"object {self.id}: allowed are 1 to {MAX_ID}")
        if any("\ud800" <= letter <= "\udfff" for letter in self.name):
            raise PromptError(f"name of object {self.id} is {self.name!r}, which is no text; give it in UTF-8")
        if self.color and not _COLOUR.fullmatch(self.color):
            raise PromptError(f"color of object {self.id} is {self.color!r}; allowed: a code such as #e6194b")

    @property
    def rgb(self) -> tuple[int, int, int] | None:
        """The colour, 0..255 each; None for that of the palette."""
        return (int(self.color[1:3], 16), int(self.color[3:5], 16), int(self.color[5:], 16)) if self.color else None


def named_object(object_id: int, name: str, color: str) -> NamedObject:
    """Return an object whose colour is a CSS name, a code such as #0f0, or "".

    Raises:
        PromptError: If the id or the colour is not allowed.
    """
    colour = hex_colour(color) if color else ""
    if colour is None:
        raise PromptError(f"color is {color!r}; allowed: a CSS name such as red, or a code such as #e6194b")
    return NamedObject(object_id, name, colour)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a person says of an object on a frame.

    Attributes:
        frame: Index of the frame in the video, from 0; None for the first one that is tracked.
        object_id: 1..255.
        says: The box, points or mask of the object there, or its absence.

    Raises:
        PromptError: If the frame or the id is not allowed.
    """

    frame: int | None
    object_id: int
    says: ObjectPrompt

    def __post_init__(self) -> None:
        if self.frame is not None and self.frame < 0:
            raise PromptError(f"frame {self.frame} does not exist; frames count from 0")
        NamedObject(self.object_id)


class Fault(NamedTuple):
    """What is wrong with prompts.

    Attributes:
        place: Keys and positions that lead to it in prompts.json.
        message: What to tell.
    """

    place: tuple[str | int, ...]
    message: str


@dataclass(frozen=True, slots=True)
class VideoPrompts:
    """What a person says of a video; see prompts.json.

    Attributes:
        prompts: On frames, in any order; each object once a frame.
        objects: Names and colours; an object may be left out, and gets neither.
        video: The video; None for one that is given elsewhere.
        range: Which frames are tracked, from one index to another; None for all.

    Raises:
        PromptError: If there is no prompt, or an object has two on a frame, none at all, or is always absent.

    >>> VideoPrompts((Prompt(0, 1, ObjectPrompt(mask=Path("dog.png"))),)).ids
    (1,)
    """

    prompts: tuple[Prompt, ...]
    objects: tuple[NamedObject, ...] = ()
    video: Path | None = None
    range: Span | None = None

    def __post_init__(self) -> None:
        for fault in faults(self.prompts, self.objects):
            raise PromptError(fault.message)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the objects, in rising order."""
        return tuple(sorted({each.object_id for each in self.prompts}))

    def beginning_at(self, frame: int) -> VideoPrompts:
        """Return the prompts with the index of the first frame in the place of None.

        Raises:
            PromptError: If an object then has two prompts on that frame.
        """
        return replace(
            self, prompts=tuple(replace(each, frame=frame) if each.frame is None else each for each in self.prompts)
        )


def faults(prompts: tuple[Prompt, ...], objects: tuple[NamedObject, ...]) -> Iterator[Fault]:
    """Yield what is wrong between prompts and objects, each of which is right alone."""
    if not prompts:
        yield Fault(("prompts",), "there is no prompt; say where an object is, with a box, a point or a mask")
    listed: set[int] = set()
    prompted = {each.object_id for each in prompts}
    for position, each in enumerate(objects):
        if each.id in listed:
            yield Fault(("objects", position), f"object {each.id} is listed twice; give each object its own id")
        if each.id not in prompted:
            yield Fault(("objects", position), f"object {each.id} has no prompt; say where it is, or leave it out")
        listed.add(each.id)
    seen = {each.object_id for each in prompts if not each.says.absent}
    said: set[tuple[int | None, int]] = set()
    for position, prompt in enumerate(prompts):
        place = prompt.frame, prompt.object_id
        if place in said:
            yield Fault(
                ("prompts", position),
                f"object {prompt.object_id} has two prompts on {_named(prompt.frame)}; give one of them",
            )
        if prompt.object_id not in seen:
            yield Fault(
                ("prompts", position),
                f"object {prompt.object_id} is absent wherever it is mentioned; say on one frame where it is",
            )
        said.add(place)


def _named(frame: int | None) -> str:
    return "the first frame" if frame is None else f"frame {frame}"


def hex_colour(text: str) -> str | None:
    """Return a colour, a CSS name or a code such as #0f0, as #rrggbb; None if it is no colour.

    >>> hex_colour("lime"), hex_colour("#E6194B"), hex_colour("lme")
    ('#00ff00', '#e6194b', None)
    """
    # Only here: Pillow takes time to import.
    from PIL import ImageColor

    channels: tuple[int, ...] = ()
    with suppress(ValueError):
        channels = ImageColor.getrgb(text)
    return f"#{bytes(channels).hex()}" if len(channels) == 3 and max(channels) <= 255 else None
