"""All that needs a CUDA device, in at most 10 minutes: tests, speed, accuracy, and masks beside the CPU's.

    python scripts/check_cuda.py [--davis DAVIS [--sequences blackswan,dog]] [--output out/cuda]

writes cuda.json and cuda.md, with the name of the card, and a log of each part. Each part has a limit of its own, and
one that fails does not stop the others. ``--davis`` adds J&F of two sequences. The tests are those marked ``cuda``;
they and the measurements need the development environment: ``pip install -e '.[dev]'``.

Exit status: 0 if every part is well, 1 if one failed, 2 if there is no CUDA device; then nothing is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from benchmarks.measure import CLIP, MASK, described
from benchmarks.tables import TABLES, table

from persam_vos.errors import PersamVosError
from persam_vos.evaluation import DavisDataset, read_png_label_map

ROOT = Path(__file__).resolve().parents[1]
# Seconds for everything; the last ones are for writing.
LIMIT_S, WRITING_S = 600.0, 5.0
# Masks of the CPU and of the card overlap by more than this, in every frame.
LEAST_IOU = 0.99

Figures = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the checks.

    Attributes:
        title: Heading of its table.
        limit_s: Seconds that it may take.
        commands: Words after the interpreter, of commands that run one after the other.
        figures: Reads what the commands left in the folder. Raises ``ValueError`` if it is not good enough.
        show: Makes a table of the figures.
    """

    title: str
    limit_s: float
    commands: Sequence[Sequence[str]]
    figures: Callable[[Path], Figures]
    show: Callable[[Figures], list[str]]


def parts_of(folder: Path, davis: Path | None, sequences: Sequence[str]) -> dict[str, Part]:
    """Return all parts by name; together their limits are less than 10 minutes."""
    run = ("-m", "persam_vos", "run", str(CLIP), "--first-mask", str(MASK), "--precision", "float32", "--quiet")
    masks = ("--export", "masks", "--overwrite")
    both = [(*run, *masks, "--device", device, "-o", str(folder / device)) for device in ("cuda", "cpu")]
    tests = ("-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider", "tests")
    parts = {
        "agreement": Part(title="Masks of CPU and card", limit_s=110, commands=both, figures=agreement, show=_listed),
        "tests": Part(title="Tests marked `cuda`", limit_s=120, commands=[tests], figures=tests_run, show=_listed),
        "pipeline": _bench(folder, "pipeline", 50),
        "pipeline-bfloat16": _bench(folder, "pipeline", 40, "--precision", "bfloat16", "--baseline", "none"),
        "presets": _bench(folder, "presets", 90, "--frames", "32", "--repeats", "2"),
        "objects": _bench(folder, "objects", 30),
        "photos": _bench(folder, "photos", 60, "--repeats", "2"),
    }
    if davis is not None:
        output = str(folder / "davis")
        words = ("-m", "persam_vos", "davis", str(davis), "--year", "2016", "--sequences", ",".join(sequences))
        command = (*words, "--device", "cuda", "-o", output, "--overwrite", "--quiet")
        parts["davis"] = Part(
            title=f"DAVIS, {' and '.join(sequences)}", limit_s=80, commands=[command], figures=jf_mean, show=_listed
        )
    return parts


def _bench(folder: Path, name: str, limit_s: float, *options: str) -> Part:
    """Return a measurement of bench.py on the card; its options name its file."""
    words = ("scripts/bench.py", name, "--device", "cuda", *options)
    file = folder / f"{'-'.join([name, *(each.strip('-') for each in options)])}.json"
    return Part(
        title=f"`python {' '.join(words)}`",
        limit_s=limit_s,
        commands=[(*words, "--json", str(file))],
        figures=lambda _: json.loads(file.read_text(encoding="utf-8")),
        show=TABLES[name],
    )


def agreement(folder: Path) -> Figures:
    """Compare the masks of both devices, frame by frame.

    Raises:
        ValueError: If a frame overlaps by less than ``LEAST_IOU``, or one of the devices lacks a mask.
    """
    devices = ("cuda", "cpu")
    names = [sorted(path.name for path in (folder / each / "masks").iterdir()) for each in devices]
    if not names[0] or names[0] != names[1]:
        raise ValueError(f"{len(names[0])} masks by the card and {len(names[1])} by the CPU")
    ious = [_iou(*(read_png_label_map(folder / each / "masks" / name) > 0 for each in devices)) for name in names[0]]
    if min(ious) < LEAST_IOU:
        raise ValueError(f"frame {int(np.argmin(ious))} overlaps by IoU {min(ious):.4f}, less than {LEAST_IOU}")
    return {"frames": len(ious), "lowest IoU": round(min(ious), 4), "mean IoU": round(float(np.mean(ious)), 4)}


def tests_run(folder: Path) -> Figures:
    """Return pytest's last line.

    Raises:
        ValueError: If no test passed.
    """
    last = (folder / "tests.log").read_text(encoding="utf-8").strip().split("\n")[-1]
    if " passed" not in last:
        raise ValueError(f"no test passed: {last}")
    return {"pytest": last.strip("= ")}


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def jf_mean(folder: Path) -> Figures:
    """Read J&F, J and F in percent from the table that the command wrote."""
    with (folder / "davis" / "global_results-val.csv").open(encoding="utf-8") as file:
        (means,) = csv.DictReader(file)
    return {name: round(100 * float(means[f"{name}-Mean"]), 1) for name in ("J&F", "J", "F")}


def _listed(figures: Figures) -> list[str]:
    return table(["", ""], list(figures.items()))


def check(part: Part, folder: Path, log: Path, seconds_left: float) -> dict[str, Any]:
    """Run a part; return whether it passed, its seconds, and its figures or the reason why there are none."""
    start = time.monotonic()
    limit = min(part.limit_s, seconds_left)
    outcome: dict[str, Any] = {"passed": False}
    try:
        with log.open("w", encoding="utf-8") as out:
            for command in part.commands:
                _run(command, out, start + limit - time.monotonic())
        outcome |= {"figures": part.figures(folder), "passed": True}
    except subprocess.TimeoutExpired:
        outcome["reason"] = f"not done after {max(limit, 0):.0f} s"
    except subprocess.CalledProcessError as error:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        outcome["reason"] = f"status {error.returncode}: {said[:300]}"
    except (OSError, ValueError, KeyError) as error:
        outcome["reason"] = str(error)
    return outcome | {"seconds": round(time.monotonic() - start, 1)}


def _run(command: Sequence[str], out: TextIO, limit_s: float) -> None:
    """Run a command and end it, with all that it started, when its time is over.

    Raises:
        subprocess.TimeoutExpired: If it was ended, or there was no time left for it.
        subprocess.CalledProcessError: If it failed.
    """
    if limit_s <= 0:
        raise subprocess.TimeoutExpired(command, 0)
    words = [sys.executable, *command]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PERSAM_VOS_TEST_DEVICE": "cuda", "PYTHONPATH": path}
    with subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            status = process.wait(limit_s)
        except BaseException:
            with contextlib.suppress(OSError, AttributeError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            raise
    if status:
        raise subprocess.CalledProcessError(status, words)


def check_all(
    parts: Mapping[str, Part], machine: Mapping[str, Any], folder: Path, deadline: float
) -> dict[str, dict[str, Any]]:
    """Run every part until the deadline, by ``time.monotonic``; write cuda.json and cuda.md after each."""
    outcomes: dict[str, dict[str, Any]] = {}
    for name, part in parts.items():
        outcome = outcomes[name] = check(part, folder, folder / f"{name}.log", deadline - time.monotonic())
        print(f"{name}: {'passed' if outcome['passed'] else 'failed: ' + outcome['reason']}", flush=True)
        found = {"machine": machine, "parts": outcomes}
        (folder / "cuda.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (folder / "cuda.md").write_text(report(machine, parts, outcomes), encoding="utf-8")
    return outcomes


def report(machine: Mapping[str, Any], parts: Mapping[str, Part], outcomes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page: which parts passed, and a table of each one's figures."""
    rows = (
        [name, "passed" if each["passed"] else f"failed: {each['reason']}", each["seconds"]]
        for name, each in outcomes.items()
    )
    lines = [
        f"# {machine['gpu']}",
        "",
        f"{machine['cpus']} cores of {machine['processor']}, {machine['system']}, PyTorch {machine['torch']}.",
        "",
        *table(["part", "result", "seconds"], rows),
        "",
    ]
    for name, outcome in outcomes.items():
        if shown := parts[name].show(outcome["figures"]) if outcome.get("figures") else []:
            lines += [f"## {parts[name].title}", "", *shown, ""]
    return "\n".join(lines)


def main() -> None:
    """Run every part and tell how it ended."""
    start = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davis", type=Path, help="a folder of DAVIS")
    parser.add_argument("--sequences", help="names, separated by commas; by default, the first two of 2016's val")
    parser.add_argument("--output", type=Path, default=Path("out/cuda"))
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("check_cuda: PyTorch finds no CUDA device here, so nothing was checked or measured", file=sys.stderr)
        sys.exit(2)
    folder: Path = arguments.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    sequences: Sequence[str] = arguments.sequences.split(",") if arguments.sequences else ()
    if davis := arguments.davis and arguments.davis.resolve():
        try:
            known = DavisDataset(davis, 2016, "val", sequences=sequences or None).sequences
            sequences = sequences or known[:2]
        except PersamVosError as error:
            parser.error(str(error))
    parts = parts_of(folder, davis, sequences)
    machine = described(torch.device("cuda"))
    outcomes = check_all(parts, machine, folder, start + LIMIT_S - WRITING_S)
    failed = [name for name, outcome in outcomes.items() if not outcome["passed"]]
    verdict = f"failed: {', '.join(failed)}" if failed else "every part passed"
    print(f"check_cuda: {machine['gpu']}: {verdict}; see {folder / 'cuda.md'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
