"""The job on one video: its objects tracked, and everything that was asked for written into one folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from persam_vos.exports.base import ResultWriter
from persam_vos.files import remove_if_left_empty
from persam_vos.locks import written_alone
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.stream import FrameReader
from persam_vos.pipeline.progress import Progress
from persam_vos.pipeline.writing import Outcome
from persam_vos.prompts import Span
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.pipeline import track_video
from persam_vos.video.prompting.keyframes import Keyframes
from persam_vos.video.prompting.prompting import Prompting, frame_function, other_frames
from persam_vos.video.propagation.kept import told_of
from persam_vos.video.propagation.keyframed import propagate_video
from persam_vos.video.results_folder import ResultsFolder, writers_of
from persam_vos.video.resuming.checkpoint import Checkpoints
from persam_vos.video.resuming.resume import find_earlier, nothing_left
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
    load: Callable[[], Engine[Settings]] | None = None,
    final: Path | None = None,
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
        load: Returns the model; None loads one.
        final: The name that the folder will have; None for the one that it has.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
    """
    video = VideoSource(source, settings, span=span, masks=prompting.files)
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
                load=load,
                final=final,
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
    final: Path | None = None,
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
        final: The name that the folder will have; None for the one that it has.
    """
    started, info = time.perf_counter(), reader.info
    with remove_if_left_empty(output), written_alone(output):
        before = find_earlier(output, overwrite=overwrite, resume=resume)
        goes_on = before.run is not None
        writers = writers_of(output, settings, info, prompting.objects, overwrite=overwrite, resume=goes_on)
        engine = load() if load else Engine(settings)
        keyframes = prompting.find(engine, frame_function(reader, frames))
        for warning in keyframes.warnings:
            progress.warn(warning)
        backwards = backward or frames is None
        folder = ResultsFolder(output, engine, reader, keyframes, prompting, backward=backwards, final=final)
        doubts, same = before.check(output, folder.run, redoes=frames is not None), before.same_prompts(folder.run)
        if before.run is not None and before.complete and same:
            folder.forget_unfinished()
            return nothing_left(before.run)
        frames_before = 0
        if frames is None:
            folder.begin(goes_on=before.checkpoint is not None)
            saving = Checkpoints(output, folder.run, writers, before.checkpoint, device=engine.device)
            outcome = _streamed(engine, reader, keyframes, writers, progress, saving)
            frames_before = saving.frames_before
        else:
            folder.begin(propagates=True, goes_on=goes_on)
            given_to = engine, frames, info, keyframes, writers, progress, output
            with told_of():
                outcome = propagate_video(*given_to, backward=backward, tell_changed=not same)
        warnings = (*keyframes.warnings, *doubts)
        return folder.complete(outcome, started=started, warnings=warnings, frames_before=frames_before)


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
