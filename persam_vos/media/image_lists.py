"""What is doubtful about the images of a sequence: masks among them, two kinds of one name, missing numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path

from persam_vos.errors import VideoError
from persam_vos.files import brief_list, real_path

LAST_NUMBER = re.compile(r"(?P<before>.*?)(?P<number>[0-9]+)(?P<after>[^0-9]*)", re.DOTALL)
"""Matches the name of a file, without its suffix, that has a number: what is before the last one, it, what follows."""
_MOST_GAPS = 3  # that a warning names


def without_masks(images: Sequence[Path], masks: Collection[Path]) -> tuple[list[Path], list[str]]:
    """Leave out images that are given as masks.

    Args:
        images: In order.
        masks: The files of masks, wherever they lie.

    Returns:
        The images that are left, and a warning that names those that are not.
    """
    resolved = {real_path(mask) for mask in masks}
    left = [image for image in images if real_path(image) not in resolved] if resolved else list(images)
    if len(left) == len(images):
        return left, []
    out = brief_list([image.name for image in images if real_path(image) in resolved])
    return left, [f"{out} is given as a mask, and not read as a frame; {len(left)} images are"]


def refuse_twins(source: Path, images: Sequence[Path]) -> None:
    """Raise ``VideoError`` if two images differ in their suffix only: one is then hardly a frame."""
    seen: dict[Path, Path] = {}
    for image in images:
        twin = seen.setdefault(image.with_suffix(""), image)
        if twin is not image:
            folder = source if source.is_dir() else image.parent
            raise VideoError(
                f"{source}: holds both {twin.name} and {image.name}; give the frames alone, such as"
                f" '{folder}/*{twin.suffix}'"
            )


def gap_warnings(images: Sequence[Path]) -> list[str]:
    """Return a warning if numbers are missing in the names of images, which are otherwise alike."""
    found = [LAST_NUMBER.fullmatch(image.stem) for image in images]
    matches = [each for each in found if each is not None]
    if len(matches) < max(len(images), 3) or len({(each["before"], each["after"]) for each in matches}) > 1:
        return []
    numbers = [int(each["number"]) for each in matches]
    steps = Counter(later - earlier for earlier, later in pairwise(numbers))
    usual = min(steps, key=lambda step: (-steps[step], step))
    wide = [place for place, (earlier, later) in enumerate(pairwise(numbers)) if later - earlier > usual]
    if not wide or usual <= 0:
        return []
    missing = sum((numbers[place + 1] - numbers[place]) // usual - 1 for place in wide)
    told = ", ".join(f"{images[place].name} to {images[place + 1].name}" for place in wide[:_MOST_GAPS])
    more = f" and {len(wide) - _MOST_GAPS} more" if len(wide) > _MOST_GAPS else ""
    return [
        f"{missing} image(s) are missing, from {told}{more}: frames are counted, and times go on, without the gap;"
        " tracks.jsonl names the image of each frame, and --keep-names calls masks like them"
    ]
