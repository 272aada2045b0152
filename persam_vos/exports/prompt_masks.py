"""Writes the masks that were made of boxes and points, so that they can be looked at and mended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from persam_vos.files import output_errors, whole_file
from persam_vos.masks import LabelMap

PROMPTS = "prompts"
_NAME = re.compile(r"[0-9]{5,}_[0-9]{1,3}\.png")


def write_prompt_masks(output: Path, label_map: LabelMap, frame: int = 0) -> tuple[Path, ...]:
    """Write ``prompts/00000_1.png``, ...: each object of a frame in white on black; those of an earlier run go.

    Args:
        output: The folder of the results.
        label_map: uint8, H x W: object n has the value n.
        frame: Index of the frame.

    Returns:
        The folder.

    Raises:
        OutputError: If it cannot be written.
    """
    remove_prompt_masks(output)
    for number in np.unique(label_map[label_map > 0]).tolist():
        with whole_file(output / PROMPTS / f"{frame:05d}_{number}.png") as partial:
            Image.fromarray((label_map == number).astype(np.uint8) * 255).save(partial, format="PNG")
    return (output / PROMPTS,)


def remove_prompt_masks(output: Path, keep: Sequence[Path] = ()) -> None:
    """Remove what an earlier run has written there; other files stay.

    Args:
        output: The folder of the results.
        keep: Files that stay, because they were read.

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
