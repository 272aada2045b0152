"""The job on one video: its objects tracked, and everything that was asked for written into one folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from persam_vos.exports.base import ResultWriter
from persam_vos.exports.prompt_masks import PROMPTS
from persam_vos.exports.run_record import recorded_exports, remove_run_json
from persam_vos.exports.select import open_writers, remove_exports
from persam_vos.files import remove_if_left_empty
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.stream import FrameReader
from persam_vos.pipeline.progress import Progress
from persam_vos.pipeline.record import run_record
from persam_vos.pipeline.stages import Outcome
from persam_vos.prompts import Span
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.pipeline import track_video
from persam_vos.video.prompting.asked import write_asked
from persam_vos.video.prompting.keyframes import Keyframes
from persam_vos.video.prompting.prompting import Prompting, frame_function, other_frames
from persam_vos.video.propagation.kept import forget_unfinished, open_kept, remove_kept, told_of
from persam_vos.video.propagation.keyframed import propagate_video
from persam_vos.video.resuming.checkpoint import Checkpoints, remove_checkpoint
from persam_vos.video.resuming.resume import find_earlier, fingerprint, nothing_left
from persam_vos.video.source import WHOLE, VideoSource


def run_video(
    source: str,
    prompting: Prompting,
    output: Path,
    settings: Settings,
    progress: Progress,
    *,
    span: Span = WHOLE,
    backward: bool = True,
    overwrite: bool = False,
    resume: bool = False,
) -> Outcome:
    """Track one video and write its folder: the exports, tracks.jsonl and run.json.

    Everything that can be wrong with the input is found before the model is loaded.

    Args:
        source: Video file, folder of images, or glob.
        prompting: Says where the objects are.
        output: The folder to write.
        settings: Of the run.
        progress: Told of each frame.
        span: The frames that are tracked.
        backward: Whether objects are looked for before their first keyframes.
        overwrite: Replace earlier results.
        resume: Go on with an earlier run of the same video and settings.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
    """
    video = VideoSource(source, settings, span=span)
    with video.open() as reader:
        prompting.check(reader)
        with other_frames(video, reader, prompting) as frames:
            return write_tracks(
                reader,
                frames,
                prompting,
                output,
                settings,
                progress,
                backward=backward,
                overwrite=overwrite,
                resume=resume,
            )


def write_tracks(
    reader: FrameReader,
    frames: RandomAccessVideo | None,
    prompting: Prompting,
    output: Path,
    settings: Settings,
    progress: Progress,
    *,
    backward: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    load: Callable[[], Engine[Settings]] | None = None,
) -> Outcome:
    """Track a video that is open already; see ``run_video``.

    Args:
        reader: The frames that are tracked; closed at the end.
        frames: All frames; None where nothing is said of others than the first one; see ``other_frames``.
        prompting: Says where the objects are; checked with this reader.
        output: The folder to write.
        settings: Of the run.
        progress: Told of each frame.
        backward: Whether objects are looked for before their first keyframes.
        overwrite: Replace earlier results.
        resume: Go on with an earlier run of the same video and settings.
        load: Returns the model; None loads one.
    """
    started, info = time.perf_counter(), reader.info
    before = find_earlier(output, overwrite=overwrite, resume=resume)
    writers = open_writers(
        output,
        settings.export,
        info=info,
        overwrite=overwrite,
        resume=before.run is not None,
        background=settings.background_rgb,
        objects=prompting.objects,
    )
    with remove_if_left_empty(output):
        engine = load() if load else Engine(settings)
        keyframes = prompting.find(engine, frame_function(reader, frames))
    given, earlier = (
        given_record(keyframes, prompting, reader, backward=backward or frames is None),
        recorded_exports(output),
    )
    run = run_record(engine, given, {}).contents()
    doubts, same = before.check(output, run, redoes=frames is not None), before.same_prompts(run)
    if before.run is not None and before.complete and same:
        return nothing_left(before.run)
    checkpoint = before.checkpoint if frames is None else None
    if frames is None:
        remove_kept(output)
    else:
        run_record(engine, given, {}).write(open_kept(output, anew=before.run is None))
    if checkpoint is None:
        remove_checkpoint(output)
    _replace_earlier_record(output, engine, given, earlier)
    saving = Checkpoints(output, run, writers, checkpoint, device=engine.device)
    if frames is None:
        outcome = _streamed(engine, reader, keyframes, writers, progress, saving)
    else:
        given_to = engine, frames, info, keyframes, writers, progress, output
        with told_of():
            outcome = propagate_video(*given_to, backward=backward, resume=True, tell_changed=not same)
    outcome = replace(outcome, warnings=(*keyframes.warnings, *doubts, *outcome.warnings))
    stale = [name for name in earlier if name not in settings.export]
    remove_exports(output, stale, keep=(info.source, *prompting.files))
    asked = write_asked(output, keyframes, prompting, info)
    ended = ended_record(outcome, saving.frames_before)
    record = run_record(engine, given, ended, time.perf_counter() - started).write(output)
    if not outcome.interrupted:
        remove_checkpoint(output)
        forget_unfinished(output)
    made = (output / PROMPTS,) if keyframes.said else ()
    return replace(outcome, frames=ended["frames"], written=(*made, *outcome.written, asked, record))


def _streamed(
    engine: Engine[Settings],
    reader: FrameReader,
    keyframes: Keyframes,
    writers: Sequence[ResultWriter],
    progress: Progress,
    saving: Checkpoints,
) -> Outcome:
    """Track the objects of the first frame, on which all keyframes lie."""
    with saving.kept():
        label_map = keyframes.label_map(keyframes.frames[0])
        return track_video(engine, reader, label_map, writers, progress, checkpoints=saving)


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


def given_record(
    keyframes: Keyframes, prompting: Prompting, reader: FrameReader, *, backward: bool = True
) -> dict[str, Any]:
    """Return what run.json says of the input."""
    info = reader.info
    return {
        "source": str(info.source),
        **keyframes.record,
        "frame_size": [info.height, info.width],
        "frame_rate": None if info.frame_rate is None else str(info.frame_rate),
        # Seconds per unit of ``pts`` in tracks.jsonl.
        "time_base": str(info.time_base),
        "objects": list(keyframes.ids),
        "names": {each.id: each.name for each in prompting.objects if each.name},
        "fingerprint": fingerprint(reader, keyframes, prompting.objects, backward=backward),
    }


def ended_record(outcome: Outcome, frames_before: int = 0) -> dict[str, Any]:
    """Return what run.json says of how the run ended."""
    return {
        "frames": frames_before + outcome.frames,
        "frames_of_earlier_runs": frames_before,
        "frames_encoded": outcome.encoded,
        "complete": not outcome.interrupted,
        # Without loading the model, which takes as long for any number of frames.
        "frames_per_second": round(outcome.frames / outcome.seconds, 3),
        "seconds_per_stage": outcome.timings.rounded(),
        "warnings": list(outcome.warnings),
    }
