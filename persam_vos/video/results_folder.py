"""The folder of a run: begun over what an earlier run has left, and completed by prompts.json and run.json."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from persam_vos.exports.alpha.pixels import kinds_of_alpha
from persam_vos.exports.annotations.journal import forget_journals
from persam_vos.exports.base import ResumableWriter, refuse_gone
from persam_vos.exports.prompt_masks import PROMPTS
from persam_vos.exports.report import frames_to_look_at, read_series, write_report
from persam_vos.exports.report.pictures import pictures_file
from persam_vos.exports.run_record import RunRecord, recorded_exports, remove_run_json
from persam_vos.exports.select import open_writers, remove_replaced
from persam_vos.exports.styles import ObjectStyles
from persam_vos.exports.tracks import TRACKS
from persam_vos.media.stream import FrameReader, StreamInfo
from persam_vos.pipeline.record import run_record
from persam_vos.pipeline.writing import Outcome
from persam_vos.prompts import NamedObject
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.asked import write_asked
from persam_vos.video.prompting.keyframes import Keyframes
from persam_vos.video.prompting.prompting import Prompting
from persam_vos.video.propagation.kept import forget_unfinished, open_kept, remove_kept
from persam_vos.video.resuming.checkpoint import remove_checkpoint
from persam_vos.video.resuming.resume import fingerprint


def writers_of(
    path: Path,
    settings: Settings,
    info: StreamInfo,
    objects: Sequence[NamedObject],
    *,
    overwrite: bool,
    resume: bool = False,
) -> list[ResumableWriter]:
    """Make the folder, and the writers of what the settings export; see ``open_writers``."""
    return open_writers(
        path,
        settings.export,
        info=info,
        overwrite=overwrite,
        resume=resume,
        options=settings,
        objects=objects,
    )


class ResultsFolder:
    """The folder of the results of one run, whatever makes them.

    Attributes:
        path: The folder.
        run: What the run is, as in run.json.
    """

    def __init__(
        self,
        path: Path,
        engine: Engine[Settings],
        reader: FrameReader,
        keyframes: Keyframes,
        prompting: Prompting,
        *,
        backward: bool = True,
        final: Path | None = None,
    ) -> None:
        """Take what the run is; nothing is written yet.

        Args:
            path: The folder; it is there.
            engine: The model; its settings are those of the run.
            reader: The frames that are tracked.
            keyframes: Of the run.
            prompting: Which names them, and has read files that stay.
            backward: Whether objects are looked for before their first keyframes.
            final: The name that the folder will have; None for the one that it has.
        """
        self.path, self._final = path, final
        self._engine, self._info, self._keyframes, self._prompting = engine, reader.info, keyframes, prompting
        told = fingerprint(reader, keyframes, prompting.objects, engine.settings, backward=backward)
        self._given = {**_given_record(keyframes, prompting, reader.info), "fingerprint": told}
        self._earlier = recorded_exports(path)
        self.run = self._record({}).contents()

    def begin(self, *, propagates: bool = False, goes_on: bool = False) -> None:
        """Remove what no longer holds of an earlier run, and its run.json, which does not describe this run's files.

        Args:
            propagates: Whether embeddings and masks are kept there, so that an unfinished run can go on.
            goes_on: Whether what the earlier run has kept of that, or its checkpoint, is gone on with.

        Raises:
            OutputError: If something cannot be written.
        """
        if propagates:
            self._record({}).write(open_kept(self.path, anew=not goes_on))
        else:
            remove_kept(self.path)
        if propagates or not goes_on:
            remove_checkpoint(self.path)
        if self._earlier:
            # If this run fails, the next one still reads here which exports the earlier runs have left.
            self._record({"complete": False, "earlier_exports": list(self._earlier)}).write(self.path)
        else:
            remove_run_json(self.path)

    def complete(
        self, outcome: Outcome, *, started: float, warnings: Sequence[str] = (), frames_before: int = 0
    ) -> Outcome:
        """Write what was asked and how the run ended, and remove what earlier runs exported and this one did not.

        Args:
            outcome: How it ended.
            started: When the run began, by ``time.perf_counter``.
            warnings: Of the prompts, which come before those of the outcome.
            frames_before: Frames that earlier runs have done.

        Returns:
            The outcome with all warnings and all paths.

        Raises:
            OutputError: If something cannot be written.
        """
        refuse_gone(outcome.written)
        outcome = replace(outcome, warnings=(*warnings, *outcome.warnings))
        kept = {"written": outcome.written, "keep": (self._info.source, *self._prompting.files)}
        remove_replaced(self.path, self._earlier, self._engine.settings.export, self._info, **kept)
        asked = write_asked(self.path, self._keyframes, self._prompting, self._info)
        ended = _ended_record(outcome, frames_before)
        record = self._record(ended, time.perf_counter() - started)
        report = self._report(record)
        written = record.write(self.path)
        if not outcome.interrupted:
            self.forget_unfinished()
        made = (self.path / PROMPTS,) if self._keyframes.said else ()
        return replace(outcome, frames=ended["frames"], written=(*made, *outcome.written, *report, asked, written))

    def forget_unfinished(self) -> None:
        """Remove what an unfinished run needs to go on, once the results are complete.

        Raises:
            OutputError: If that fails.
        """
        remove_checkpoint(self.path)
        forget_unfinished(self.path)
        forget_journals(self.path)
        pictures_file(self.path).discard()

    def _report(self, record: RunRecord) -> tuple[Path, ...]:
        """Write the report, if it is asked for and there is a frame; return its path."""
        if "report" not in self._engine.settings.export or not record.outcome["frames"]:
            return ()
        series = read_series(self.path / TRACKS)
        styles = ObjectStyles(self._prompting.named(self._keyframes.ids))
        found = series, frames_to_look_at(series)
        return (write_report(self.path, record.contents(), *found, styles, self._final),)

    def _record(self, outcome: dict[str, Any], seconds: float = 0.0) -> RunRecord:
        settings = self._engine.settings
        given = {**self._given, "alpha": kinds_of_alpha(settings.export, settings)}
        return run_record(self._engine, given, outcome, seconds)


def _given_record(keyframes: Keyframes, prompting: Prompting, info: StreamInfo) -> dict[str, Any]:
    """Return what run.json says of the input."""
    return {
        "source": info.address or str(info.source),
        **keyframes.record,
        "frame_size": [info.height, info.width],
        "pixel_aspect_ratio": str(info.pixel_aspect),
        "frame_rate": None if info.frame_rate is None else str(info.frame_rate),
        # Seconds per unit of ``pts`` in tracks.jsonl.
        "time_base": str(info.time_base),
        "objects": list(keyframes.ids),
        "names": {each.id: each.name for each in prompting.objects if each.name},
    }


def _ended_record(outcome: Outcome, frames_before: int) -> dict[str, Any]:
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
