"""Which frame of a video each mask belongs to, by the names of files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from persam_vos.errors import MaskError
from persam_vos.media import StreamInfo
from persam_vos.media.image_lists import LAST_NUMBER

IndexOf = Callable[[str], int | None]
"""Returns the index of the frame that a file of this name, without its suffix, belongs to; None if it has none."""


def index_by_name(stems: Collection[str], info: StreamInfo, folder: str, warnings: list[str]) -> IndexOf:
    """Find out how masks are named: like the images of an image sequence, or by numbers.

    A number is the index of its frame, from 0. Where numbers reach beyond the video, the lowest one is its first frame.

    Args:
        stems: Names of all masks, without suffixes.
        info: The video.
        folder: What messages call the masks.
        warnings: Gets a line about what was perhaps meant otherwise.

    Raises:
        MaskError: If names tell no frame, or more frames than the video has.
    """
    images = {path.stem: index for index, path in enumerate(info.images)}
    if images and all(stem in images for stem in stems):
        return images.get
    numbers = {stem: _number(stem) for stem in stems}
    if odd := [stem for stem, number in numbers.items() if number is None]:
        raise MaskError(f"{folder}: {odd[0]} has no number; masks need the number of their frame, such as 00012.png")
    values = {number for number in numbers.values() if number is not None}
    if len(values) < len(numbers):
        twice = next(number for number in numbers.values() if list(numbers.values()).count(number) > 1)
        raise MaskError(f"{folder}: several masks have the number {twice}; each frame must have one")
    lowest, highest, count = min(values), max(values), info.frame_count
    if count is None or highest < count:
        return _number
    if highest - lowest >= count:
        raise MaskError(f"{folder}: masks go from {lowest} to {highest}, and {info.source} has {count} frames")
    warnings.append(f"masks are numbered from {lowest}, which is taken for the first frame of the video")
    return lambda stem: None if (number := _number(stem)) is None else number - lowest


def index_by_record(info: StreamInfo, settings: Mapping[str, object], start: int, stride: int) -> IndexOf:
    """Return how a run has named its masks.

    Args:
        info: The video.
        settings: Of the run, as its run.json has them.
        start: The first frame that it tracked.
        stride: Every so many-th frame was tracked.
    """
    if settings.get("keep_names"):
        return {path.stem: index for index, path in enumerate(info.images)}.get
    first = settings.get("start_number")
    if isinstance(first, int):
        return lambda stem: start + (int(stem) - first) * stride if stem.isdecimal() else None
    return lambda stem: int(stem) if stem.isdecimal() else None


def check_frames(stems: Collection[str], index_of: IndexOf, info: StreamInfo, folder: str, warnings: list[str]) -> None:
    """Check that masks belong to frames of the video; its number of frames may be an estimate.

    Args:
        stems: Names of all masks, without suffixes; at least one.
        index_of: Of the masks.
        info: The video.
        folder: What messages call the masks.
        warnings: Gets a line about masks that belong to no frame.

    Raises:
        MaskError: If none of them does, or one would come before the first frame.
    """
    indices = {stem: index_of(stem) for stem in sorted(stems)}
    known = {stem: index for stem, index in indices.items() if index is not None}
    give = f"give the video that the masks are of, and not {info.source}, or a folder that holds no other files"
    if early := [stem for stem, index in known.items() if index < 0]:
        raise MaskError(f"{folder}: {early[0]} would be frame {known[early[0]]}, before the first one; {give}")
    if all(info.frame_count is not None and index >= info.frame_count for index in known.values()):
        raise MaskError(f"{folder}: none of {len(indices)} masks, such as {min(indices)}, has a frame; {give}")
    if odd := [stem for stem in indices if stem not in known]:
        warnings.append(f"{len(odd)} masks, such as {odd[0]}, belong to no frame, and are left out")


def _number(stem: str) -> int | None:
    found = LAST_NUMBER.fullmatch(stem)
    return int(found["number"]) if found else None
