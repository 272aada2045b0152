"""The last stage of every run: results are written while they are made, and how it ended is told."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from persam_vos.exports.base import ResultWriter
from persam_vos.media.frame import Frame
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.malloc import give_back_freed
from persam_vos.pipeline.pixel_budget import PixelBudget
from persam_vos.pipeline.progress import Progress
from persam_vos.pipeline.saving import Saving
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.write_stage import WriteStage
from persam_vos.results import FrameResult

Results = Generator[tuple[Frame, FrameResult], None, None]
# Results that wait to be written: enough to hide jitter, few enough to keep memory small at 4K.
_QUEUE_DEPTH = 4
# Frames after which freed memory goes back to the system: in fewer, its holes add up to little.
_GIVE_BACK_AFTER = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    Attributes:
        frames: Frames or photos that were written.
        interrupted: Whether the user stopped it before the end.
        written: Paths of the finished files.
        timings: Seconds per stage.
        seconds: From the first frame to the last file, without loading the model.
        warnings: Of the reader and the writers.
        failed: Photos that could not be read.
        encoded: Of a video: its frames that were encoded, up to the last one found; crops of them do not count.
    """

    frames: int
    interrupted: bool
    written: tuple[Path, ...]
    timings: Timings
    seconds: float
    warnings: tuple[str, ...] = ()
    failed: int = 0
    encoded: int = 0


def run_stages(
    results: Results,
    writers: Sequence[ResultWriter],
    timings: Timings,
    progress: Progress,
    interrupt: GracefulInterrupt,
    *,
    name: str,
    frames: int | None,
    keep_interrupted: bool = True,
    budget: PixelBudget | None = None,
    saving: Saving | None = None,
) -> Outcome:
    """Write results in a thread, until they end or the user wants to stop.

    The first error of any stage stops all of them and is raised; the writers' unfinished files are removed, but for
    those of a checkpoint.

    Args:
        results: Of ``stage_results``; closed at the end.
        writers: Closed, or after an error aborted, at the end.
        timings: Those of ``results``.
        progress: Told of each result, in order.
        interrupt: Takes effect after the frame in work.
        name: Of the video or the photos, for ``progress``.
        frames: How many to expect, for ``progress``.
        keep_interrupted: Whether an interrupted run finishes the files of the frames done so far; else it removes them.
        budget: Of the source.
        saving: Saves checkpoints.

    Raises:
        OutputError: If a result cannot be written.
        KeyboardInterrupt: If the user interrupts for a second time, or ``keep_interrupted`` is False.
        PersamVosError: Whatever ``results`` raises.
    """
    with interrupt:
        writing = WriteStage(writers, timings, _QUEUE_DEPTH, budget)
        try:
            progress.start(name, frames, 0 if saving is None else saving.frames_before)
            start = time.perf_counter()
            writing.start()
            with closing(results):
                written, stopped = _put_all(results, writing, progress, interrupt, saving)
            if stopped and not keep_interrupted:
                raise KeyboardInterrupt
            paths = writing.close()
        except BaseException:
            writing.abort(saving)
            raise
        finally:
            progress.stop()
    warnings = tuple(text for writer in writers for text in writer.warnings)
    return Outcome(
        frames=written,
        interrupted=stopped,
        written=paths,
        timings=timings,
        seconds=time.perf_counter() - start,
        warnings=warnings,
    )


def _put_all(
    results: Results, writing: WriteStage, progress: Progress, interrupt: GracefulInterrupt, saving: Saving | None
) -> tuple[int, bool]:
    """Hand results over until they end or the user wants to stop; return their number, and whether it was stopped."""
    count = 0
    for frame, result in results:
        save = None if saving is None else saving.take(frame, now=interrupt.asked)
        writing.put(frame, result, save)
        count += 1
        if count % _GIVE_BACK_AFTER == 0:
            give_back_freed()
        progress.advance(result)
        # What was found together is written together: a checkpoint lies behind all of it.
        if interrupt.asked and (saving is None or save is not None):
            return count, True
    # A source may have ended early because of it.
    stopped = interrupt.asked and (saving is None or interrupt.cut_short)
    if stopped and saving is not None and (save := saving.take_last()) is not None:
        writing.then(save)
    return count, stopped
