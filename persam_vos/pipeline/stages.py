"""The stages that make results, side by side: a source is read, encoded, and searched for its objects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from persam_vos.media.frame import Frame
from persam_vos.pipeline.encoding import EncodeStage
from persam_vos.pipeline.gpu_memory import GpuMemory, explained_gpu_memory_errors
from persam_vos.pipeline.pixel_budget import PixelBudget
from persam_vos.pipeline.prefetch import prefetch
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.writing import Results
from persam_vos.results import FrameResult
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.engine import Engine

Found = Sequence[tuple[Frame, FrameResult]]
# Frames that wait between two stages, beside those in work: enough to hide jitter, few enough to keep memory small at
# 4K. An embedding takes some 15 MB.
_QUEUE_DEPTH = 4
_EMBEDDED_DEPTH = 2


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
