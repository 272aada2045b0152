"""bench.py: its figures name the system, and a missing package is named in one line."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import bench
import numpy as np
import pytest
import torch
from benchmarks import networks
from benchmarks.measure import described
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"


def test_figures_name_a_system_and_no_kernel() -> None:
    systems = re.findall(r'"system": "(.*)"', (DOCS / "benchmarks.json").read_text(encoding="utf-8"))

    for system in (*systems, described(torch.device("cpu"))["system"]):
        assert re.fullmatch(r"\w+ \w+", system)


def test_timm_is_needed_by_the_reference_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {"timm", *(each for each in sys.modules if each.startswith("timm."))}:
        monkeypatch.setitem(sys.modules, name, None)

    without_timm = importlib.reload(networks)

    assert without_timm.frame_480p().rgb.shape == (480, 854, 3)
    with pytest.raises(ModuleNotFoundError, match="timm"):
        without_timm._plain(torch.nn.Identity())


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
