"""All measurements -> one JSON file, and the page that shows them."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Found = Mapping[str, Any]

# Name in the file -> the command that measures it, and its title on the page.
MEASUREMENTS: dict[str, tuple[Sequence[str], str]] = {
    "pipeline": (("pipeline",), "From video to files against the published way, bfloat16 where the CPU has it"),
    "pipeline-float32": (("pipeline", "--precision", "float32"), "The same in float32"),
    "pipeline-persam": (("pipeline", "--method", "persam"), "The same with `persam`"),
    "sizes": (("sizes",), "Sizes of video and numbers of objects"),
    "encode": (("encode",), "The encoder by backend, precision and batch size"),
    "objects": (("objects",), "Tracking more objects, without encoding"),
    "track": (("track",), "The demo clip"),
    "track-best": (("track", "--preset", "best"), "The demo clip with `--preset best`"),
    "photos": (("photos",), "Photos from file to files, and learning, against the published way"),
    "start": (("start",), "Start-up"),
    "score": (("score",), "Scoring DAVIS"),
    "memory": (("memory",), "Memory over 5,000 frames, `memory`"),
    "memory-best": (("memory", "--preset", "best"), "Memory over 5,000 frames, `memory`, `--preset best`"),
    "memory-persam": (("memory", "--method", "persam"), "Memory over 5,000 frames, `persam`"),
    "memory-persam-f": (("memory", "--method", "persam-f"), "Memory over 5,000 frames, `persam-f`"),
    "objects-memory": (("objects-memory",), "Memory for 32 objects"),
}


def report(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the measurements asked for, each in a process of its own; keep the other figures; write page and file."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "benchmarks.json"
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for name in arguments.only:
        command, _ = MEASUREMENTS[name]
        extra = [str(arguments.davis), "--year", "2016"] if name == "score" else []
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "found.json"
            subprocess.run(
                [sys.executable, sys.argv[0], *command, *extra, "--json", str(file)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            kept[name] = json.loads(file.read_text())
        # Written after each measurement, so that an interrupted report loses nothing.
        path.write_text(json.dumps(kept, indent=1) + "\n")
        (arguments.output / "benchmarks.md").write_text(page(kept))
    return {"written": [str(arguments.output / f"benchmarks.{kind}") for kind in ("md", "json")]}


def page(found: Mapping[str, Found]) -> str:
    """Return the page: a section per measurement, with its command and its machine."""
    parts = [
        "# Benchmarks",
        "",
        "Written by `python scripts/bench.py report`, from [benchmarks.json](benchmarks.json). Medians; what is"
        " compared ran in turns in one process. Floors: the network's multiplications at the rate of a product of"
        " matrices measured in the same process, in the same precision; FFmpeg's own decoding and encoding of the same"
        " frames.",
        "",
        "`encode`, `photos`, `score` and the reference of `pipeline` need the development environment: `make test`, or"
        " `pip install -e '.[dev]'`. The others run after `make demo` as well.",
        "",
    ]
    for name, (command, title) in MEASUREMENTS.items():
        if name in found:
            table = _TABLES[command[0]](found[name])
            shown = " ".join([*command, "DAVIS", "--year", "2016"] if name == "score" else command)
            parts += [f"## {title}", "", f"`python scripts/bench.py {shown}`. {_machine(found[name])}", ""]
            parts += [*table, ""]
    return "\n".join(parts)


def _machine(found: Found) -> str:
    machine = found.get("machine")
    if machine is None:
        return ""
    device = machine.get("gpu") or f"{machine['cpus']} cores of {machine['processor']}"
    return f"On {device}, PyTorch {machine['torch']}."


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(str(each) for each in line) + " |" for line in lines]


def _pipeline(found: Found) -> list[str]:
    rows = [[f"frames a second, {name}", value] for name, value in found["frames_per_second"].items()]
    rows += [
        [label, found[key]]
        for key, label in (
            ("pipeline_over_reference", "pipeline over reference"),
            ("pipeline_over_encoder", "pipeline over encoder alone"),
            ("encoder_over_floor", "encoder over its floor"),
            ("encoder_gflop", "GFLOP of the encoder a frame"),
            ("matrix_gflop_per_second", "GFLOP/s of a product of matrices"),
            ("peak_mib", "peak memory, MiB"),
        )
        if key in found
    ]
    title = f"{found['method']}, {found['backend']} {found['precision']}, {found['frames']} frames at 480p"
    return _table([title, ""], rows)


def _sizes(found: Found) -> list[str]:
    runs = _table(
        ["size", "objects", "frames/s", "decode ms", "encode ms", "track ms", "write ms", "peak MiB so far"],
        (
            [run["size"], run["objects"], run["frames_per_second"]]
            + [run["ms_a_frame_by_stage"].get(stage, "") for stage in ("decode", "encode", "track", "write")]
            + [round(run["peak_mib"])]
            for run in found["runs"]
        ),
    )
    alone = _table(
        ["stage by itself, one object", "ms a frame", "floor", "over floor"],
        (
            [f"{stages['size']} {name}", stage["ms"], stage["floor_ms"], stage["over_floor"]]
            for stages in found["stages"]
            for name, stage in stages.items()
            if name != "size"
        ),
    )
    return ["Side by side, the stages share the cores; their times overlap.", "", *runs, "", *alone]


def _encode(found: Found) -> list[str]:
    floors = ", ".join(f"{value} ms in {name}" for name, value in found["ms_at_matrix_rate"].items())
    rows = (
        [name, each["ms"], each["times_as_fast_as_square"], each["over_floor"]]
        for name, each in found["backends"].items()
    )
    head = ["854 x 480", "ms a frame", "times as fast as the square", "over floor"]
    return [f"{found['gflop']} GFLOP a frame; floor: {floors}.", "", *_table(head, rows)]


def _objects(found: Found) -> list[str]:
    rows = ([count, value, found["times_one_object"][count]] for count, value in found["ms"].items())
    return _table(["objects", "ms a frame", "times one object"], rows)


def _track(found: Found) -> list[str]:
    rows = [
        ["all", found["ms_a_frame"]],
        *found["ms_a_frame_by_stage"].items(),
        ["peak memory, MiB", found["peak_mib"]],
    ]
    head = f"{found['width']} x {found['height']}, {found['frames']} frames, {found['preset']}, {found['backend']}"
    return _table([head, "ms a frame"], rows)


def _photos(found: Found) -> list[str]:
    height, width = found["photo_size"]
    exports = ", ".join(found["exports"])
    head = f"{width} x {height}, {found['photos']} photos, {found['backend']} {found['precision']}; {exports}"
    ratios = found["times_as_fast"]
    rows = [
        [way, value, found["seconds_to_learn"].get(way, ""), ratios.get(way, "")]
        for way, value in found["seconds_a_photo"].items()
    ]
    columns = [head, "s a photo", "s to learn, without encoding", "times as fast a photo as the authors' way"]
    learning = (
        f"`persam-f` learns {found['persam_f_learns_times_as_fast']} times as fast, by {found['steps']} steps, of which"
        f" {found['steps_timed_of_the_authors']} were timed the authors' way"
    )
    return [
        *_table(columns, rows),
        "",
        f"{learning}. `memory` is held against the authors' way of `persam`.",
    ]


def _start(found: Found) -> list[str]:
    return _table(["", "seconds"], [["a run of one frame, process and all", found["seconds_of_a_run_of_one_frame"]]])


def _score(found: Found) -> list[str]:
    rows = [[name, value] for name, value in found["seconds"].items()]
    return _table(
        [f"{found['scored_frames']} frames, {found['objects']} objects", "seconds"],
        [*rows, ["times as fast", found["times_as_fast"]]],
    )


def _memory(found: Found) -> list[str]:
    rows = [
        ["frames", found["frames"]],
        ["exports", ", ".join(found["exports"])],
        [
            "resident at most, in each 500 frames after 200, MiB",
            ", ".join(map(str, found["mib_at_most_in_500_frames"])),
        ],
        ["grown after the first of these, MiB", found["mib_grown"]],
    ]
    return _table(["854 x 480", ""], rows)


def _objects_memory(found: Found) -> list[str]:
    rows = [[f"{count} objects, peak MiB", value] for count, value in found["peak_mib"].items()]
    return _table(["", ""], [*rows, ["more, MiB", found["mib_more"]]])


_TABLES: dict[str, Callable[[Found], list[str]]] = {
    "pipeline": _pipeline,
    "sizes": _sizes,
    "encode": _encode,
    "objects": _objects,
    "track": _track,
    "photos": _photos,
    "start": _start,
    "score": _score,
    "memory": _memory,
    "objects-memory": _objects_memory,
}
