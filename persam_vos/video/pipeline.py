"""The stages wired together: decode, encode, track and write side by side, through bounded queues."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from persam_vos.errors import VideoError
from persam_vos.exports.base import ResultWriter
from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.media.stream import FrameReader
from persam_vos.pipeline.encoding import EncodeStage
from persam_vos.pipeline.gpu_memory import GpuMemory, memory_errors
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.stages import EMBEDDED_DEPTH, QUEUE_DEPTH, Sink, prefetch, write_all
from persam_vos.pipeline.timings import Timings
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.tracker import Tracker

# Up to so many objects, in frames of so many pixels, tracking takes less than encoding.
_FEW_OBJECTS = 2
_FEW_PIXELS = 1920 * 1200


def new_tracker(engine: Engine[Settings]) -> Tracker:
    """Return a tracker for one more video."""
    return Tracker.from_parts(engine.encoder, engine.decoder, engine.settings)


@dataclass(frozen=True, slots=True)
class TrackOutcome:
    """How the tracking of one video ended.

    Attributes:
        frames: Frames tracked and written.
        interrupted: Whether the user stopped it before the end.
        written: What the writers left under its final name.
        timings: Seconds per stage.
        warnings: Of the reader and the writers.
    """

    frames: int
    interrupted: bool
    written: tuple[Path, ...]
    timings: Timings
    warnings: tuple[str, ...]


def track(
    engine: Engine[Settings],
    reader: FrameReader,
    label_map: LabelMap,
    writers: Sequence[ResultWriter],
    *,
    on_frame: Callable[[FrameResult], None] = lambda _: None,
    on_interrupt: Callable[[], None] = lambda: None,
    keep_interrupted: bool = True,
) -> TrackOutcome:
    """Track the objects of a video's first frame through all of it.

    Decoding, encoding and writing run in threads of their own, ahead of and behind the tracker. The first error of any
    stage stops all of them and is raised; the writers' unfinished files are removed.

    Args:
        engine: The model.
        reader: The video; it is closed at the end.
        label_map: uint8, H x W, the annotation of the first frame.
        writers: Where the results go; they are closed or aborted at the end.
        on_frame: Called after each frame, in order.
        on_interrupt: Called at the first Ctrl-C or SIGTERM, which takes effect after the frame in work.
        keep_interrupted: The first Ctrl-C or SIGTERM ends the run after the frame in work, and the files of the frames
            done are finished properly; if False, they are removed.

    Raises:
        VideoError: If the video has no frame or cannot be decoded.
        SettingsError: If the GPU's memory is not enough: for the batch size that the settings name, or for one frame.
        MaskError: If the annotation does not fit the first frame.
        OutputError: If a result cannot be written.
        KeyboardInterrupt: If the user interrupts for a second time, or ``keep_interrupted`` is False.
    """
    timings = Timings()
    sink = Sink(writers, timings, QUEUE_DEPTH)
    with GracefulInterrupt(on_interrupt) as interrupt, _threads_left_to_the_encoder(engine, label_map):
        try:
            with memory_errors(engine), closing(_results(engine, reader, label_map, timings)) as results:
                frames = write_all(results, sink, on_frame, interrupt)
            if interrupt.asked and not keep_interrupted:
                raise KeyboardInterrupt
            if not frames:
                raise VideoError(f"{reader.info.source}: no frame could be decoded")
            written = sink.close()
        except BaseException:
            sink.abort()
            raise
        finally:
            reader.close()
    warnings = (*reader.warnings, *(text for writer in writers for text in writer.warnings))
    return TrackOutcome(frames, interrupt.asked, written, timings, warnings)


@contextmanager
def _threads_left_to_the_encoder(engine: Engine[Settings], label_map: LabelMap) -> Iterator[None]:
    """Give the tracker half of the CPU's threads, where the encoder beside it has threads of its own and more to do.

    Where PyTorch runs both, their number is one for the whole process; on a GPU the tracker needs little of the CPU. It
    is settled beforehand, not by what takes how long: masks may depend on it in their last digits.
    """
    threads = torch.get_num_threads()
    light = len(np.unique(label_map)) <= 1 + _FEW_OBJECTS and label_map.size <= _FEW_PIXELS
    light = light and not engine.settings.closer_look
    torch.set_num_threads(max(threads // 2, 1) if light and engine.side_by_side else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _results(
    engine: Engine[Settings], reader: FrameReader, label_map: LabelMap, timings: Timings
) -> Generator[tuple[FrameResult, Frame], None, None]:
    """Run all stages but writing; closing this ends their threads, the last stage's first."""
    tracker, memory = new_tracker(engine), GpuMemory(engine)
    engine.warm_up()
    with (
        closing(prefetch("decode", timings.timed("decode", reader), QUEUE_DEPTH)) as decoded,
        closing(prefetch("encode", EncodeStage(engine, timings, memory).run(decoded), EMBEDDED_DEPTH)) as embedded,
    ):
        for frame, embedding in embedded:
            with timings.stage("track"):
                if frame.index == 0:
                    result = memory.retry(partial(tracker.start, frame, label_map, embedding))
                else:
                    result = memory.retry(partial(tracker.step, frame, embedding))
            yield result, frame
