"""The job on one video: its objects tracked, and everything that was asked for written into one folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from persam_vos.exports.prompt_masks import remove_prompt_masks, write_prompt_masks
from persam_vos.exports.run_record import recorded_exports, remove_run_json
from persam_vos.exports.select import open_writers, remove_exports
from persam_vos.files import remove_if_left_empty
from persam_vos.media.readers import open_video
from persam_vos.media.stream import FrameReader, StreamInfo
from persam_vos.pipeline.progress import Progress
from persam_vos.pipeline.record import run_record
from persam_vos.pipeline.stages import Outcome
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.first_frame import Annotation, FirstFrame
from persam_vos.video.pipeline import track_video


def run_video(
    source: str,
    first: FirstFrame,
    output: Path,
    settings: Settings,
    progress: Progress,
    *,
    overwrite: bool = False,
) -> Outcome:
    """Track one video and write its folder: the exports, tracks.jsonl and run.json.

    Everything that can be wrong with the input is found before the model is loaded.

    Args:
        source: Video file, folder of images, or glob.
        first: Says where the objects of the first frame are.
        output: The folder to write.
        settings: Of the run.
        progress: Told of each frame.
        overwrite: Replace earlier results.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
    """
    with open_video(source, backend=settings.reader) as reader:
        first.check(reader)
        return write_tracks(reader, first, output, settings, progress, overwrite=overwrite)


def write_tracks(
    reader: FrameReader,
    first: FirstFrame,
    output: Path,
    settings: Settings,
    progress: Progress,
    *,
    overwrite: bool = False,
    load: Callable[[], Engine[Settings]] | None = None,
) -> Outcome:
    """Track a video that is open already; see ``run_video``.

    Args:
        reader: The video; closed at the end.
        first: Says where the objects of the first frame are; checked with this reader.
        output: The folder to write.
        settings: Of the run.
        progress: Told of each frame.
        overwrite: Replace earlier results.
        load: Returns the model; None loads one.
    """
    started, info = time.perf_counter(), reader.info
    writers = open_writers(output, settings.export, info=info, overwrite=overwrite, background=settings.background_rgb)
    with remove_if_left_empty(output):
        engine = load() if load else Engine(settings)
        annotation = first.find(engine)
    given, earlier = _given(annotation, info), recorded_exports(output)
    _replace_earlier_record(output, engine, given, earlier)
    made = write_prompt_masks(output, annotation.label_map) if annotation.made else ()
    outcome = track_video(engine, reader, annotation.label_map, writers, progress)
    outcome = replace(outcome, warnings=(*annotation.warnings, *outcome.warnings))
    stale = [name for name in earlier if name not in settings.export]
    remove_exports(output, stale, keep=(info.source, *first.files))
    if earlier and not made:
        remove_prompt_masks(output, keep=first.files)
    record = run_record(engine, given, _ended(outcome), time.perf_counter() - started)
    return replace(outcome, written=(*made, *outcome.written, record.write(output)))


def _replace_earlier_record(
    output: Path, engine: Engine[Settings], given: dict[str, Any], earlier: tuple[str, ...]
) -> None:
    """Replace the earlier run.json, so that it does not describe this run's files.

    If this run fails, the next one still reads there which exports the earlier runs have left.
    """
    if earlier:
        run_record(engine, given, {"complete": False, "earlier_exports": list(earlier)}).write(output)
    else:
        remove_run_json(output)


def _given(annotation: Annotation, info: StreamInfo) -> dict[str, Any]:
    return {
        "source": str(info.source),
        **annotation.record,
        "frame_size": [info.height, info.width],
        "frame_rate": None if info.frame_rate is None else str(info.frame_rate),
        # Seconds per unit of ``pts`` in tracks.jsonl.
        "time_base": str(info.time_base),
        "objects": [int(i) for i in np.unique(annotation.label_map) if i],
    }


def _ended(outcome: Outcome) -> dict[str, Any]:
    return {
        "frames": outcome.frames,
        "frames_encoded": outcome.encoded,
        "complete": not outcome.interrupted,
        # Without loading the model, which takes as long for any number of frames.
        "frames_per_second": round(outcome.frames / outcome.seconds, 3),
        "seconds_per_stage": outcome.timings.rounded(),
        "warnings": list(outcome.warnings),
    }
