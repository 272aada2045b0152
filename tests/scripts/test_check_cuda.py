"""check_cuda.py: without a card it says so; a part that fails or takes too long does not stop the others."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import check_cuda
import numpy as np
import pytest
import torch
from check_cuda import LIMIT_S, WRITING_S, Part, agreement, check_all, jf_mean, parts_of
from PIL import Image

MACHINE = {"gpu": "Some Card", "cpus": 4, "processor": "x", "system": "Linux x86_64", "torch": "2.14"}


def part(command: str, limit_s: float = 30.0) -> Part:
    def figures(folder: Path) -> dict[str, Any]:
        return {"frames a second": 50}

    return Part(title="A part", limit_s=limit_s, commands=[("-c", command)], figures=figures, show=check_cuda._listed)


def save_masks(folder: Path, *columns: int) -> None:
    folder.mkdir(parents=True)
    for index, column in enumerate(columns):
        labels = np.zeros((50, 100), np.uint8)
        labels[:, :column] = 1
        Image.fromarray(labels).save(folder / f"{index:05d}.png")


def test_without_a_card_it_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["check_cuda.py", "--output", str(tmp_path / "out")])

    with pytest.raises(SystemExit) as ended:
        check_cuda.main()

    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    assert printed.err == "check_cuda: PyTorch finds no CUDA device here, so nothing was checked or measured\n"
    assert not (tmp_path / "out").exists()


def test_a_part_that_fails_or_hangs_does_not_stop_the_others(tmp_path: Path) -> None:
    parts = {
        "broken": part("import sys; print('starts'); sys.exit('no such kernel')"),
        "slow": part("import time; time.sleep(60)", limit_s=0.5),
        "well": part("print('done')"),
    }

    outcomes = check_all(parts, MACHINE, tmp_path, time.monotonic() + 60)

    assert outcomes["broken"]["reason"] == "status 1: no such kernel"
    assert outcomes["slow"]["reason"] == "not done after 0 s"
    assert outcomes["slow"]["seconds"] < 10
    assert [each["passed"] for each in outcomes.values()] == [False, False, True]
    assert json.loads((tmp_path / "cuda.json").read_text()) == {"machine": MACHINE, "parts": outcomes}
    page = (tmp_path / "cuda.md").read_text()
    assert page.startswith("# Some Card\n")
    assert "| broken | failed: status 1: no such kernel |" in page
    assert page.count("| frames a second | 50 |") == 1


def test_when_all_time_is_gone_nothing_more_starts(tmp_path: Path) -> None:
    outcomes = check_all({"late": part("open('started', 'w')")}, MACHINE, tmp_path, time.monotonic() - 1)

    assert outcomes["late"]["reason"] == "not done after 0 s"
    assert not (tmp_path / "started").exists()


def test_what_a_part_started_ends_with_it(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    child = f"import time; time.sleep(2); open({str(mark)!r}, 'w')"
    command = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"

    check_all({"parent": part(command, limit_s=1)}, MACHINE, tmp_path, time.monotonic() + 60)

    time.sleep(2.5)
    assert not mark.exists()


def test_the_whole_is_limited_to_ten_minutes(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, tmp_path / "DAVIS", ["blackswan", "dog"])

    assert set(parts) == {
        "agreement", "tests", "pipeline", "pipeline-bfloat16", "presets", "objects", "photos", "davis",
    }  # fmt: skip
    assert sum(each.limit_s for each in parts.values()) <= LIMIT_S - WRITING_S
    assert LIMIT_S <= 600
    assert "davis" not in parts_of(tmp_path, None, ())


@pytest.mark.parametrize("name", ["pipeline", "pipeline-bfloat16", "presets", "objects", "photos"])
def test_measurements_are_commands_of_bench(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import bench

    ((script, *words),) = parts_of(tmp_path, None, ())[name].commands

    monkeypatch.setattr(sys, "argv", [script, *words])
    arguments = bench.parse()
    assert (arguments.command, arguments.device) == (name.partition("-")[0], "cuda")
    assert (check_cuda.ROOT / script).is_file()


def test_masks_that_agree_and_masks_that_do_not(tmp_path: Path) -> None:
    save_masks(tmp_path / "cpu" / "masks", 60, 70)
    save_masks(tmp_path / "cuda" / "masks", 60, 70)
    assert agreement(tmp_path) == {"frames": 2, "lowest IoU": 1.0, "mean IoU": 1.0}

    save_masks(tmp_path / "other" / "cpu" / "masks", 60, 70)
    save_masks(tmp_path / "other" / "cuda" / "masks", 60, 63)
    with pytest.raises(ValueError, match=r"frame 1 overlaps by IoU 0.9000, less than 0.99"):
        agreement(tmp_path / "other")

    save_masks(tmp_path / "fewer" / "cpu" / "masks", 60, 70)
    save_masks(tmp_path / "fewer" / "cuda" / "masks", 60)
    with pytest.raises(ValueError, match="1 masks by the card and 2 by the CPU"):
        agreement(tmp_path / "fewer")


def test_jf_is_read_from_the_table_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "davis").mkdir()
    (tmp_path / "davis" / "global_results-val.csv").write_text("J&F-Mean,J-Mean,F-Mean\n0.851,0.842,0.86\n")

    assert jf_mean(tmp_path) == {"J&F": 85.1, "J": 84.2, "F": 86.0}


def test_a_run_without_tests_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "tests.log").write_text("...\n=== 12 passed, 3 skipped in 20.1s ===\n")
    assert check_cuda.tests_run(tmp_path) == {"pytest": "12 passed, 3 skipped in 20.1s"}

    (tmp_path / "tests.log").write_text("3 skipped in 1.0s\n")
    with pytest.raises(ValueError, match="no test passed: 3 skipped"):
        check_cuda.tests_run(tmp_path)


def test_the_command_exits_with_2_where_there_is_no_card() -> None:
    words = [sys.executable, str(check_cuda.ROOT / "scripts" / "check_cuda.py")]
    done = subprocess.run(words, capture_output=True, text=True, env={"CUDA_VISIBLE_DEVICES": ""})

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
