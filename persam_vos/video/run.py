"""Whole jobs, as the command line offers them: one video into a folder, one DAVIS split into tables."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from persam_vos.exports.base import ResultWriter
from persam_vos.exports.run_record import recorded_exports, remove_run_json, write_run_json
from persam_vos.exports.select import open_writers, remove_exports
from persam_vos.files import no_empty_folder
from persam_vos.masks import LabelMap
from persam_vos.media.readers import open_video
from persam_vos.media.stream import FrameReader, StreamInfo
from persam_vos.pipeline.progress import Progress
from persam_vos.pipeline.record import engine_record
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.first_frame import Annotation, FirstFrame
from persam_vos.video.pipeline import TrackOutcome, track


def run_video(
    source: str,
    first: FirstFrame,
    output: Path,
    settings: Settings,
    progress: Progress,
    *,
    overwrite: bool = False,
) -> TrackOutcome:
    """Track one video and write its folder: the exports, tracks.jsonl and run.json.

    Everything that can be wrong with the input is found before the model is loaded.

    Args:
        source: Video file, folder of images, or glob.
        first: What says where the objects of the first frame are.
        output: The folder to write.
        settings: Of the run.
        progress: Told of each frame.
        overwrite: Replace earlier results.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
    """
    started = time.perf_counter()
    with open_video(source, backend=settings.reader) as reader:
        info = reader.info
        annotate = first.read(lambda: open_video(source, backend=settings.reader), info.height, info.width)
        exports, background = settings.export, settings.background_rgb
        writers = open_writers(output, exports, info=info, overwrite=overwrite, background=background)
        with no_empty_folder(output):
            engine = Engine(settings)
            annotation = annotate(engine)
        stale = [name for name in recorded_exports(output) if name not in exports]
        # The record of an earlier run must not stand beside half of this one.
        remove_run_json(output)
        outcome = _track_and_tell(engine, reader, annotation.label_map, writers, progress)
    seconds = time.perf_counter() - started
    outcome = replace(outcome, warnings=(*annotation.warnings, *outcome.warnings))
    given = _input_record(source, annotation, info)
    remove_exports(output, stale, keep=(Path(source), *first.files))
    path = write_run_json(output, engine_record(engine, seconds) | given | _outcome_record(outcome, seconds))
    return replace(outcome, written=(*outcome.written, path))


def _track_and_tell(
    engine: Engine[Settings],
    reader: FrameReader,
    label_map: LabelMap,
    writers: Sequence[ResultWriter],
    progress: Progress,
) -> TrackOutcome:
    progress.start(reader.info.source.name, reader.info.frame_count)
    try:
        return track(engine, reader, label_map, writers, on_frame=progress.advance, on_interrupt=progress.interrupt)
    finally:
        progress.stop()


def _input_record(source: str, annotation: Annotation, info: StreamInfo) -> dict[str, Any]:
    return {
        "source": str(source),
        **annotation.record,
        "frame_size": [info.height, info.width],
        "frame_rate": info.frame_rate,
        "objects": [int(i) for i in np.unique(annotation.label_map) if i],
    }


def _outcome_record(outcome: TrackOutcome, seconds: float) -> dict[str, Any]:
    return {
        "frames": outcome.frames,
        "complete": not outcome.interrupted,
        "frames_per_second": round(outcome.frames / seconds, 3),
        "seconds_per_stage": outcome.timings.rounded(),
        "warnings": outcome.warnings,
    }
