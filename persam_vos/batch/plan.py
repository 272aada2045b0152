"""Which clips of a batch are left to do, and what is wrong with their files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from persam_vos.batch.clips import BatchClip
from persam_vos.batch.fingerprint import fingerprint_of
from persam_vos.batch.folders import ClipFolder
from persam_vos.batch.prompting import check_clip
from persam_vos.batch.work import ClipJob
from persam_vos.errors import OutputError, PersamVosError, SettingsError
from persam_vos.media.masks.reading import MaskReading

# That read files, which wait for disks and networks.
_THREADS = 8
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done of a batch.

    Attributes:
        jobs: Clips that are worked on, in order.
        whole: Clips of which nothing is left to do.
        faults: Clips whose files cannot be used, each with the reason.
    """

    jobs: tuple[ClipJob, ...]
    whole: tuple[BatchClip, ...]
    faults: tuple[tuple[BatchClip, str], ...]


def plan_of(clips: Sequence[BatchClip], output: Path, reading: MaskReading, *, overwrite: bool, resume: bool) -> Plan:
    """Look at the folders of clips and at their files: the first frame of each, and all that is said of it.

    Args:
        clips: Of the batch, or of one shard.
        output: Folder of the batch.
        reading: How masks are read.
        overwrite: Replace results that are there.
        resume: Keep results that are there, if they are of the same input, prompts and settings.

    Raises:
        SettingsError: If both are given.
        OutputError: If something is there that may not be replaced.
    """
    if overwrite and resume:
        raise SettingsError("both --overwrite and --resume are given; one replaces what the other keeps")
    for clip in clips:
        _check_folder(ClipFolder(output, clip.id), overwrite=overwrite, resume=resume)

    def planned(clip: BatchClip) -> ClipJob | BatchClip | str:
        try:
            fingerprint = fingerprint_of(clip, reading)
            if resume and ClipFolder(output, clip.id).is_whole(fingerprint):
                return clip
            check_clip(clip, reading)
        except (PersamVosError, OSError) as error:
            return " ".join(str(error).split())
        return ClipJob(clip, output, reading, fingerprint, resume)

    found = list(zip(clips, _in_threads(planned, clips), strict=True))
    return Plan(
        tuple(each for _, each in found if isinstance(each, ClipJob)),
        tuple(each for _, each in found if isinstance(each, BatchClip)),
        tuple((clip, each) for clip, each in found if isinstance(each, str)),
    )


def _check_folder(folder: ClipFolder, *, overwrite: bool, resume: bool) -> None:
    if folder.exists and not folder.is_ours:
        raise OutputError(f"{folder.path}: is there, and holds no results; move it away, or give the clip another id")
    if not (overwrite or resume) and (folder.exists or folder.partial.exists()):
        there = folder.path if folder.exists else folder.partial
        raise OutputError(
            f"{there}: is there from an earlier batch; pass --resume to go on with it, or --overwrite to begin anew"
        )


def _in_threads(function: Callable[[BatchClip], _Result], clips: Iterable[BatchClip]) -> Iterator[_Result]:
    with ThreadPoolExecutor(_THREADS, "persam-vos check") as pool:
        try:
            yield from pool.map(function, clips)
        finally:
            pool.shutdown(cancel_futures=True)
