"""A session on disk: a prompts.json, and beside it the masks of its keyframes and those that were propagated."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from persam_vos.errors import OutputError, PromptError
from persam_vos.files import whole_file
from persam_vos.prompts import ObjectPrompt, Prompt, Span, VideoPrompts
from persam_vos.prompts.prompts_json import read_prompts, write_prompts
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.session.edition import Edition

_PROPAGATED = "propagated.sqlite"


def folder_of(path: Path) -> Path:
    """Return the folder of the masks of a session's file: ``dog.masks`` for ``dog.json``."""
    return path.with_suffix(".masks")


def save_session(path: Path, edition: Edition, video: Path, frames: range, store: FoundStore) -> None:
    """Write a session.

    The file that names the masks is written last, so that what it names is there.

    Args:
        path: Of the prompts.json.
        edition: What was said.
        video: The video.
        frames: Indices of the frames of the session.
        store: Of the propagated masks.

    Raises:
        OutputError: If something cannot be written.
    """
    folder, prompts = folder_of(path), []
    for (frame, number), keyframe in sorted(edition.keyframes.items()):
        says = ObjectPrompt(absent=True)
        if not keyframe.absent:
            place = folder / f"{frame:05d}_{number}.png"
            with whole_file(place) as partial:
                Image.fromarray(keyframe.mask.astype(np.uint8) * 255).save(partial, format="PNG")
            says = ObjectPrompt(mask=place)
        prompts.append(Prompt(frame, number, says))
    store.save(folder / _PROPAGATED)
    part = Span(frames.start, frames.stop, frames.step)
    write_prompts(path, VideoPrompts(tuple(prompts), edition.objects, video, part))


def read_saved(path: Path) -> tuple[VideoPrompts, Span]:
    """Return what a session's file says, and which frames it is of.

    Raises:
        PromptError: If the file is no such thing, or names no video.
    """
    asked = read_prompts(path)
    if asked.video is None:
        raise PromptError(f"{path}: names no video; add its path as video")
    return asked, asked.range or Span()


def load_masks(path: Path, store: FoundStore) -> None:
    """Take the propagated masks of a session's file, if they are there and whole; else they are made anew."""
    kept = folder_of(path) / _PROPAGATED
    with suppress(OutputError):
        if kept.is_file():
            store.load(kept)
