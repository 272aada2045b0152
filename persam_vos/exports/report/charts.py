"""Turns series of numbers into the lines of a chart, in the units of its SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from persam_vos.exports.report.series import ObjectSeries

WIDTH, HEIGHT = 1000, 90
"""Of a chart, in units of its SVG."""
_MOST_POINTS = 500

_Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Chart:
    """One number of an object over time.

    Attributes:
        title: What it is.
        low: What the bottom of the chart means, as text.
        high: What the top means.
        lines: One for each stretch in which the object is present: points of a polyline.
        dots: x, y of stretches of a single point.
    """

    width: ClassVar = WIDTH
    height: ClassVar = HEIGHT

    title: str
    low: str
    high: str
    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]


def charts_of(series: ObjectSeries, pixels: int) -> list[Chart]:
    """Return the charts of an object.

    Args:
        series: Of the object.
        pixels: Of a frame.
    """
    areas = np.asarray(series.areas, np.float64)
    shares = np.where(areas > 0, 100 * areas / pixels, np.nan)
    similarities = np.asarray(series.similarities, np.float64)
    most = float(np.nanmax(shares)) if np.isfinite(shares).any() else 1.0
    return [
        chart_of("score", np.asarray(series.scores, np.float64), 0.0, 1.0, np.nanmin, "{:.0f}"),
        chart_of("area, % of the frame", shares, 0.0, most, np.nanmean, "{:.3g}"),
        chart_of("similarity", similarities, 0.0, 1.0, np.nanmin, "{:.0f}"),
    ]


def position_at(place: int, count: int) -> float:
    """Return the x of the frame at a place among ``count`` frames."""
    return round(WIDTH * (place + 0.5) / max(count, 1), 1)


def chart_of(
    title: str, values: _Values, low: float, high: float, summary: Callable[[_Values], np.float64], form: str
) -> Chart:
    """Return a chart of one number over time.

    Args:
        title: What it is.
        values: float, one a frame; NaN where there is none.
        low: At the bottom of the chart.
        high: At its top.
        summary: Makes one point of several frames, where there are more frames than points.
        form: How ``low`` and ``high`` become text.
    """
    step = -(-len(values) // _MOST_POINTS) or 1
    lines: list[list[tuple[float, float]]] = [[]]
    for start in range(0, len(values), step):
        part = values[start : start + step]
        part = part[np.isfinite(part)]
        if len(part):
            share = (float(summary(part)) - low) / (high - low)
            middle = start + (min(step, len(values) - start) - 1) / 2
            x = round(WIDTH * (middle + 0.5) / len(values), 1)
            lines[-1].append((x, round(HEIGHT * (1 - min(max(share, 0.0), 1.0)), 1)))
        elif lines[-1]:
            lines.append([])
    return Chart(
        title,
        form.format(low),
        form.format(high),
        tuple(_points(line) for line in lines if len(line) > 1),
        tuple(line[0] for line in lines if len(line) == 1),
    )


def _points(line: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in line)
