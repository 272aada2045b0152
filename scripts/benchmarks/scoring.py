"""The scorer against the way the reference implementation works."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import official_davis
import torch
from PIL import Image

from benchmarks.measure import described, in_turns, median_ratio
from persam_vos.evaluation import DavisDataset, DavisScores, read_png_label_map, score_davis

# Rows and columns by which the default results are off.
_SHIFT = (3, 5)


def bench_score(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time ``score_davis`` and ``tests/official_davis.py`` on the same folders; they must agree to 1e-9."""
    dataset = DavisDataset(arguments.root, arguments.year, arguments.split)
    annotations = dataset.root / "Annotations" / dataset.resolution
    with tempfile.TemporaryDirectory() as folder:
        results = arguments.results or _make_results(dataset, Path(folder))
        found: dict[str, Any] = {}

        def ours() -> None:
            found["ours"] = score_davis(
                results, dataset.root, year=dataset.year, split=dataset.split, workers=arguments.workers
            )

        def reference() -> None:
            found["reference"] = official_davis.score(results, annotations, dataset.sequences, dataset.year)

        times = in_turns({"reference": reference, "score_davis": ours}, arguments.repeats)
    _assert_equal(found["ours"], found["reference"])
    return {
        "machine": described(torch.device("cpu")),
        "scored_frames": sum(len(dataset.annotations(sequence)) - 2 for sequence in dataset.sequences),
        "objects": len(found["ours"].objects),
        "jf_mean": round(found["ours"].jf_mean, 6),
        "seconds": {name: round(statistics.median(each), 3) for name, each in times.items()},
        "times_as_fast": round(median_ratio(times["reference"], times["score_davis"]), 1),
    }


def _make_results(dataset: DavisDataset, folder: Path) -> Path:
    """Write the annotations of a split, shifted, as if a tracker had made them."""
    for sequence in dataset.sequences:
        (folder / sequence).mkdir()
        for path in dataset.annotations(sequence):
            image = Image.fromarray(np.roll(read_png_label_map(path), _SHIFT, (0, 1)))
            image.putpalette([value for n in range(256) for value in (n, 37 * n % 256, 101 * n % 256)])
            image.save(folder / sequence / path.name)
    return folder


def _assert_equal(scores: DavisScores, expected: dict[tuple[str, int], tuple[tuple[float, ...], ...]]) -> None:
    """Stop if the two scorers do not agree."""
    assert len(scores.objects) == len(expected)
    for one in scores.objects:
        for measure, other in zip((one.j, one.f), expected[one.sequence, one.object_id], strict=True):
            np.testing.assert_allclose((measure.mean, measure.recall, measure.decay), other, rtol=0, atol=1e-9)
