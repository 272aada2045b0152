"""How a doubtful frame is mended: commands, in which the person says where the object is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persam_vos.exports.prompt_masks import PROMPTS_JSON

# Steps between the numbers at the edges of a picture: some four of them.
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Mending:
    """The commands that mend a frame, as a person completes them.

    The first one makes a mask. It is refused as it stands: where the object is, nobody knows but the person.

    Attributes:
        frame: The frame.
        before: The first command up to the place.
        after: Its end.
        again: The second command, which goes on with that mask.
        studio: The command that opens the video, to mark it by hand.
    """

    frame: int
    before: str
    after: str
    again: str
    studio: str


def mending_of(
    frame: int, object_id: int, record: Mapping[str, Any], folder: Path, final: Path | None = None
) -> Mending | None:
    """Return how to mend a frame; None where no file holds the frames, or what was asked.

    Args:
        frame: Its index.
        object_id: The object that is wrong there.
        record: What run.json says.
        folder: Of the results.
        final: The name that the folder will have; None for the one that it has.
    """
    source = str(record["source"])
    if not (Path(source).exists() and (folder / PROMPTS_JSON).exists()):
        return None
    folder = final or folder
    prompts = folder / PROMPTS_JSON
    name = f"{folder.name}_{frame:05d}_{object_id}"
    mask, look = f"{name}.png", f"{name}_look.jpg"
    again = ["persam-vos", "run", source, "--prompts", str(prompts), "--prompt", f"{frame}:{mask}", "--resume", "-o"]
    return Mending(
        frame=frame,
        before=shlex.join(["persam-vos", "mask", source, "--frame", str(frame), "--id", str(object_id)]),
        after=shlex.join(["-o", mask, "--overlay", look]),
        again=shlex.join([*again, str(folder)]),
        studio=shlex.join(["persam-vos", "studio", source, "--prompts", str(prompts)]),
    )


def ticks_of(length: int) -> list[int]:
    """Return round numbers within a picture's width or height in pixels, up to five of them.

    >>> ticks_of(854), ticks_of(1080)
    ([200, 400, 600, 800], [200, 400, 600, 800, 1000])
    """
    step = next((each for each in _STEPS if length / each < _TICKS + 1), _STEPS[-1])
    return list(range(step, length, step))
