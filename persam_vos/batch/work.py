"""The unit of work: one clip of a batch becomes its folder, as ``persam-vos run`` makes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from persam_vos.batch.clips import BatchClip
from persam_vos.batch.fingerprint import Fingerprint
from persam_vos.batch.folders import ClipFolder
from persam_vos.batch.prompting import prompting_of
from persam_vos.errors import OutputError, PersamVosError, is_short_of_memory
from persam_vos.exports.run_record import peak_memory_mib
from persam_vos.media.masks.reading import MaskReading
from persam_vos.pipeline.progress import NoProgress, Progress
from persam_vos.pipeline.writing import Outcome
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine, EngineParts, load_parts
from persam_vos.settings.video import Settings
from persam_vos.video.resuming.resume import is_complete, is_unfinished, nothing_left
from persam_vos.video.run import run_video

Status = Literal["done", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class ClipJob:
    """What a worker is given; small, and the same on any machine that sees the files.

    Attributes:
        clip: The clip.
        output: Folder of the batch.
        reading: How masks are read.
        fingerprint: Of the clip.
        resume: Whether what is left of an earlier run is gone on with.
    """

    clip: BatchClip
    output: Path
    reading: MaskReading
    fingerprint: Fingerprint
    resume: bool


@dataclass(frozen=True, slots=True)
class ClipResult:
    """How the work on a clip ended.

    Attributes:
        id: Of the clip.
        status: ``done``: its folder is whole; ``failed``; or ``interrupted``: what is done is kept for a later run.
        seconds: That it took.
        frames: Frames that are written.
        error: Why it failed, one line; "" if it did not.
        warnings: What is doubtful, one line each.
        peak_mib: Largest resident size of the worker so far; None where the system does not tell.
    """

    id: str
    status: Status
    seconds: float
    frames: int = 0
    error: str = ""
    warnings: tuple[str, ...] = ()
    peak_mib: float | None = None


class Models:
    """The network of one worker: loaded once, and again only where a clip asks for another one."""

    def __init__(self) -> None:
        self._parts: tuple[object, EngineParts] | None = None
        self._engine: Engine[Settings] | None = None

    def engine(self, settings: Settings) -> Engine[Settings]:
        """Return an engine of these settings.

        Raises:
            SettingsError: If the device or the backend cannot run the model.
            CheckpointError: If the weights cannot be had.
        """
        if self._engine is None or self._engine.settings != settings:
            self._engine = None
            self._engine = Engine(settings, parts=self._parts_for(settings))
        return self._engine

    def _parts_for(self, settings: Settings) -> EngineParts:
        kind = (
            settings.model,
            settings.checkpoint,
            settings.device,
            settings.backend,
            settings.precision,
            settings.batch_size,
            settings.encodes_square,
        )
        if self._parts is None or self._parts[0] != kind:
            # The old one goes before the new one comes: both may not fit.
            self._parts = None
            self._parts = kind, load_parts(settings, progress=False)
        return self._parts[1]


class _Counting(NoProgress):
    """Hands on what one clip's progress says, and counts its frames."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.frames = 0
        self.has_advanced = False

    def start(self, name: str, frames: int | None, done: int = 0) -> None:
        self.frames = done
        self._progress.start(name, frames, done)

    def prepare(self, done: int, expected: int) -> None:
        self._progress.prepare(done, expected)

    def advance(self, result: FrameResult) -> None:
        self.frames += 1
        self.has_advanced = True
        self._progress.advance(result)

    def interrupt(self) -> None:
        self._progress.interrupt()

    def stop(self) -> None:
        self._progress.stop()


def work(job: ClipJob, load: Callable[[Settings], Engine[Settings]], progress: Progress | None = None) -> ClipResult:
    """Track a clip, and write its folder; whatever goes wrong is told in the result.

    Args:
        job: The clip.
        load: Returns the network; see ``Models``.
        progress: Told of each frame.
    """
    started, counting = time.perf_counter(), _Counting(progress or NoProgress())
    outcome: Outcome | None = None
    error = ""
    try:
        outcome = _run(job, load, counting)
    except KeyboardInterrupt:
        pass
    except (PersamVosError, OSError) as raised:
        error = " ".join(str(raised).split()) or type(raised).__name__
    except Exception as raised:  # one clip must not end the others
        short = "there is too little memory; pass fewer --jobs, or fewer or smaller exports"
        error = short if is_short_of_memory(raised) else " ".join(f"{type(raised).__name__}: {raised}".split())
    done = outcome is not None and not outcome.interrupted
    return ClipResult(
        id=job.clip.id,
        status="failed" if error else "done" if done else "interrupted",
        seconds=round(time.perf_counter() - started, 3),
        frames=counting.frames if outcome is None else outcome.frames,
        error=error,
        warnings=() if outcome is None else outcome.warnings,
        peak_mib=peak_memory_mib(),
    )


def result_of(name: str, run: Mapping[str, Any]) -> ClipResult:
    """Return how a clip ended whose folder is whole.

    Args:
        name: Its id.
        run: Its run.json.
    """
    seconds, frames, warnings = run.get("seconds"), run.get("frames"), run.get("warnings")
    return ClipResult(
        id=name,
        status="done",
        seconds=float(seconds) if isinstance(seconds, (int, float)) else 0.0,
        frames=frames if isinstance(frames, int) else 0,
        warnings=tuple(map(str, warnings)) if isinstance(warnings, list) else (),
    )


def _run(job: ClipJob, load: Callable[[Settings], Engine[Settings]], progress: _Counting) -> Outcome:
    folder = ClipFolder(job.output, job.clip.id)
    with folder.held():
        if job.resume and folder.is_whole(job.fingerprint):
            # Another batch has done it meanwhile, or a process that died when all was done.
            folder.drop()
            return nothing_left(folder.record())
        goes_on = job.resume and folder.has_begun(job.fingerprint)
        goes_on = goes_on and (is_unfinished(folder.partial) or is_complete(folder.partial))
        if goes_on:
            try:
                return _tracked(job, folder, load, progress, resume=True)
            except OutputError:
                # What is left of the earlier run is damaged; what the system refuses, it will refuse again.
                if progress.has_advanced:
                    raise
        folder.begin(job.fingerprint)
        return _tracked(job, folder, load, progress, resume=False)


def _tracked(
    job: ClipJob, folder: ClipFolder, load: Callable[[Settings], Engine[Settings]], progress: Progress, *, resume: bool
) -> Outcome:
    clip = job.clip
    prompting, span = prompting_of(clip, job.reading)
    outcome = run_video(
        clip.video,
        prompting,
        folder.partial,
        clip.settings,
        progress,
        span=span,
        backward=clip.backward,
        overwrite=not resume,
        resume=resume,
        load=lambda: load(clip.settings),
        final=folder.path,
    )
    if not outcome.interrupted:
        folder.finish()
    return outcome
