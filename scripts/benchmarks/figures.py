"""The figures of two kinds of machine, side by side in one file, and the table of seconds a frame made of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.tables import Found, table
from persam_vos.files import whole_file
from persam_vos.sam.backends.openvino_core import computes_in_bfloat16

WITH, WITHOUT = KINDS = ("with bfloat16", "without bfloat16")
# Kind of machine -> name of a measurement -> its figures.
Figures = Mapping[str, Mapping[str, Found]]

# The lines between which a page has the table.
FIRST_LINE, LAST_LINE = "<!-- seconds a frame: written by scripts/bench.py report -->", "<!-- end -->"
_SIZES = ("480p", "720p", "1080p")
_STAND_IN = "in float32, on the machine with bfloat16"


def kind_of_this_machine() -> str:
    """Tell which kind of machine this is: with bfloat16, where ``--precision auto`` computes in it, or without."""
    with contextlib.suppress(ModuleNotFoundError):
        return WITH if computes_in_bfloat16() else WITHOUT
    return WITHOUT


def read_figures(path: Path) -> dict[str, dict[str, Any]]:
    """Read benchmarks.json; without one, return no figures of either kind."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {kind: kept.get(kind, {}) for kind in KINDS}


def write_figures(path: Path, figures: Figures) -> None:
    """Write benchmarks.json."""
    with whole_file(path) as part:
        part.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def seconds_table(figures: Figures) -> list[str]:
    """Return the lines of the table of seconds a frame, by kind of machine, preset and size.

    Until a machine without bfloat16 is measured, float32 on the other one stands in for it.
    """
    rows = list(_rows(figures[WITH], "", WITH))
    rows += list(_rows(figures[WITHOUT], "", WITHOUT)) or list(_rows(figures[WITH], "-float32", _STAND_IN))
    return table(["seconds a frame", *_SIZES, "times as fast as the authors' way, 480p"], rows)


def _rows(found: Mapping[str, Found], suffix: str, title: str) -> Iterator[list[Any]]:
    """Yield a row per preset; before ``presets`` is measured, one of ``pipeline``."""
    pipeline = found.get(f"pipeline{suffix}", {})
    ratio = pipeline.get("pipeline_over_reference", "")
    presets = found.get(f"presets{suffix}")
    if presets is not None:
        default = presets["default"]
        for name in presets["presets"]:
            seconds = [round(presets["sizes"][size][name]["seconds_a_frame"], 2) for size in _SIZES]
            way = "default" if name == default else f"`--preset {name}`"
            yield [f"{title}, {way}", *seconds, ratio if name == default else ""]
    elif pipeline:
        seconds = round(1 / pipeline["frames_per_second"]["pipeline"], 2)
        yield [f"{title}, default", seconds, *[""] * (len(_SIZES) - 1), ratio]


def with_table(text: str, figures: Figures) -> str:
    """Return the text of a page with its table made anew.

    Raises:
        ValueError: If the page does not have the two lines between which the table belongs.
    """
    before, first, rest = text.partition(FIRST_LINE)
    _, last, after = rest.partition(LAST_LINE)
    if not (first and last):
        raise ValueError(f"the page needs the lines {FIRST_LINE} and {LAST_LINE}")
    return "\n".join([before + first, "", *seconds_table(figures), "", last + after])
