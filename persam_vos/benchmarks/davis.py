"""The benchmark on video: every sequence of a DAVIS split tracked, then scored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from persam_vos.errors import DatasetError
from persam_vos.evaluation import DavisDataset, DavisScores, Year, score_davis
from persam_vos.exports.base import open_folder
from persam_vos.exports.masks import MaskWriter
from persam_vos.exports.report import write_davis_report
from persam_vos.exports.run_record import remove_run_json
from persam_vos.files import remove_if_left_empty
from persam_vos.masks import LabelMap
from persam_vos.media.image_reader import ImageReader, Images
from persam_vos.pipeline.progress import Progress
from persam_vos.pipeline.record import run_record
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.pipeline import track_video

_DAVIS_RATE = Fraction(24)


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
    """Track every sequence of a DAVIS split into ``output/<sequence>/*.png``, score them, write ``report.html``.

    A sequence's folder gets its name once it is complete, so an interrupted run leaves no half of one.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
        KeyboardInterrupt: If the user stops it; complete sequences stay.
    """
    started = time.perf_counter()
    dataset = DavisDataset(root, year, split, sequences=sequences)
    firsts = {sequence: _first_annotation(dataset, sequence) for sequence in dataset.sequences}
    open_folder(output, overwrite=overwrite)
    # Make all writers before loading the model: each refuses a folder it must not replace.
    writers = {sequence: MaskWriter(output / sequence) for sequence in dataset.sequences}
    with remove_if_left_empty(output):
        engine = Engine(settings)
    remove_run_json(output)
    records = {}
    for sequence, writer in writers.items():
        # Opened one after the other, which checks the sizes of all frames.
        reader = ImageReader(Images(root / sequence, dataset.frames(sequence), frame_rate=_DAVIS_RATE))
        outcome = track_video(engine, reader, firsts[sequence], [writer], progress, keep_interrupted=False)
        records[sequence] = {
            "frames": outcome.frames,
            "frames_encoded": outcome.encoded,
            "seconds_per_stage": outcome.timings.rounded(),
        }
    given, seconds = {"davis": str(root), "sequences": records}, time.perf_counter() - started
    record = run_record(engine, given, {}, seconds)
    record.write(output)
    scores = score_davis(output, root, year=year, split=split, sequences=dataset.sequences)
    scores.write(output)
    write_davis_report(output, dataset, scores, record.contents())
    return scores


def _first_annotation(dataset: DavisDataset, sequence: str) -> LabelMap:
    """Return a sequence's first label map, after checking that the results can be scored."""
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
    with ImageReader(Images(frames[0], frames[:1], frame_rate=_DAVIS_RATE)) as reader:
        height, width = reader.info.height, reader.info.width
    if label_map.shape != (height, width):
        raise DatasetError(f"{truths[0]} is {label_map.shape[0]} x {label_map.shape[1]}, its frame {height} x {width}")
    return label_map
