"""All measurements -> one JSON file, and the pages that show them."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import (
    FIRST_LINE,
    KINDS,
    WITHOUT,
    Figures,
    kind_of_this_machine,
    read_figures,
    with_table,
    write_figures,
)
from benchmarks.tables import TABLES, Found

# Name in the file -> the command that measures it, and its title on the page.
MEASUREMENTS: dict[str, tuple[Sequence[str], str]] = {
    "pipeline": (("pipeline",), "From video to files against the published way, bfloat16 where the CPU has it"),
    "pipeline-float32": (("pipeline", "--precision", "float32"), "The same in float32"),
    "pipeline-persam": (("pipeline", "--method", "persam"), "The same with `persam`"),
    "presets": (("presets",), "Presets at 480p, 720p and 1080p, bfloat16 where the CPU has it"),
    "presets-float32": (("presets", "--precision", "float32"), "Presets in float32"),
    "sizes": (("sizes",), "Sizes of video and numbers of objects"),
    "encode": (("encode",), "The encoder by backend, precision and batch size"),
    "objects": (("objects",), "Tracking more objects, without encoding"),
    "track": (("track",), "The demo clip"),
    "track-best": (("track", "--preset", "best"), "The demo clip with `--preset best`"),
    "photos": (("photos",), "Photos from file to files, and learning, against the published way"),
    "frames": (("frames",), "Frames of a video file in any order"),
    "exports": (("exports",), "Exports beside tracking"),
    "corrections": (("corrections",), "Corrections in a session"),
    "studio": (("studio",), "Answers of the studio"),
    "page": (("page",), "The studio's page in Chromium"),
    "batch": (("batch",), "Many short clips"),
    "start": (("start",), "Start-up"),
    "score": (("score",), "Scoring DAVIS"),
    "memory": (("memory",), "Memory over 5,000 frames, `memory`"),
    "memory-best": (("memory", "--preset", "best"), "Memory over 5,000 frames, `memory`, `--preset best`"),
    "memory-persam": (("memory", "--method", "persam"), "Memory over 5,000 frames, `persam`"),
    "memory-persam-f": (("memory", "--method", "persam-f"), "Memory over 5,000 frames, `persam-f`"),
    "objects-memory": (("objects-memory",), "Memory for 32 objects"),
}


def report(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the measurements asked for, each in a process of its own, and write file and pages.

    Figures of the other kind of machine stay, and so do those that are not asked for.
    """
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "benchmarks.json"
    kind = kind_of_this_machine()
    written = [path]
    for name in chosen(arguments.only, kind, scores=arguments.davis is not None):
        found = _measured(name, arguments.davis, {"frames": arguments.frames, "repeats": arguments.repeats})
        # Read and written after each measurement, so that an interrupted report loses nothing.
        figures = read_figures(path)
        figures[kind][name] = found
        write_figures(path, figures)
        written = [path, *_write_pages(arguments.output, figures)]
    return {"kind_of_machine": kind, "written": [str(each) for each in written]}


def chosen(only: Sequence[str] | None, kind: str, *, scores: bool) -> list[str]:
    """Return the names of what is measured: those asked for, or all that say something new on this kind of machine.

    Args:
        only: Names asked for; None for all.
        kind: Kind of this machine; without bfloat16, all is float32 in any case.
        scores: Whether there is a DAVIS folder to score.
    """
    if only is not None:
        return list(only)
    doubled = {name for name, (command, _) in MEASUREMENTS.items() if kind == WITHOUT and "float32" in command}
    return [name for name in MEASUREMENTS if name not in doubled and (scores or name != "score")]


def _measured(name: str, davis: Path | None, counts: Mapping[str, int | None]) -> Found:
    """Run a measurement; counts of frames and repeats that are None are its own."""
    command, _ = MEASUREMENTS[name]
    extra = [str(davis), "--year", "2016"] if name == "score" else []
    extra += [word for key, count in counts.items() if count is not None for word in (f"--{key}", str(count))]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        subprocess.run(
            [sys.executable, sys.argv[0], *command, *extra, "--json", str(file)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        found: Found = json.loads(file.read_text())
    return found


def _write_pages(docs: Path, figures: Figures) -> Iterator[Path]:
    """Write the page of benchmarks, and the table of seconds a frame into the pages around that have one."""
    (docs / "benchmarks.md").write_text(page(figures), encoding="utf-8")
    yield docs / "benchmarks.md"
    for path in (docs.resolve().parent / "README.md", docs / "performance.md"):
        if path.exists() and FIRST_LINE in (text := path.read_text(encoding="utf-8")):
            path.write_text(with_table(text, figures), encoding="utf-8")
            yield path


def page(figures: Figures) -> str:
    """Return the page: a section per measurement, with its command, and its table for each kind of machine."""
    parts = [
        "# Benchmarks",
        "",
        "Written by `python scripts/bench.py report`, from [benchmarks.json](benchmarks.json). Medians; what is"
        " compared ran in turns in one process. Floors: the network's multiplications at the rate of a product of"
        " matrices measured in the same process, in the same precision; FFmpeg's own decoding and encoding of the same"
        " frames.",
        "",
        "A machine counts as *with bfloat16* where the CPU has instructions for it: there the networks compute in"
        " bfloat16, elsewhere in float32. A machine with bfloat16 also ran `--precision float32`; that is faster"
        " than on most CPUs without bfloat16, since such a CPU has wider float32 instructions as well.",
        "",
        "`encode`, `photos`, `score` and the reference of `pipeline` need the development environment: `make test`, or"
        " `pip install -e '.[dev]'`. The others run after `make demo` as well.",
        "",
    ]
    for name, (command, title) in MEASUREMENTS.items():
        if any(name in figures[kind] for kind in KINDS):
            shown = " ".join([*command, "DAVIS", "--year", "2016"] if name == "score" else command)
            parts += [f"## {title}", "", f"`python scripts/bench.py {shown}`", ""]
        for kind in KINDS:
            if name in figures[kind]:
                found = figures[kind][name]
                parts += [f"On a machine {kind}{_machine(found)}:", "", *TABLES[command[0]](found), ""]
    return "\n".join(parts)


def _machine(found: Found) -> str:
    machine = found.get("machine")
    if machine is None:
        return ""
    return f" ({machine['cpus']} cores of {machine['processor']}, PyTorch {machine['torch']})"
