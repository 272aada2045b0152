"""The results of a session go in; out comes the folder that a run writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from persam_vos.files import remove_if_left_empty
from persam_vos.locks import written_alone
from persam_vos.media.ranges import ClipReader, frame_range
from persam_vos.media.stream import FrameReader
from persam_vos.pipeline.interrupt import GracefulInterrupt
from persam_vos.pipeline.progress import OnProgress, ProgressFunction
from persam_vos.pipeline.timings import Timings
from persam_vos.pipeline.writing import Outcome, Results, run_stages
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.prompting import Prompting
from persam_vos.video.results_folder import ResultsFolder, writers_of
from persam_vos.video.resuming.resume import find_earlier
from persam_vos.video.session.edition import Edition
from persam_vos.video.session.session_parts import SessionParts


def export_session(
    parts: SessionParts,
    edition: Edition,
    folder: Path,
    changes: Mapping[str, Any],
    *,
    on_progress: OnProgress,
    warnings: Sequence[str] = (),
    overwrite: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Write the results of a session: the exports, tracks.jsonl, prompts.json and run.json.

    Args:
        parts: The video, which stays open, the model, and the masks, which are complete.
        edition: What was said.
        folder: Where the files go; made if it is not there.
        changes: Settings of what is written, with the names of the exports as ``export``.
        on_progress: Called after each frame.
        warnings: What makes the results doubtful.
        overwrite: Replace what an earlier run has written.
        cancelled: Asked after each frame; True stops, and the files of this export are removed.

    Raises:
        SettingsError: If an export is unknown, or a setting is not allowed.
        OutputError: If the folder holds an unfinished run or anything else, without ``overwrite``, or cannot be written
            to.
    """
    started, engine = time.perf_counter(), parts.engine()
    reader, propagated = _reader(parts), parts.propagated(edition.placed.values())
    prompting, name = Prompting((), edition.objects), reader.info.source.name
    with _exporting(engine, changes) as settings, remove_if_left_empty(folder), written_alone(folder):
        find_earlier(folder, overwrite=overwrite, resume=False)
        writers = writers_of(folder, settings, reader.info, edition.objects, overwrite=overwrite)
        results = ResultsFolder(folder, engine, reader, edition.as_keyframes, prompting)
        results.begin()
        progress = ProgressFunction(on_progress, reader.info.clip)
        interrupt = GracefulInterrupt(progress.interrupt)
        found = _until(cancelled, propagated.results(soft=settings.makes_alpha))
        try:
            given = found, writers, Timings(), progress, interrupt
            outcome = run_stages(*given, name=name, frames=len(parts.frames))
        except _CancelledError:
            return nothing_written()
        return results.complete(replace(outcome, encoded=propagated.encoded), started=started, warnings=warnings)


class _CancelledError(Exception):
    """An export was cancelled."""


def nothing_written() -> Outcome:
    """Return how an export ends that was cancelled."""
    return Outcome(frames=0, interrupted=True, written=(), timings=Timings(), seconds=0.0)


def _until(cancelled: Callable[[], bool], results: Results) -> Results:
    """Yield results; raise ``_CancelledError`` once that is wanted."""
    with closing(results):
        for each in results:
            if cancelled():
                raise _CancelledError
            yield each


def _reader(parts: SessionParts) -> FrameReader:
    """Return what reads the frames of a session; of a whole video, they keep their times in all exports."""
    frames = parts.frames
    reader = ClipReader(parts.video, frame_range(frames.start, frames.stop, frames.step))
    if parts.is_whole:
        reader.info = parts.video.info
    return reader


@contextmanager
def _exporting(engine: Engine[Settings], changes: Mapping[str, Any]) -> Iterator[Settings]:
    """Give a model the settings of an export, so that run.json names what was written.

    Raises:
        SettingsError: If an export is unknown.
    """
    of_session = engine.settings
    engine.settings = Settings(**{**of_session.model_dump(), **changes})
    try:
        yield engine.settings
    finally:
        engine.settings = of_session
