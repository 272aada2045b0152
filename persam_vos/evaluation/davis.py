"""A folder of results and a DAVIS folder -> J and F of every object and frame -> the official tables.

Follows the rules of the DAVIS-2017 semi-supervised benchmark: the first and the last frame are not scored, the objects
are 1..n of the first annotation, and void (255) is background. In DAVIS-2016 every non-zero pixel belongs to the one
object.

References:
    Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR 2016.
    Pont-Tuset et al., "The 2017 DAVIS Challenge on Video Object Segmentation", arXiv:1704.00675.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from persam_vos.errors import DatasetError, SettingsError
from persam_vos.evaluation.davis_dataset import DavisDataset, Year
from persam_vos.evaluation.metrics import Statistics, score_label_maps, sequence_statistics
from persam_vos.files import brief_list, list_files, write_lines
from persam_vos.masks import VOID


@dataclass(frozen=True, slots=True)
class ObjectScores:
    """One object of one sequence.

    Attributes:
        sequence: Name of the sequence.
        object_id: The object's value in the annotations, from 1.
        j_values: float64, one J per scored frame; the first and the last frame are not scored.
        f_values: float64, one F per scored frame.
    """

    sequence: str
    object_id: int
    j_values: npt.NDArray[np.float64]
    f_values: npt.NDArray[np.float64]

    @property
    def j(self) -> Statistics:
        """Mean, recall and decay of J."""
        return sequence_statistics(self.j_values)

    @property
    def f(self) -> Statistics:
        """Mean, recall and decay of F."""
        return sequence_statistics(self.f_values)


@dataclass(frozen=True, slots=True)
class DavisScores:
    """Scores of a split.

    Attributes:
        year: 2016 or 2017.
        split: Name of the list of sequences.
        objects: One entry per object, in the order of the sequences and of ids. Every object weighs the same.
        warnings: What is odd about the dataset, one line each.
    """

    year: Year
    split: str
    objects: tuple[ObjectScores, ...]
    warnings: tuple[str, ...] = ()

    @property
    def j(self) -> Statistics:
        """Mean over the objects of their mean, recall and decay of J."""
        return _average([scores.j for scores in self.objects])

    @property
    def f(self) -> Statistics:
        """Mean over the objects of their mean, recall and decay of F."""
        return _average([scores.f for scores in self.objects])

    @property
    def jf_mean(self) -> float:
        """J&F-Mean, the figure that the benchmark ranks by: the average of the means of J and F."""
        return (self.j.mean + self.f.mean) / 2

    def table(self) -> str:
        """Return J&F, J and F in percent, a line per object and one for the mean."""
        rows = [(f"{each.sequence}_{each.object_id}", each.j.mean, each.f.mean) for each in self.objects]
        rows.append(("mean", self.j.mean, self.f.mean))
        width = max(len(name) for name, _, _ in rows)
        head = f"{'':<{width}}  {'J&F':>6}  {'J':>6}  {'F':>6}"
        lines = [f"{name:<{width}}  {50 * (j + f):6.1f}  {100 * j:6.1f}  {100 * f:6.1f}" for name, j, f in rows]
        return "\n".join([head, *lines])

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write ``global_results-<split>.csv`` and ``per-sequence_results-<split>.csv`` with the official columns.

        Args:
            folder: Made if it does not exist. Files of these names are replaced, each in one step.

        Returns:
            The two paths, in this order.

        Raises:
            OutputError: If a file cannot be written; no half-written file is left.
        """
        j, f = self.j, self.f
        totals = (self.jf_mean, j.mean, j.recall, j.decay, f.mean, f.recall, f.decay)
        overall = ["J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay", ",".join(f"{x:.6f}" for x in totals)]
        rows = (f"{x.sequence}_{x.object_id},{x.j.mean:.6f},{x.f.mean:.6f}" for x in self.objects)
        paths = folder / f"global_results-{self.split}.csv", folder / f"per-sequence_results-{self.split}.csv"
        write_lines(paths[0], *overall)
        write_lines(paths[1], "Sequence,J-Mean,F-Mean", *rows)
        return paths


def score_davis(
    results: Path,
    root: Path,
    *,
    year: Year = 2017,
    split: str = "val",
    resolution: str = "480p",
    sequences: Sequence[str] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DavisScores:
    """Score a folder of results against a split of DAVIS.

    Args:
        results: Holds a folder per sequence with a PNG per annotation, of the same name and size. The first and the
            last may be missing; files that are not ``.png`` are ignored.
        root: The dataset, see ``DavisDataset``; scoring does not need its JPEG files.
        year: See ``DavisDataset``.
        split: See ``DavisDataset``.
        resolution: See ``DavisDataset``.
        sequences: Score these sequences of the split only; None for all.
        workers: Threads; None for one per core that this process may use, 1 to score in the caller's thread.
        progress: Called in the caller's thread with the number of frames done and of all frames.

    Returns:
        The scores in full precision.

    Raises:
        SettingsError: If an argument is not allowed.
        DatasetError: If a file of the dataset or of the results is missing, damaged or too many; it names the file.
    """
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers < 1:
        raise SettingsError(f"workers is {workers}; it must be at least 1")
    dataset = DavisDataset(root, year, split, resolution=resolution, sequences=sequences)
    jobs = {sequence: _plan(dataset, sequence, Path(results) / sequence) for sequence in dataset.sequences}
    scores = iter(_run([job for group in jobs.values() for job in group], workers, progress))
    objects: list[ObjectScores] = []
    for sequence, group in jobs.items():
        values = np.stack([next(scores) for _ in group])  # frames x objects x (J, F)
        objects += (ObjectScores(sequence, n + 1, *values[:, n].T) for n in range(values.shape[1]))
    gaps = tuple(told for sequence in jobs for told in _gap_warnings(dataset, sequence))
    return DavisScores(year, split, tuple(objects), gaps)


def _gap_warnings(dataset: DavisDataset, sequence: str) -> list[str]:
    """Return a warning if ids below the largest one never occur: they are scored nonetheless, as DAVIS does."""
    first = dataset.first_label_map(sequence)
    missing = set(range(1, int(first.max()) + 1)) - set(np.unique(first).tolist())
    for path in dataset.annotations(sequence) if missing else ():
        missing -= set(np.unique(dataset.label_map(path)).tolist())
    if not missing:
        return []
    listed = ", ".join(map(str, sorted(missing)))
    return [
        f"{sequence}: never annotated: object {listed}, below the largest id; scored nonetheless, as DAVIS's own script"
        " does: right where nothing is found"
    ]


@dataclass(frozen=True, slots=True)
class _Job:
    """One frame to score."""

    dataset: DavisDataset
    result: Path
    truth: Path
    objects: int


def _plan(dataset: DavisDataset, sequence: str, folder: Path) -> list[_Job]:
    """Return a job per scored frame of a sequence; ``DatasetError`` if a file is missing or too many."""
    truths = dataset.annotations(sequence)
    source = truths[0].parent
    if len(truths) < 3:
        raise DatasetError(f"{source} holds {len(truths)} annotation(s); at least 3 are needed, as 2 are not scored")
    if (dataset.root / "JPEGImages" / dataset.resolution / sequence).is_dir():
        annotated = {path.stem for path in truths}
        if lacking := [path.stem for path in dataset.frames(sequence) if path.stem not in annotated]:
            raise DatasetError(
                f"{source} has no annotation of frame {brief_list(lacking)}; scoring needs one of every frame"
            )
    if not folder.is_dir():
        raise DatasetError(
            f"{folder}: no such folder; results have a folder of PNGs for each sequence; --sequences, in Python "
            "sequences=, takes only some"
        )
    given, known = [path.name for path in list_files(folder, ".png")], [path.name for path in truths]
    if extra := [name for name in given if name not in known]:
        raise DatasetError(f"{folder}: {brief_list(extra)} is no frame of {source}; allowed: {known[0]} .. {known[-1]}")
    if missing := [name for name in known[1:-1] if name not in given]:
        raise DatasetError(
            f"{folder}: {brief_list(missing)} is missing; all frames but the first and the last are scored"
        )
    objects = int(dataset.first_label_map(sequence).max())
    return [_Job(dataset, folder / path.name, path, objects) for path in truths[1:-1]]


def _score(job: _Job) -> npt.NDArray[np.float64]:
    """J and F of every object of one frame: objects x 2."""
    prediction, truth = job.dataset.label_map(job.result), job.dataset.label_map(job.truth)
    if prediction.shape != truth.shape:
        (height, width), (true_height, true_width) = prediction.shape, truth.shape
        raise DatasetError(f"{job.result} is {height} x {width}; its annotation is {true_height} x {true_width}")
    if (largest := int(prediction.max())) > job.objects:
        hint = "; masks of 0 and 255 are for year 2016" if largest == VOID else ""
        raise DatasetError(
            f"{job.result} holds the id {largest}; allowed: 0..{job.objects}, the objects of the first annotation{hint}"
        )
    return score_label_maps(prediction, truth, job.objects)


def _run(jobs: list[_Job], workers: int, progress: Callable[[int, int], None] | None) -> list[npt.NDArray[np.float64]]:
    # Threads, because zlib, NumPy and OpenCV take most of the time and let other threads run; processes were measured
    # to be slower. Results are taken in order, so that the first fault in the order of files is reported.
    pool = ThreadPoolExecutor(workers) if workers > 1 else None
    scores = []
    try:
        for values in pool.map(_score, jobs) if pool else map(_score, jobs):
            scores.append(values)
            if progress:
                progress(len(scores), len(jobs))
    finally:
        if pool:  # after a fault or an interrupt, the remaining jobs are dropped
            pool.shutdown(cancel_futures=True)
    return scores


def _average(statistics: list[Statistics]) -> Statistics:
    rows = [(each.mean, each.recall, each.decay) for each in statistics]
    return Statistics(*np.mean(rows, axis=0).tolist())
