"""bench.py: its page shows its figures, and a missing package is named in one line."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import bench
import numpy as np
import pytest
from benchmarks import networks
from benchmarks.report import page
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_shows_the_figures() -> None:
    figures = json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))

    assert (DOCS / "benchmarks.md").read_text(encoding="utf-8") == page(figures)


def test_timm_is_needed_by_the_reference_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)

    importlib.reload(networks)


def test_a_missing_package_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(_: object) -> None:
        raise ModuleNotFoundError("No module named 'timm'", name="timm")

    monkeypatch.setitem(bench.COMMANDS, "encode", measure)
    monkeypatch.setattr(bench, "share_one_arena", lambda: None)
    monkeypatch.setattr(sys, "argv", ["bench.py", "encode"])

    with pytest.raises(SystemExit, match=r"^encode needs timm: pip install -e '\.\[dev\]'$"):
        bench.main()


def test_both_scorers_agree_on_shifted_annotations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(5):
        labels = np.zeros((40, 60), np.uint8)
        labels[10:30, 10 + index : 30 + index] = 1
        path = tmp_path / "Annotations" / "480p" / "square" / f"{index:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels).save(path)
    (tmp_path / "ImageSets" / "2017").mkdir(parents=True)
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("square\n")
    monkeypatch.setattr(bench, "share_one_arena", lambda: None)
    monkeypatch.setattr(sys, "argv", ["bench.py", "score", str(tmp_path), "--repeats", "1"])

    bench.main()

    found = json.loads(capsys.readouterr().out)
    assert (found["scored_frames"], found["objects"]) == (3, 1)
