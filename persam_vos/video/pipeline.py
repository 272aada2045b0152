"""A video through all stages: decode, encode, track, and write if there are writers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np

from persam_vos.errors import VideoError
from persam_vos.exports.base import ResultWriter
from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.media.stream import FrameReader
from persam_vos.methods.memory import MASK_TOKEN_IMPORTS
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.progress import NoProgress, Progress
from persam_vos.pipeline.stages import Source, stage_results
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.torch_threads import half_of_torch_threads
from persam_vos.pipeline.writing import Outcome, Results, run_stages
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.between import GapTracker
from persam_vos.video.resuming.checkpoint import Checkpoints
from persam_vos.video.tracker import Tracker

# With at most this many objects and pixels, tracking is faster than encoding.
_FEW_OBJECTS = 2
_FEW_PIXELS = 1920 * 1200


def new_tracker(engine: Engine[Settings]) -> Tracker:
    """Return a tracker for one more video."""
    # For the nearer view alone, a single picture, the other encoder would have to be loaded, which takes a second.
    encoder = engine.encoder if engine.settings.closer_look else engine.batch_encoder
    return Tracker.from_parts(encoder, engine.decoder, engine.settings)


def tracked_frames(
    engine: Engine[Settings],
    reader: FrameReader,
    label_map: LabelMap,
    timings: Timings | None = None,
    tracker: Tracker | None = None,
) -> Results:
    """Track the objects of a video's first frame; yield each frame with its result, in order.

    Frames are decoded and encoded ahead, in threads that start with the first result that is asked for and end when the
    generator is closed. The reader stays open.

    Args:
        engine: The model.
        reader: The video.
        label_map: uint8, H x W, the annotation of the first frame; every value but 0 is an object.
        timings: Told how long each stage takes.
        tracker: Tracks the video, and has its own warnings after the first result; None for a new one.

    Raises:
        VideoError: If the video has no frame, or cannot be decoded.
        MaskError: If the annotation does not fit the first frame.
        SettingsError: If the GPU's memory is too small for one frame, or for the batch size of the settings.
    """
    search = _gap_tracker(engine, tracker or new_tracker(engine), label_map)
    yield from _results(engine, _at_least_one(reader), search, label_map, timings or Timings())


def _gap_tracker(engine: Engine[Settings], tracker: Tracker, label_map: LabelMap) -> GapTracker:
    return GapTracker(tracker, label_map, engine.encoder, engine.settings)


def _results(
    engine: Engine[Settings], frames: Iterator[Frame], search: GapTracker, label_map: LabelMap, timings: Timings
) -> Results:
    source = Source(
        frames=frames,
        search=search,
        read_name="decode",
        search_name="track",
        encode_every=engine.settings.encode_every,
        resumed=search.settled is not None,
    )
    lend = engine.side_by_side and _is_light(engine.settings, label_map)
    with (
        half_of_torch_threads(lend),
        engine.warming_up(_slow_imports(engine.settings)),
        closing(stage_results(engine, source, timings)) as results,
    ):
        yield from results


def track_video(
    engine: Engine[Settings],
    reader: FrameReader,
    label_map: LabelMap,
    writers: Sequence[ResultWriter],
    progress: Progress | None = None,
    *,
    keep_interrupted: bool = True,
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Track the objects of a video's first frame, and write every result.

    Args:
        engine: The model.
        reader: The video; closed at the end.
        label_map: uint8, H x W, the annotation of the first frame.
        writers: Where the results go; closed, or after an error aborted, at the end.
        progress: Told of each frame.
        keep_interrupted: Whether an interrupted run finishes the files of the frames done so far; else it removes them,
            and tells ``progress`` nothing of the interrupt.
        checkpoints: Of the run, from the last of which it goes on; None for a run that no other one goes on with.

    Raises:
        OutputError: If a result cannot be written.
        KeyboardInterrupt: If the user interrupts for a second time, or ``keep_interrupted`` is False.
        PersamVosError: See ``tracked_frames``.
    """
    progress, timings, tracker = progress or NoProgress(), Timings(), new_tracker(engine)
    search = _gap_tracker(engine, tracker, label_map)
    frames = _at_least_one(reader)
    if checkpoints is not None:
        checkpoints.begin(search)
        frames = checkpoints.left(frames)
    results = _results(engine, frames, search, label_map, timings)
    told = progress if keep_interrupted else NoProgress()
    interrupt = GracefulInterrupt(told.interrupt, stop_source=reader.stop)
    name, count = reader.info.source.name, reader.info.frame_count
    with closing(reader):
        outcome = run_stages(
            results,
            writers,
            timings,
            progress,
            interrupt,
            name=name,
            frames=count,
            keep_interrupted=keep_interrupted,
            saving=checkpoints,
        )
    warnings = (*tracker.warnings, *reader.warnings, *outcome.warnings)
    return replace(outcome, encoded=search.encoded, warnings=warnings)


def _slow_imports(settings: Settings) -> tuple[str, ...]:
    """Return the modules that the method imports only once it needs them."""
    return MASK_TOKEN_IMPORTS if settings.method == "memory" and settings.mask_token else ()


def _at_least_one(reader: FrameReader) -> Iterator[Frame]:
    empty = True
    for frame in reader:
        empty = False
        yield frame
    if empty:
        raise VideoError(f"{reader.info.source}: no frame could be decoded")


def _is_light(settings: Settings, label_map: LabelMap) -> bool:
    """Tell whether tracking takes less time than encoding; then half of PyTorch's threads are enough for it.

    It is decided before the run, not by measuring: masks may depend on the number of threads in their last digits.
    """
    few = len(np.unique(label_map)) <= 1 + _FEW_OBJECTS and label_map.size <= _FEW_PIXELS
    return few and not settings.closer_look
