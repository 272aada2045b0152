"""bench.py report: two kinds of machine side by side, in file and pages."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import bench
import pytest
from benchmarks import report as reporting
from benchmarks.figures import FIRST_LINE, LAST_LINE, WITH, WITHOUT, read_figures, seconds_table, with_table
from benchmarks.presets import DEFAULT
from benchmarks.report import MEASUREMENTS, chosen, page, report

from persam_vos.settings.video import PRESETS


def machine(processor: str) -> dict[str, Any]:
    return {"system": "Linux x86_64", "cpus": 2, "device": "cpu", "processor": processor, "torch": "2.14"}


def presets(processor: str, seconds: float, precision: str) -> dict[str, Any]:
    each = {"frames_per_second": round(1 / seconds, 2), "seconds_a_frame": seconds, "times_as_fast_as_default": 1.0}
    return {
        "machine": machine(processor),
        "method": "memory",
        "backend": "openvino",
        "precision": precision,
        "frames": 32,
        "default": "fast",
        "presets": ["fast", "best"],
        "sizes": {size: {"fast": each, "best": each} for size in ("480p", "720p", "1080p")},
    }


def start(seconds: float, processor: str) -> dict[str, Any]:
    return {"machine": machine(processor), "seconds_of_a_run_of_one_frame": seconds}


BOTH = {
    WITH: {"presets": presets("Xeon (avx2, amx_bf16)", 0.14, "bfloat16"), "start": start(3.8, "Xeon")},
    WITHOUT: {"presets": presets("EPYC (avx2)", 0.76, "float32")},
}


def test_a_report_replaces_figures_of_its_kind_of_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "benchmarks.json").write_text(json.dumps(BOTH))
    (tmp_path / "README.md").write_text(f"# Title\n\n{FIRST_LINE}\n{LAST_LINE}\n\nMore.\n")
    monkeypatch.setattr(reporting, "kind_of_this_machine", lambda: WITHOUT)
    monkeypatch.setattr(reporting, "_measured", lambda name, davis, counts: start(5.1, "EPYC"))

    found = report(argparse.Namespace(output=docs, only=["start"], davis=None, frames=None, repeats=None))

    assert found["kind_of_machine"] == WITHOUT
    assert read_figures(docs / "benchmarks.json") == {
        WITH: BOTH[WITH],
        WITHOUT: BOTH[WITHOUT] | {"start": start(5.1, "EPYC")},
    }
    shown = (docs / "benchmarks.md").read_text()
    assert "| 3.8 |" in shown
    assert "| 5.1 |" in shown
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("# Title\n")
    assert readme.endswith("More.\n")
    assert "| without bfloat16, default | 0.76 | 0.76 | 0.76 |" in readme


def test_counts_of_a_report_are_those_of_its_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(words: list[str], **_: object) -> None:
        asked.append(words[2:-2])
        Path(words[-1]).write_text("{}")

    monkeypatch.setattr(reporting.subprocess, "run", run)

    reporting._measured("presets-float32", None, {"frames": 8, "repeats": None})
    reporting._measured("score", Path("DAVIS"), {"frames": None, "repeats": 1})

    assert asked == [
        ["presets", "--precision", "float32", "--frames", "8"],
        ["score", "DAVIS", "--year", "2016", "--repeats", "1"],
    ]


def test_the_page_names_the_machine_of_each_table() -> None:
    lines = page(BOTH).splitlines()

    assert lines.count("`python scripts/bench.py presets`") == 1
    first, second = (next(i for i, line in enumerate(lines) if name in line) for name in ("Xeon (", "EPYC ("))
    assert lines[first].startswith("On a machine with bfloat16 (2 cores of Xeon")
    assert lines[second].startswith("On a machine without bfloat16 (2 cores of EPYC")
    assert "| 720p `best` | 7.14 | 0.14 | 1.0 |" in lines[first:second]
    assert "| 720p `best` | 1.32 | 0.76 | 1.0 |" in lines[second:]


def test_a_file_that_is_not_there_holds_no_figures(tmp_path: Path) -> None:
    figures = read_figures(tmp_path / "benchmarks.json")

    assert figures == {WITH: {}, WITHOUT: {}}
    assert "## " not in page(figures)
    assert len(seconds_table(figures)) == 2


def test_float32_stands_in_only_until_a_machine_without_bfloat16_is_measured() -> None:
    stand_in = presets("Xeon (avx2, amx_bf16)", 0.29, "float32")
    only_one = {WITH: BOTH[WITH] | {"presets-float32": stand_in}, WITHOUT: {}}

    before, after = ("\n".join(seconds_table(each)) for each in (only_one, only_one | {WITHOUT: BOTH[WITHOUT]}))

    assert "| in float32, on the machine with bfloat16, default | 0.29 |" in before
    assert "| in float32, on the machine with bfloat16, `--preset best` | 0.29 |" in before
    assert "in float32" not in after
    assert "| without bfloat16, `--preset best` | 0.76 |" in after


def test_before_presets_are_measured_the_pipeline_gives_one_figure() -> None:
    pipeline = {"frames_per_second": {"pipeline": 7.81}, "pipeline_over_reference": 8.05}

    assert seconds_table({WITH: {"pipeline": pipeline}, WITHOUT: {}})[2:] == [
        "| with bfloat16, default | 0.13 |  |  | 8.05 |"
    ]


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="the page needs the lines"):
        with_table(f"# Title\n\n{FIRST_LINE}\n", BOTH)


def test_without_bfloat16_nothing_is_measured_twice() -> None:
    everything = chosen(None, WITH, scores=True)
    without = chosen(None, WITHOUT, scores=False)

    assert everything == list(MEASUREMENTS)
    assert set(everything) - set(without) == {"pipeline-float32", "presets-float32", "score"}
    assert chosen(["presets-float32"], WITHOUT, scores=False) == ["presets-float32"]


def test_a_score_needs_a_folder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.py", "report", "--only", "score"])

    with pytest.raises(SystemExit) as ended:
        bench.parse()

    assert ended.value.code == 2
    assert "score needs a folder of DAVIS: --davis DAVIS" in capsys.readouterr().err


def test_the_default_is_a_preset() -> None:
    assert DEFAULT in PRESETS
