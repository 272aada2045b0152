"""Makes ``report.html`` of the scores of a benchmark: tables, J and F over time, and the worst frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from persam_vos.evaluation import DavisDataset, DavisScores, ObjectScores, read_png_label_map
from persam_vos.exports.draw import draw_overlay
from persam_vos.exports.report.charts import Chart, chart_of
from persam_vos.exports.report.pictures import REPORT, small_jpeg
from persam_vos.exports.report.rendering import data_url, rendered
from persam_vos.files import write_lines

_MOST_FRAMES = 12
# The first frame is not scored.
_FIRST_SCORED = 1
_WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class _Scored:
    """An object, as the page shows it."""

    name: str
    scores: ObjectScores
    charts: tuple[Chart, ...]

    @property
    def jf(self) -> float:
        return (self.scores.j.mean + self.scores.f.mean) / 2


@dataclass(frozen=True, slots=True)
class _WorstFrame:
    name: str
    frame: int
    j: float
    f: float
    picture: str


def write_davis_report(folder: Path, dataset: DavisDataset, scores: DavisScores, record: Mapping[str, Any]) -> Path:
    """Write ``report.html``: self-contained, for a browser without a network.

    Args:
        folder: The folder of the results, with a folder of label maps per sequence.
        dataset: With its frames.
        scores: Of the results.
        record: What run.json says.

    Raises:
        OutputError: If it cannot be written.
        DatasetError: If a picture cannot be read.
    """
    scored = [_scored(each) for each in scores.objects]
    worst = sorted((_worst(each) for each in scores.objects), key=lambda found: found[0])[:_MOST_FRAMES]
    text = rendered(
        "davis.html",
        scores=scores,
        scored=sorted(scored, key=lambda each: each.jf),
        worst=[_shown(folder, dataset, each, place) for _, each, place in worst],
        settings=record["settings"],
        version=record["versions"]["persam-vos"],
    )
    write_lines(folder / REPORT, text)
    return folder / REPORT


def _scored(scores: ObjectScores) -> _Scored:
    charts = (
        chart_of("J", scores.j_values, 0.0, 1.0, np.nanmin, "{:.0f}"),
        chart_of("F", scores.f_values, 0.0, 1.0, np.nanmin, "{:.0f}"),
    )
    return _Scored(f"{scores.sequence}_{scores.object_id}", scores, charts)


def _worst(scores: ObjectScores) -> tuple[float, ObjectScores, int]:
    """Return the lowest J&F of a frame, the object, and the frame's place among those that are scored."""
    both = (scores.j_values + scores.f_values) / 2
    place = int(both.argmin())
    return float(both[place]), scores, place


def _shown(folder: Path, dataset: DavisDataset, scores: ObjectScores, place: int) -> _WorstFrame:
    """Draw a frame with the result tinted, and the outline of the truth in white."""
    index = place + _FIRST_SCORED
    truth_path = dataset.annotations(scores.sequence)[index]
    frame_path = dataset.frames(scores.sequence)[index]
    rgb = np.asarray(Image.open(frame_path).convert("RGB"))
    drawn = draw_overlay(rgb, read_png_label_map(folder / scores.sequence / truth_path.name))
    truth = (dataset.label_map(truth_path) == scores.object_id).astype(np.uint8)
    outlines, _ = cv2.findContours(truth, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, outlines, -1, _WHITE, max(1, min(truth.shape) // 160))
    j, f = float(scores.j_values[place]), float(scores.f_values[place])
    return _WorstFrame(f"{scores.sequence}_{scores.object_id}", index, j, f, data_url(small_jpeg(drawn)))
