"""What is read, what is written, and how: the settings of everything that writes the results of a video."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from PIL import ImageColor
from pydantic import AfterValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from persam_vos.prompts import hex_colour
from persam_vos.settings.common import Validated, split_names
from persam_vos.settings.suggestions import did_you_mean

ExportName = Literal[
    "masks", "overlay", "cutout", "report",
    "matte", "prores", "webm", "rgba", "exr",
    "coco", "youtube-vis", "yolo", "cvat", "label-studio",
    "davis", "youtube-vos", "mose", "sa-v",
]  # fmt: skip

SOFT_EXPORTS = frozenset({"cutout", "matte", "prores", "webm", "rgba", "exr"})
"""Exports that show soft edges."""


BLUR = "blur"
"""The background that is the frame itself, blurred."""
_HEX_COLOUR = re.compile(r"#[0-9a-f]{6}")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # of a name that is too long for one
        return False


def _background(text: str) -> str:
    """Return a colour as #rrggbb; ``blur`` and the path of a file as they are."""
    if (colour := hex_colour(text)) is not None:
        return colour
    if text != BLUR and not _is_file(text):
        question = did_you_mean(text, [*ImageColor.colormap, BLUR])
        allowed = "it must be a colour: a CSS name such as green, or a code such as #0f0 or #00ff00; or blur, or a file"
        raise PydanticCustomError("colour", "{message}", {"message": question + allowed})
    return text


class ExportOptions(Validated):
    """How exports are written.

    Attributes:
        background: Behind a cut-out object: a colour, as a CSS name such as ``green``, #rgb or #rrggbb, kept as
            #rrggbb; ``blur`` for the blurred frame; or a file, a picture or a video.
        masks_format: Of the export ``masks``: ``label`` is one label map a frame; ``binary`` is one white-on-black
            picture a frame and object, in a folder for each object.
        start_number: Number in the name of the first mask; the others follow without gaps. None for the frame's number
            in the video, from 0.
        matte_codec: Of the export ``matte``: ``h264``, or ``prores`` for ProRes 422 HQ in ``matte.mov``.
        alpha: Whether colours of exports with alpha are ``straight``, or ``premultiplied``: multiplied by it.
        per_object: Whether each object has its own files: of cutout, matte and all exports with alpha.
        grow: Pixels by which objects are grown into the background in all exports; below 0, they shrink from it.
        feather: Pixels to either side of their edges over which they fade; 0 keeps their own soft edges.
        fill_holes: Whether background that one object encloses becomes part of it.
        min_area: Parts of objects of fewer pixels are left out.
        keep_names: Whether masks are called like the images of an image sequence.
    """

    background: Annotated[str, AfterValidator(_background)] = "#000000"
    masks_format: Literal["label", "binary"] = "label"
    start_number: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    keep_names: bool = False
    per_object: bool = False
    grow: Annotated[int, Field(ge=-200, le=200)] = 0
    feather: Annotated[int, Field(ge=0, le=200)] = 0
    fill_holes: bool = False
    min_area: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    matte_codec: Literal["h264", "prores"] = "h264"
    alpha: Literal["straight", "premultiplied"] = "straight"

    @property
    def background_rgb(self) -> tuple[int, int, int] | None:
        """The background as red, green, blue in 0..255; None if it is no colour."""
        if _HEX_COLOUR.fullmatch(self.background) is None:
            return None
        red, green, blue = bytes.fromhex(self.background[1:])
        return red, green, blue

    @property
    def background_file(self) -> Path | None:
        """The background as a picture or a video; None if it is a colour or the blurred frame."""
        return None if self.background == BLUR or self.background_rgb is not None else Path(self.background)


DEFAULTS = ExportOptions()


class OutputSettings(ExportOptions):
    """What is read, and what is written.

    Attributes:
        reader: What decodes a video file.
        deinterlace: Whether every second row of interlaced frames is made anew from the others.
        max_latency: Of an address, a camera or standard input: frames that come more than so many seconds late are
            dropped; None for none.
        allow_playlists: Whether files such as HLS playlists may lead FFmpeg to other files and addresses.
        export: What is written besides tracks.jsonl and run.json.
    """

    reader: Literal["pyav", "decord"] = "pyav"
    deinterlace: bool = False
    max_latency: Annotated[float, Field(gt=0, le=3600)] | None = None
    allow_playlists: bool = False
    export: tuple[ExportName, ...] = ("masks", "overlay", "report")

    @field_validator("export", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_names(value)
