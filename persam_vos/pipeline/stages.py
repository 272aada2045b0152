"""The stages of every run, side by side: a source is read, encoded, searched for its objects, and written."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from persam_vos.exports.base import ResultWriter
from persam_vos.media.frame import Frame
from persam_vos.pipeline.encoding import EncodeStage
from persam_vos.pipeline.gpu_memory import GpuMemory, explained_gpu_memory_errors
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.malloc import give_back_freed
from persam_vos.pipeline.pixel_budget import PixelBudget
from persam_vos.pipeline.prefetch import prefetch
from persam_vos.pipeline.progress import Progress
from persam_vos.pipeline.saving import Saving
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.write_stage import WriteStage
from persam_vos.results import FrameResult
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.engine import Engine

Results = Generator[tuple[Frame, FrameResult], None, None]
Found = Sequence[tuple[Frame, FrameResult]]
# Frames that wait between two stages, beside those in work: enough to hide jitter, few enough to keep memory small at
# 4K. An embedding takes some 15 MB.
_QUEUE_DEPTH = 4
_EMBEDDED_DEPTH = 2
# Frames after which freed memory goes back to the system: in fewer, its holes add up to little.
_GIVE_BACK_AFTER = 25


class Search(Protocol):
    """Finds what a run looks for; a call that fails can be repeated."""

    def push(self, frame: Frame, embedding: ImageEmbedding | None, /) -> Found:
        """Take the next frame, with its embedding if it was encoded; return what is found by now, in order."""
        ...

    def finish(self) -> Found:
        """Return what is found in the last frames, after all of them were taken."""
        ...


class EachAlone:
    """Finds by a function that needs one frame at a time; all frames are encoded."""

    def __init__(self, find: Callable[[Frame, ImageEmbedding], FrameResult]) -> None:
        self._find = find

    def push(self, frame: Frame, embedding: ImageEmbedding | None, /) -> Found:
        """Return the result of the frame."""
        assert embedding is not None
        return ((frame, self._find(frame, embedding)),)

    def finish(self) -> Found:
        """Nothing is left."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Frames, and what to do with each.

    Attributes:
        frames: In order, read in a thread of their own.
        search: Finds the results.
        read_name: Name of the reading stage in run.json.
        search_name: Name of the stage of ``search`` in run.json.
        encode_every: The first frame and every n-th after it are encoded.
        resumed: Whether the first frame follows one that an earlier run has encoded.
        budget: Bounds the pixels in memory; ``frames`` takes from it, and each frame that is written gives back. None
            where all frames are of one size.
    """

    frames: Iterable[Frame]
    search: Search
    read_name: str
    search_name: str
    encode_every: int = 1
    resumed: bool = False
    budget: PixelBudget | None = None


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


def stage_results(engine: Engine[Any], source: Source, timings: Timings) -> Results:
    """Read, encode and search, each in a thread of its own but the last; yield each frame with its result.

    Nothing starts before the first result is asked for. Closing the generator ends the threads, the last stage's first.

    Args:
        engine: The model.
        source: The frames, and what to do with each.
        timings: Told how long each stage takes.

    Raises:
        SettingsError: If the GPU's memory is too small for one frame, or for the batch size of the settings.
        PersamVosError: Whatever the source raises.
    """
    memory, budget = GpuMemory(engine), source.budget
    max_pixels = math.inf if budget is None else budget.batch
    every, position = source.encode_every, int(source.resumed)
    encoding = EncodeStage(engine, timings, memory, max_pixels=max_pixels, every=every, position=position)
    read = timings.timed(source.read_name, source.frames)
    with (
        explained_gpu_memory_errors(engine),
        closing(prefetch(source.read_name, read, _QUEUE_DEPTH)) as frames,
        closing(prefetch("encode", encoding.run(frames), _EMBEDDED_DEPTH)) as embedded,
        # Close the budget first; otherwise the reader may wait for pixels forever.
        nullcontext() if budget is None else closing(budget),
    ):
        for frame, embedding in embedded:
            with timings.stage(source.search_name):
                found = memory.retry(partial(source.search.push, frame, embedding))
            yield from found
        with timings.stage(source.search_name):
            found = memory.retry(source.search.finish)
        yield from found


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
    return count, interrupt.asked and saving is None
