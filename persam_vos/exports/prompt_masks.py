"""Writes the masks of all prompts, so that they can be looked at and mended, and prompts.json, which names them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from persam_vos.errors import OutputError
from persam_vos.files import output_errors, whole_file
from persam_vos.masks import Mask

PROMPTS = "prompts"
PROMPTS_JSON = "prompts.json"
_NAME = re.compile(r"[0-9]{5,}_[0-9]{1,3}\.png")


def prompt_mask_path(output: Path, frame: int, object_id: int) -> Path:
    """Return where the mask of an object on a frame is written: ``prompts/00057_1.png``."""
    return output / PROMPTS / f"{frame:05d}_{object_id}.png"


def write_prompt_masks(output: Path, masks: Mapping[tuple[int, int], Mask], keep: Sequence[Path] = ()) -> None:
    """Write each mask in white on black, and remove those of an earlier run.

    Args:
        output: The folder of the results.
        masks: bool, H x W, by the index of the frame and the id of the object.
        keep: Files that this run has read, which stay as they are.

    Raises:
        OutputError: If one cannot be written, or would take the place of another mask that was read.
    """
    read = {path.resolve() for path in keep}
    written = {prompt_mask_path(output, *place): mask for place, mask in masks.items()}
    for path, mask in written.items():
        if path.resolve() in read:
            if not _holds(path, mask):
                raise OutputError(f"{path}: was read by this run, which would replace it; give another --output")
            continue
        with whole_file(path) as partial:
            Image.fromarray(mask.astype(np.uint8) * 255).save(partial, format="PNG")
    remove_prompt_masks(output, keep=(*keep, *written))


def _holds(path: Path, mask: Mask) -> bool:
    with suppress(OSError, ValueError), Image.open(path) as picture:
        return np.array_equal(np.asarray(picture.convert("L")) > 0, mask)
    return False


def remove_prompt_masks(output: Path, keep: Sequence[Path] = ()) -> None:
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
    kept = {path.resolve() for path in keep}
    with output_errors(folder):
        for path in folder.iterdir():
            if _NAME.fullmatch(path.name) and path.resolve() not in kept:
                path.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
