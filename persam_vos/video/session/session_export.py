"""The results of a session go in; out comes the folder that a run writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from persam_vos.exports.select import open_writers
from persam_vos.files import remove_if_left_empty
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.ranges import ClipReader, frame_range
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.progress import NoProgress, Progress
from persam_vos.pipeline.record import run_record
from persam_vos.pipeline.stages import Outcome, run_stages
from persam_vos.pipeline.timings import Timings
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.asked import write_asked
from persam_vos.video.prompting.prompting import Prompting
from persam_vos.video.propagation.propagated import PropagatedVideo
from persam_vos.video.run import ended_record, given_record
from persam_vos.video.session.edition import Edition


def export_session(
    engine: Engine[Settings],
    video: RandomAccessVideo,
    propagated: PropagatedVideo,
    edition: Edition,
    folder: Path,
    exports: Sequence[str],
    progress: Progress | None = None,
    *,
    overwrite: bool = False,
) -> Outcome:
    """Write the results of a session: the exports, tracks.jsonl, prompts.json and run.json.

    Args:
        engine: The model.
        video: The video; it stays open.
        propagated: Its masks, complete.
        edition: What was said.
        folder: Where the files go; made if it is not there.
        exports: Names of what is written.
        progress: Told of each frame.
        overwrite: Replace what an earlier run has written.

    Raises:
        SettingsError: If an export is unknown.
        OutputError: If the folder is not empty, without ``overwrite``, or cannot be written to.
    """
    started, frames, progress = time.perf_counter(), propagated.frames, progress or NoProgress()
    reader = ClipReader(video, frame_range(frames.start, frames.stop, frames.step))
    keyframes = edition.as_keyframes
    prompting = Prompting((), edition.objects)
    settings = engine.settings
    writers = open_writers(
        folder,
        exports,
        info=reader.info,
        overwrite=overwrite,
        background=settings.background_rgb,
        objects=edition.objects,
    )
    given = given_record(keyframes, prompting, reader)
    interrupt = GracefulInterrupt(progress.interrupt)
    with remove_if_left_empty(folder):
        outcome = run_stages(
            propagated.results(),
            writers,
            Timings(),
            progress,
            interrupt,
            name=reader.info.source.name,
            frames=len(frames),
        )
    asked = write_asked(folder, keyframes, prompting, reader.info)
    record = run_record(engine, given, ended_record(outcome), time.perf_counter() - started)
    return replace(outcome, written=(*outcome.written, asked, record.write(folder)))
