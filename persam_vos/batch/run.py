"""The job on many videos: each clip worked on once, by whatever works, and the index kept."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from persam_vos.batch.clips import BatchClip
from persam_vos.batch.folders import ClipFolder
from persam_vos.batch.index import Index
from persam_vos.batch.manifest import Manifest, manifest_error
from persam_vos.batch.plan import Plan, plan_of
from persam_vos.batch.shards import ALL, Shard
from persam_vos.batch.work import ClipJob, ClipResult, result_of
from persam_vos.exports.run_record import versions
from persam_vos.media.masks.reading import MaskReading
from persam_vos.pipeline.progress import Progress

Results = Generator[ClipResult, None, None]


class BatchProgress(Protocol):
    """Hears how a batch goes on; called in the main thread."""

    @property
    def of_frames(self) -> Progress:
        """Hears of each frame, where clips are worked on in this process."""
        ...

    def begin(self, clips: int, done: int) -> None:
        """Clips are checked, and the first one begins; ``done`` of them were whole before."""
        ...

    def clip(self, result: ClipResult) -> None:
        """Work on a clip has ended, in whatever way."""
        ...

    def interrupt(self) -> None:
        """The user wants to stop; frames in work are still finished."""
        ...

    def end(self) -> None:
        """No other clip comes."""
        ...


class Workers(Protocol):
    """What works on clips: this process, several processes, or a cluster."""

    def results(self, jobs: Sequence[ClipJob], progress: BatchProgress) -> Results:
        """Yield how each clip ended, in any order.

        After an interrupt, and after ``stop``, no other clip is begun, and those in work stop after the frame in work,
        so that a later batch can go on with them; they are told as well.

        Raises:
            KeyboardInterrupt: If the user interrupts for a second time.
        """
        ...

    def stop(self) -> None:
        """Begin no other clip, and stop those in work."""
        ...

    @property
    def described(self) -> dict[str, Any]:
        """What batch.json says of it."""
        ...


@dataclass(slots=True)
class BatchOutcome:
    """How a batch ended.

    Attributes:
        clips: Clips of this batch, or shard.
        whole: Those that were whole before.
        done: Those that this batch has done.
        failed: Those that failed, each with the reason, in the order in which they ended.
        unfinished: Those that were stopped in the middle, which a later batch can go on with.
        doubtful: Those with warnings.
        interrupted: Whether clips are left, because of the user or of a clip that failed.
        index: The index.
    """

    clips: int
    whole: int = 0
    done: int = 0
    failed: list[ClipResult] = field(default_factory=list)
    unfinished: int = 0
    doubtful: int = 0
    interrupted: bool = False
    index: Path = Path()

    def record(self) -> dict[str, Any]:
        """Return the numbers, by name."""
        return {
            "complete": not self.interrupted and self.whole + self.done + len(self.failed) == self.clips,
            "clips": self.clips,
            "whole_before": self.whole,
            "done": self.done,
            "failed": len(self.failed),
            "unfinished": self.unfinished,
        }


def run_batch(
    manifest: Manifest,
    output: Path,
    workers: Workers,
    progress: BatchProgress,
    *,
    reading: MaskReading,
    shard: Shard = ALL,
    overwrite: bool = False,
    resume: bool = False,
    keep_going: bool = False,
) -> BatchOutcome:
    """Work on the clips of a manifest; each has a folder in ``output``, as of one run, once it is whole.

    The files of all clips are looked at before the first one begins.

    Args:
        manifest: The clips.
        output: Folder of the batch.
        workers: What works on them.
        progress: Told of each clip.
        reading: How masks are read.
        shard: Only these clips.
        overwrite: Replace results that are there.
        resume: Keep results that are there, if they are of the same input, prompts and settings.
        keep_going: Leave out clips that fail, instead of stopping.

    Raises:
        ManifestError: If files cannot be used, without ``keep_going``; ``faults`` has all of them.
        OutputError: If something cannot be written.
        KeyboardInterrupt: If the user interrupts for a second time.
    """
    clips = [clip for clip in manifest.clips if shard.holds(clip.id)]
    plan = plan_of(clips, output, reading, overwrite=overwrite, resume=resume)
    if plan.faults and not keep_going:
        raise manifest_error(manifest.source, [f"{clip.place}: {why}" for clip, why in plan.faults])
    started = time.perf_counter()
    with Index(output, shard) as index:
        outcome = BatchOutcome(len(clips), whole=len(plan.whole), index=index.path)

        def record(**more: Any) -> None:
            said = {"manifest": str(manifest.source), "sha256": manifest.sha256, "shard": str(shard)}
            told = {**outcome.record(), **more, "seconds": round(time.perf_counter() - started, 3)}
            index.write_summary({**said, **told, **workers.described, "versions": versions()})

        record(complete=False)
        try:
            _work_off(plan, output, index, outcome, workers, progress, keep_going=keep_going)
        except BaseException:
            outcome.interrupted = True
            raise
        finally:
            record()
    return outcome


def _work_off(
    plan: Plan, output: Path, index: Index, outcome: BatchOutcome, workers: Workers, progress: BatchProgress,
    *, keep_going: bool,
) -> None:  # fmt: skip
    progress.begin(outcome.clips, outcome.whole)
    try:
        _mend_index(index, output, plan.whole)
        for clip, why in plan.faults:
            _take(ClipResult(clip.id, "failed", 0.0, error=why), index, outcome, progress)
        told = 0
        with closing(workers.results(plan.jobs, progress)) as results:
            for result in results:
                told += 1
                _take(result, index, outcome, progress)
                if outcome.failed and not keep_going:
                    workers.stop()
        outcome.interrupted = told < len(plan.jobs) or outcome.unfinished > 0
    finally:
        progress.end()


def _take(result: ClipResult, index: Index, outcome: BatchOutcome, progress: BatchProgress) -> None:
    index.add(result)
    outcome.doubtful += bool(result.warnings)
    if result.status == "done":
        outcome.done += 1
    elif result.status == "failed":
        outcome.failed.append(result)
    else:
        outcome.unfinished += 1
    progress.clip(result)


def _mend_index(index: Index, output: Path, whole: Sequence[BatchClip]) -> None:
    """Add a line for each clip that is whole, and whose process died before it could say so."""
    statuses = index.statuses()
    for clip in whole:
        folder = ClipFolder(output, clip.id)
        folder.drop_replaced()
        if statuses.get(clip.id) != "done":
            index.add(result_of(clip.id, folder.record()))
