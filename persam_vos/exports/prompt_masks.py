"""Writes the masks of all prompts, so that they can be looked at and mended, and prompts.json, which names them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from persam_vos.files import output_errors, real_path, whole_file
from persam_vos.masks import Mask

Place = tuple[int, int]
"""Index of a frame, and id of an object."""

PROMPTS = "prompts"
PROMPTS_JSON = "prompts.json"
_NAME = re.compile(r"[0-9]{5,}_[0-9]{1,3}(-[0-9]+)?\.png")


def write_prompt_masks(output: Path, masks: Mapping[Place, Mask], keep: Collection[Path] = ()) -> dict[Place, Path]:
    """Write each mask in white on black, and remove those of an earlier run.

    Args:
        output: The folder of the results.
        masks: bool, H x W, by the index of the frame and the id of the object.
        keep: Files that this run has read, which stay as they are.

    Returns:
        Where each mask is: ``prompts/00057_1.png``, or ``prompts/00057_1-2.png`` where the first one was read and holds
        something else.

    Raises:
        OutputError: If one cannot be written.
    """
    read = {real_path(path) for path in keep}
    written = {}
    for place, mask in masks.items():
        written[place] = next(
            path for path in _names(output, *place) if real_path(path) not in read or _holds(path, mask)
        )
        if real_path(written[place]) not in read:
            with whole_file(written[place]) as partial:
                Image.fromarray(mask.astype(np.uint8) * 255).save(partial, format="PNG")
    remove_prompt_masks(output, keep=(*keep, *written.values()))
    return written


def _names(output: Path, frame: int, object_id: int) -> Iterator[Path]:
    name = f"{frame:05d}_{object_id}"
    yield output / PROMPTS / f"{name}.png"
    for number in count(2):
        yield output / PROMPTS / f"{name}-{number}.png"


def _holds(path: Path, mask: Mask) -> bool:
    with suppress(OSError, ValueError), Image.open(path) as picture:
        return np.array_equal(np.asarray(picture.convert("L")) > 0, mask)
    return False


def remove_prompt_masks(output: Path, keep: Collection[Path] = ()) -> None:
    """Remove what an earlier run has written there; other files stay.

    Args:
        output: The folder of the results.
        keep: Files that stay.

    Raises:
        OutputError: If it cannot be removed.
    """
    folder = output / PROMPTS
    if not folder.is_dir() or folder.is_symlink():
        return
    kept = {real_path(path) for path in keep}
    with output_errors(folder):
        for path in folder.iterdir():
            if _NAME.fullmatch(path.name) and real_path(path) not in kept:
                path.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
