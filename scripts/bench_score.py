"""How much faster ``score_davis`` is than the way the reference implementation works.

    python scripts/bench_score.py path/to/DAVIS [--results FOLDER] [--repeats 5] [--workers N]

The reference's way is ``tests/official_davis.py``. Both score the same folders and must agree to 1e-9; then each is
timed in turns, so that other load on the machine hits both, and the medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from persam_vos.davis import DavisScores, score_davis
from persam_vos.davis_dataset import DavisDataset
from persam_vos.label_png import read_label_map

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import official_davis

SHIFT = (3, 5)
"""Rows and columns by which the default results are off."""


def make_results(dataset: DavisDataset, folder: Path) -> None:
    """Write the annotations of a split, shifted, as if a tracker had made them."""
    for sequence in dataset.sequences:
        (folder / sequence).mkdir()
        for path in dataset.annotations(sequence):
            image = Image.fromarray(np.roll(read_label_map(path), SHIFT, (0, 1)))
            image.putpalette([value for n in range(256) for value in (n, 37 * n % 256, 101 * n % 256)])
            image.save(folder / sequence / path.name)


def assert_equal(scores: DavisScores, expected: dict[tuple[str, int], tuple[tuple[float, ...], ...]]) -> None:
    """Stop if the two scorers do not agree."""
    assert len(scores.objects) == len(expected)
    for one in scores.objects:
        for measure, other in zip((one.j, one.f), expected[one.sequence, one.object_id], strict=True):
            np.testing.assert_allclose((measure.mean, measure.recall, measure.decay), other, rtol=0, atol=1e-9)


def seconds(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(dataset: DavisDataset, results: Path, arguments: argparse.Namespace) -> None:
    """Time both scorers in turns and print the medians."""
    annotations = dataset.root / "Annotations" / dataset.resolution
    frames = sum(len(dataset.annotations(sequence)) - 2 for sequence in dataset.sequences)

    def ours() -> DavisScores:
        return score_davis(results, dataset.root, year=dataset.year, split=dataset.split, workers=arguments.workers)

    def reference() -> dict[tuple[str, int], tuple[tuple[float, ...], ...]]:
        return official_davis.score(results, annotations, dataset.sequences, dataset.year)

    scores = ours()
    assert_equal(scores, reference())  # and both are warm now
    print(f"{len(dataset.sequences)} sequences, {frames} scored frames, {len(scores.objects)} objects; figures agree")
    print(f"J&F-Mean {scores.jf_mean:.6f}")
    pairs = [(seconds(reference), seconds(ours)) for _ in range(arguments.repeats)]
    for name, i in (("reference", 0), ("score_davis", 1)):
        wall, cpu = (statistics.median(pair[i][clock] for pair in pairs) for clock in (0, 1))
        print(
            f"{name:12} {wall:7.2f} s by the clock, {cpu:7.2f} s of processor, {1000 * wall / frames:6.2f} ms a frame"
        )
    ratios = [[pair[0][clock] / pair[1][clock] for pair in pairs] for clock in (0, 1)]
    print(f"ratio        {statistics.median(ratios[0]):7.1f}   by the clock, {statistics.median(ratios[1]):7.1f}")


def main() -> None:
    """Read the command line and run the comparison."""
    parser = argparse.ArgumentParser(description="Time score_davis against the reference implementation's way.")
    parser.add_argument("root", type=Path, help="a DAVIS folder")
    parser.add_argument("--results", type=Path, help="a folder of results; by default the annotations, shifted")
    parser.add_argument("--year", type=int, choices=(2016, 2017), default=2017)
    parser.add_argument("--split", default="val")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, help="threads of score_davis; by default one per core")
    arguments = parser.parse_args()
    dataset = DavisDataset(arguments.root, arguments.year, arguments.split)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.results is None:
            make_results(dataset, Path(folder))
        compare(dataset, arguments.results or Path(folder), arguments)


if __name__ == "__main__":
    main()
