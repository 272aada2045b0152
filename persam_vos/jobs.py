"""Whole jobs, as the command line offers them: one video into a folder, one DAVIS split into tables."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from persam_vos.annotation import read_annotation
from persam_vos.config import Settings
from persam_vos.davis import DavisScores, score_davis
from persam_vos.davis_dataset import DavisDataset, Year
from persam_vos.objects import FrameResult
from persam_vos.pipeline import Engine, TrackOutcome, track
from persam_vos.reader import open_reader
from persam_vos.report import machine, peak_memory_mib, versions, write_run_json
from persam_vos.writer import MaskWriter, open_folder, open_writers


class Progress(Protocol):
    """What a job tells whoever is waiting."""

    def start(self, name: str, frames: int | None) -> None:
        """A video begins; ``frames`` is a hint."""
        ...

    def advance(self, result: FrameResult) -> None:
        """A frame is done."""
        ...

    def stop(self) -> None:
        """The video has ended, one way or another."""
        ...


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """The mask of the first frame, and how to take it; see ``read_annotation``."""

    path: Path
    resize: bool = False
    threshold: int | None = None


def run_video(
    source: str,
    annotation: AnnotationFile,
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
        annotation: The mask of the first frame.
        output: The folder to write.
        settings: Of the run.
        progress: Told of each frame.
        overwrite: Replace earlier results.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
    """
    started = time.perf_counter()
    with open_reader(source, backend=settings.reader) as reader:
        info = reader.info
        label_map = read_annotation(
            annotation.path,
            height=info.height,
            width=info.width,
            resize=annotation.resize,
            threshold=annotation.threshold,
        )
        writers = open_writers(
            output, settings.export, info=info, overwrite=overwrite, background=settings.background_rgb
        )
        # The record of an earlier run must not stand beside half of this one.
        (output / "run.json").unlink(missing_ok=True)
        engine = Engine(settings)
        progress.start(Path(source).name, info.frame_count)
        try:
            outcome = track(engine, reader, label_map, writers, on_frame=progress.advance)
        finally:
            progress.stop()
    seconds = time.perf_counter() - started
    record = _common(engine, seconds) | {
        "source": str(source),
        "first_mask": str(annotation.path),
        "frame_size": [info.height, info.width],
        "frame_rate": info.frame_rate,
        "objects": [int(i) for i in np.unique(label_map) if i],
        "frames": outcome.frames,
        "complete": not outcome.interrupted,
        "frames_per_second": round(outcome.frames / seconds, 3),
        "seconds_per_stage": outcome.timings.rounded(),
        "warnings": outcome.warnings,
    }
    path = write_run_json(output / "run.json", record)
    return replace(outcome, written=(*outcome.written, path))


def run_davis(
    root: Path,
    output: Path,
    settings: Settings,
    progress: Progress,
    *,
    year: Year = 2017,
    split: str = "val",
    sequences: Sequence[str] | None = None,
    overwrite: bool = False,
) -> DavisScores:
    """Track every sequence of a DAVIS split into ``output/<sequence>/*.png``, then score them.

    A sequence's folder gets its name once it is complete, so an interrupted run leaves no half of one.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
        KeyboardInterrupt: If the user stops it; complete sequences stay.
    """
    started = time.perf_counter()
    dataset = DavisDataset(root, year, split, sequences=sequences)
    firsts = {sequence: dataset.first_label_map(sequence) for sequence in dataset.sequences}
    open_folder(output, overwrite=overwrite)
    engine = Engine(settings)
    records = {}
    for sequence in dataset.sequences:
        with open_reader(dataset.frames(sequence)[0].parent) as reader:
            writer = MaskWriter(output / sequence)
            progress.start(sequence, reader.info.frame_count)
            try:
                outcome = track(
                    engine,
                    reader,
                    firsts[sequence],
                    [writer],
                    on_frame=progress.advance,
                    keep_interrupted=False,
                )
            finally:
                progress.stop()
        records[sequence] = {"frames": outcome.frames, "seconds_per_stage": outcome.timings.rounded()}
    scores = score_davis(output, root, year=year, split=split, sequences=dataset.sequences)
    scores.write(output)
    seconds = time.perf_counter() - started
    write_run_json(output / "run.json", _common(engine, seconds) | {"davis": str(root), "sequences": records})
    return scores


def _common(engine: Engine, seconds: float) -> dict[str, Any]:
    """What every run.json says."""
    return {
        "settings": engine.settings.model_dump(mode="json"),
        "batch_size": engine.batch_size,
        "versions": versions(),
        "machine": machine(engine.device.type),
        "seconds": round(seconds, 3),
        "peak_memory_mib": peak_memory_mib(),
    }
