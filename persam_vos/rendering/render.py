"""The job on masks that exist: they are read beside their video, and everything that was asked for is written."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from persam_vos.errors import MaskError, OutputError
from persam_vos.exports.alpha.pixels import kinds_of_alpha
from persam_vos.exports.annotations.journal import forget_journals
from persam_vos.exports.base import refuse_gone
from persam_vos.exports.report import frames_to_look_at, read_series, write_report
from persam_vos.exports.report.pictures import pictures_file
from persam_vos.exports.run_record import (
    RUN_JSON,
    machine,
    peak_memory_mib,
    recorded_exports,
    remove_run_json,
    versions,
)
from persam_vos.exports.select import open_writers, remove_replaced
from persam_vos.exports.styles import ObjectStyles
from persam_vos.exports.tracks import TRACKS
from persam_vos.files import real_path, remove_if_left_empty, write_lines
from persam_vos.locks import written_alone
from persam_vos.masks import box_xyxy
from persam_vos.media import Frame, FrameReader, StreamInfo
from persam_vos.media.masks.reading import AS_IT_IS, MaskReading
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.prefetch import prefetch
from persam_vos.pipeline.progress import Progress
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.writing import Outcome, Results, run_stages
from persam_vos.prompts import NamedObject, Span
from persam_vos.rendering.earlier_run import EarlierRun, EarlierTracks, read_earlier_run
from persam_vos.rendering.frames import FRAME_RATE, WHOLE, RenderedVideo, VideoFrames
from persam_vos.rendering.mask_arrays import MaskArrayLike, MaskArrays
from persam_vos.rendering.mask_folder import MaskSource, Reading, find_masks
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.settings.output import OutputSettings

_DEPTH = 4  # frames that are read ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What is rendered.

    Attributes:
        masks: Of the frames.
        folder: That the masks are read from; None where they are arrays.
        run: That wrote them; None where that is unknown.
        objects: Those that have names or colours.
    """

    masks: MaskSource
    folder: Path | None
    run: EarlierRun | None
    objects: tuple[NamedObject, ...]


def render_video(
    source: VideoFrames,
    masks: Path | MaskArrayLike,
    output: Path,
    settings: OutputSettings,
    progress: Progress,
    *,
    objects: Sequence[NamedObject] = (),
    span: Span = WHOLE,
    how: MaskReading = AS_IT_IS,
    frame_rate: Fraction = FRAME_RATE,
    overwrite: bool = False,
) -> Outcome:
    """Write exports, tracks.jsonl and run.json of masks that exist already.

    Args:
        source: Video file, folder of images, or glob; or arrays.
        masks: Folder of label maps, folder of folders of one object each, or the folder of a run; or arrays.
        output: The folder to write.
        settings: What is read and written.
        progress: Told of each frame.
        objects: Names and colours, which win over those of the masks.
        span: The frames that are rendered; by default those that have masks.
        how: How mask files are read.
        frame_rate: Frames per second of images and arrays.
        overwrite: Replace earlier results.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
    """
    started = time.perf_counter()
    run = None
    if isinstance(masks, Path):
        _check_folders(masks, output)
        run = read_earlier_run(masks)
    video = RenderedVideo(source, settings, frame_rate)
    video.check()
    with video.open() as whole:
        info = whole.info
        job = _job(masks, run, info, how, objects)
    for warning in job.masks.warnings:
        progress.warn(warning)
    with video.open_part(info, job.masks, span) as reader, remove_if_left_empty(output), written_alone(output):
        return _render(job, reader, output, settings, progress, started, overwrite=overwrite)


def _job(
    masks: Path | MaskArrayLike,
    run: EarlierRun | None,
    info: StreamInfo,
    how: MaskReading,
    given: Sequence[NamedObject],
) -> _Job:
    if not isinstance(masks, Path):
        return _Job(masks=MaskArrays(masks, info), folder=None, run=None, objects=tuple(given))
    folder = run.masks if run else masks
    found = find_masks(folder, info, run, Reading(info.height, info.width, how))
    return _Job(masks=found, folder=folder, run=run, objects=_named(found.objects, given))


def _render(
    job: _Job,
    reader: FrameReader,
    output: Path,
    settings: OutputSettings,
    progress: Progress,
    started: float,
    *,
    overwrite: bool,
) -> Outcome:
    earlier = recorded_exports(output)
    writers = open_writers(
        output, settings.export, info=reader.info, overwrite=overwrite, options=settings, objects=job.objects
    )
    remove_run_json(output)
    timings, interrupt = Timings(), GracefulInterrupt(progress.interrupt, stop_source=reader.stop)
    given = _results(job, reader, timings), writers, timings, progress, interrupt
    outcome = run_stages(*given, name=reader.info.source.name, frames=reader.info.frame_count)
    refuse_gone(outcome.written)
    forget_journals(output)
    keep = (reader.info.source, *([job.folder] if job.folder else []))
    remove_replaced(output, earlier, settings.export, reader.info, written=outcome.written, keep=keep)
    outcome = replace(outcome, warnings=(*job.masks.warnings, *reader.warnings, *outcome.warnings))
    record = _record(job, reader.info, settings, outcome, time.perf_counter() - started)
    report = _report(job, output, settings, record)
    write_lines(output / RUN_JSON, json.dumps(record, indent=2, ensure_ascii=False))
    return replace(outcome, written=(*outcome.written, *report, output / RUN_JSON))


def _report(job: _Job, output: Path, settings: OutputSettings, record: dict[str, Any]) -> tuple[Path, ...]:
    """Write the report, if it is asked for and there is a frame; return its path."""
    if "report" not in settings.export or not record["frames"]:
        return ()
    series = read_series(output / TRACKS)
    path = write_report(output, record, series, frames_to_look_at(series), ObjectStyles(job.objects))
    pictures_file(output).discard()
    return (path,)


def _check_folders(masks: Path, output: Path) -> None:
    """Refuse to write over masks that are read, or over the results of a run."""
    if not masks.is_dir():
        raise MaskError(f"{masks}: is no folder; give a folder of masks, or the folder of a run")
    if real_path(masks).is_relative_to(real_path(output)) or real_path(output).is_relative_to(real_path(masks)):
        raise OutputError(f"{output}: is where the masks are read from; give another --output")


def _results(job: _Job, reader: FrameReader, timings: Timings) -> Results:
    """Yield the frames with their masks; both are read ahead, in a thread."""
    with closing(prefetch("read", _read(job, reader, timings), _DEPTH)) as results:
        yield from results


def _read(job: _Job, reader: FrameReader, timings: Timings) -> Iterator[tuple[Frame, FrameResult]]:
    folder = job.run.folder if job.run else job.folder
    tracks = EarlierTracks(folder / TRACKS if folder else None)
    known, without = set(job.masks.indices), 0
    left = {index for index in known if _is_asked_for(index, reader.info)}
    for frame in timings.timed("decode", reader):
        with timings.stage("masks"):
            without += frame.index not in known
            left.discard(frame.index)
            label_map = job.masks.label_map(frame.index)
            recorded = tracks.of_frame(frame.index)
            found = tuple(_object(label_map == each, each, recorded.get(each, {})) for each in job.masks.ids)
            result = FrameResult(frame.index, frame.pts, frame.time_base, label_map, found)
        yield frame, result
    if without:
        job.masks.warnings.append(f"{without} frames have no mask, and count as empty")
    if left:
        job.masks.warnings.append(f"{len(left)} masks are not rendered: the video has ended before frame {min(left)}")


def _is_asked_for(index: int, info: StreamInfo) -> bool:
    """Tell whether the frame of an index is among those that are rendered."""
    clip = info.clip
    if clip is None:
        return True
    return index >= clip.start and (clip.stop is None or index < clip.stop) and not (index - clip.start) % clip.stride


def _object(mask: Any, object_id: int, recorded: Any) -> ObjectResult:
    """Return what is known of an object in a frame; a score that nobody recorded is 1."""
    box = box_xyxy(mask)
    similarity = recorded.get("similarity") if box else None
    score = recorded.get("score", 1.0) if box else 0.0
    return ObjectResult(
        id=object_id,
        present=box is not None,
        score=float("nan") if score is None else float(score),
        similarity=None if similarity is None else float(similarity),
        area=int(np.count_nonzero(mask)),
        box=box,
        keyframe=bool(recorded.get("keyframe", False)),
    )


def _named(of_masks: Sequence[NamedObject], given: Sequence[NamedObject]) -> tuple[NamedObject, ...]:
    named = {each.id: each for each in of_masks}
    for each in given:
        known = named.get(each.id, each)
        named[each.id] = replace(each, name=each.name or known.name, color=each.color or known.color)
    return tuple(named.values())


def _record(job: _Job, info: StreamInfo, settings: OutputSettings, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Return what run.json says."""
    return {
        "settings": settings.model_dump(mode="json", include=set(OutputSettings.model_fields)),
        "versions": versions(),
        "machine": machine("cpu"),
        "seconds": round(seconds, 3),
        "peak_memory_mib": peak_memory_mib(),
        "source": str(info.source),
        "masks": str(job.folder or "arrays"),
        "frame_size": [info.height, info.width],
        "frame_rate": None if info.frame_rate is None else str(info.frame_rate),
        "time_base": str(info.time_base),
        "frames_from": info.clip.start if info.clip else 0,
        "stride": info.clip.stride if info.clip else 1,
        "objects": list(job.masks.ids),
        "alpha": kinds_of_alpha(settings.export, settings),
        "names": {each.id: each.name for each in job.objects if each.name},
        "colors": {each.id: each.color for each in job.objects if each.color},
        "frames": outcome.frames,
        "complete": not outcome.interrupted,
        "frames_per_second": round(outcome.frames / outcome.seconds, 3),
        "seconds_per_stage": outcome.timings.rounded(),
        "warnings": list(outcome.warnings),
    }
