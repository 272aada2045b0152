"""What was asked of a run, written so that the run can be repeated and changed: prompts.json and its masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from persam_vos.exports.prompt_masks import PROMPTS_JSON, write_prompt_masks
from persam_vos.media.photo_files import is_glob
from persam_vos.media.stream import StreamInfo
from persam_vos.prompts import ObjectPrompt, Prompt, Span, VideoPrompts
from persam_vos.prompts.prompts_json import write_prompts
from persam_vos.video.prompting.keyframes import Keyframe, Keyframes, Place
from persam_vos.video.prompting.prompting import Prompting


def write_asked(output: Path, keyframes: Keyframes, prompting: Prompting, info: StreamInfo) -> Path:
    """Write prompts.json, and the masks of all keyframes into ``prompts/``.

    Boxes and points are written as such: a run that reads them makes the same masks.

    Args:
        output: The folder of the results.
        keyframes: Of the run.
        prompting: Which names them, and has read files that stay.
        info: Of the video, and of the range that is tracked.

    Returns:
        The path of prompts.json.

    Raises:
        OutputError: If something cannot be written.
    """
    masks = {each.place: each.mask for each in keyframes.keyframes if not each.absent}
    files = write_prompt_masks(output, masks, keep=prompting.files)
    asked = VideoPrompts(
        prompts=tuple(Prompt(*each.place, _says(each, keyframes, files)) for each in keyframes.keyframes),
        objects=prompting.named(keyframes.ids),
        video=info.source if info.source.exists() or is_glob(info.source) else None,
        range=None if info.clip is None else Span(info.clip.start, info.clip.stop, info.clip.stride),
    )
    write_prompts(output / PROMPTS_JSON, asked)
    return output / PROMPTS_JSON


def _says(keyframe: Keyframe, keyframes: Keyframes, files: Mapping[Place, Path]) -> ObjectPrompt:
    if keyframe.absent:
        return ObjectPrompt(absent=True)
    said = keyframes.said.get(keyframe.place)
    if said is not None and said.mask is None:
        return said
    return ObjectPrompt(mask=files[keyframe.place])
