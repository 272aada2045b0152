"""Whole jobs, as the command line offers them: one video into a folder, one DAVIS split into tables."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from persam_vos.config import Settings
from persam_vos.davis import DavisScores, score_davis
from persam_vos.davis_dataset import DavisDataset, Year
from persam_vos.engine import engine_record
from persam_vos.errors import DatasetError
from persam_vos.first_frame import Annotation, FirstFrame
from persam_vos.objects import FrameResult, LabelMap
from persam_vos.pipeline import Engine, TrackOutcome, track
from persam_vos.reader import ImageReader, open_reader
from persam_vos.record import recorded_exports, remove_run_json, write_run_json
from persam_vos.stream import FrameReader, StreamInfo
from persam_vos.writer import MaskWriter, ResultWriter, open_folder, open_writers, remove_exports

_DAVIS_RATE = Fraction(24)


class Progress(Protocol):
    """What a job tells whoever is waiting."""

    def start(self, name: str, frames: int | None) -> None:
        """A video begins; ``frames`` is a hint."""
        ...

    def advance(self, result: FrameResult) -> None:
        """A frame is done."""
        ...

    def interrupt(self) -> None:
        """The user wants to stop; the frame in work is still finished."""
        ...

    def stop(self) -> None:
        """The video has ended, one way or another."""
        ...


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
    with open_reader(source, backend=settings.reader) as reader:
        info = reader.info
        annotate = first.read(lambda: open_reader(source, backend=settings.reader), info.height, info.width)
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
    engine: Engine, reader: FrameReader, label_map: LabelMap, writers: Sequence[ResultWriter], progress: Progress
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
    firsts = {sequence: _first_annotation(dataset, sequence) for sequence in dataset.sequences}
    open_folder(output, overwrite=overwrite)
    with no_empty_folder(output):
        engine = Engine(settings)
    remove_run_json(output)
    records = {}
    for sequence in dataset.sequences:
        with ImageReader(root / sequence, dataset.frames(sequence), frame_rate=_DAVIS_RATE) as reader:
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
    seconds = time.perf_counter() - started
    write_run_json(output, engine_record(engine, seconds) | {"davis": str(root), "sequences": records})
    scores = score_davis(output, root, year=year, split=split, sequences=dataset.sequences)
    scores.write(output)
    return scores


@contextlib.contextmanager
def no_empty_folder(output: Path) -> Iterator[None]:
    """Leave no empty folder behind, if what is done in it fails before there is a result."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            output.rmdir()
        raise


def _first_annotation(dataset: DavisDataset, sequence: str) -> LabelMap:
    """Return a sequence's first label map, once it is sure that what will be tracked can be scored."""
    frames, truths = dataset.frames(sequence), dataset.annotations(sequence)
    if [path.stem for path in truths] != [path.stem for path in frames]:
        raise DatasetError(
            f"{truths[0].parent} has {len(truths)} annotations for {len(frames)} frames of {frames[0].parent};"
            " every frame needs its own, of the same name"
        )
    odd = next((path for index, path in enumerate(frames) if path.stem != f"{index:05d}"), None)
    if odd is not None:
        raise DatasetError(f"{odd}: frames must be named 00000.jpg and on, without a gap")
    label_map = dataset.first_label_map(sequence)
    with ImageReader(frames[0], frames[:1], frame_rate=_DAVIS_RATE) as reader:
        height, width = reader.info.height, reader.info.width
    if label_map.shape != (height, width):
        raise DatasetError(f"{truths[0]} is {label_map.shape[0]} x {label_map.shape[1]}, its frame {height} x {width}")
    return label_map
