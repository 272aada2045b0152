"""The scorer beside ``tests/official_davis.py``, which works as the reference implementation does."""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.measure import described, in_turns, median_ratio
from persam_vos.evaluation import DavisDataset, DavisScores, read_png_label_map, score_davis

# Rows and columns by which the default results are shifted.
_SHIFT_PIXELS = (3, 5)
_OFFICIAL = Path(__file__).resolve().parents[2] / "tests" / "official_davis.py"


def bench_score(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time ``score_davis`` and ``tests/official_davis.py`` on the same folders; they must agree to 1e-9."""
    official_davis = _load(_OFFICIAL)
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


def _load(path: Path) -> ModuleType:
    """Import a file of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _make_results(dataset: DavisDataset, folder: Path) -> Path:
    """Write the annotations of a split, shifted, as the results of a tracker."""
    for sequence in dataset.sequences:
        (folder / sequence).mkdir()
        for path in dataset.annotations(sequence):
            image = Image.fromarray(np.roll(read_png_label_map(path), _SHIFT_PIXELS, (0, 1)))
            image.putpalette([value for n in range(256) for value in (n, 37 * n % 256, 101 * n % 256)])
            image.save(folder / sequence / path.name)
    return folder


def _assert_equal(scores: DavisScores, expected: dict[tuple[str, int], tuple[tuple[float, ...], ...]]) -> None:
    """Raise ``AssertionError`` if the two scorers disagree."""
    assert len(scores.objects) == len(expected)
    for one in scores.objects:
        for measure, other in zip((one.j, one.f), expected[one.sequence, one.object_id], strict=True):
            np.testing.assert_allclose((measure.mean, measure.recall, measure.decay), other, rtol=0, atol=1e-9)
