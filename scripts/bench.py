"""Speed and memory, measured.

    python scripts/bench.py report [--davis DAVIS] [--only pipeline,presets,...] [--frames N] [--repeats N]

runs every measurement and writes docs/benchmarks.json, docs/benchmarks.md and the tables of seconds a frame in
README.md and docs/performance.md. CPUs with and without bfloat16 have figures of their own; a report replaces those of
its kind of machine. Each measurement alone prints its figures as JSON:

    python scripts/bench.py pipeline [--method memory] [--preset fast] [--baseline reference|none] [--backend B]
                                     [--precision P]
    python scripts/bench.py presets [--presets quick,best] [--sizes 480p] [--backend B] [--precision P]
    python scripts/bench.py exports [--exports overlay,prores] [--sizes 480p]
    python scripts/bench.py sizes
    python scripts/bench.py track [--video VIDEO --mask MASK] [--preset fast]
    python scripts/bench.py encode [--batch-sizes 1,2,4]
    python scripts/bench.py objects [--method memory]
    python scripts/bench.py photos [--backend B] [--precision P]
    python scripts/bench.py frames
    python scripts/bench.py corrections
    python scripts/bench.py studio
    python scripts/bench.py page
    python scripts/bench.py start
    python scripts/bench.py batch [--clips 40]
    python scripts/bench.py score DAVIS [--year 2016] [--results FOLDER] [--workers N]
    python scripts/bench.py memory [--method memory] [--frames 5000] [--objects 1]
    python scripts/bench.py objects-memory

``pipeline``: frames a second from video to masks and overlay, beside the encoder alone and beside the reference, the
way of the authors' script: the whole square in eager PyTorch, then three decoder passes in sequence. The reference uses
this project's decoder, which is faster than theirs. ``presets``: every preset at 480p, 720p and 1080p, in turns.
``exports``: frames a second with each export beside none, in turns, the bytes a frame, and how exactly alpha comes back
from films.
``sizes``: 480p, 1080p and 4K with 1, 4 and 16 objects, and every stage alone beside its floor. ``photos``: seconds a
photo, from file to files, and seconds to learn, beside the authors' way: all in sequence, and the decoder run at every
step of PerSAM-F's learning. ``frames``: frames a second of a video file in any order, beside plain reading.
``corrections``: seconds of a correction in a session, beside the first propagation. ``studio``: milliseconds from a
click to its mask, of previews and of pictures, alone and beside a propagation; it needs the extra ``studio``. ``page``:
milliseconds from a click, or a move on the timeline, to what the canvas shows, seconds of playing, and the memory of
the page, in Chromium.
``batch``: many short clips by one process, by two, and by Ray, beside a run each; it needs the extra ``ray``.
``start``: a run of one frame, from the start of its process to the end. ``memory``: the growth of resident memory over
a long clip, made by looping a short one. ``score``: ``score_davis`` beside
``tests/official_davis.py``; the two must agree.

All but ``report``, ``score``, ``start``, ``frames`` and ``batch`` take ``--device cuda``; ``scripts/check_cuda.py``
runs several of them on a CUDA device. ``encode``, ``page``, ``photos``, ``score`` and the reference of ``pipeline``
need the development environment: ``pip install -e '.[dev]'``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from benchmarks.batch import bench_batch
from benchmarks.clips import SIZES
from benchmarks.corrections import bench_corrections
from benchmarks.exports import EXPORT_SIZES, MEASURED, bench_exports
from benchmarks.frames import bench_frames
from benchmarks.measure import CLIP, MASK
from benchmarks.memory import compare_objects, watch_memory
from benchmarks.networks import bench_encode, bench_objects
from benchmarks.page import bench_page
from benchmarks.photos import bench_photos
from benchmarks.pipeline import bench_pipeline, bench_sizes, bench_start, bench_track
from benchmarks.presets import PRESET_SIZES, bench_presets
from benchmarks.report import MEASUREMENTS, report
from benchmarks.scoring import bench_score
from benchmarks.studio import bench_studio

from persam_vos.pipeline.malloc import share_one_arena
from persam_vos.settings.video import PRESETS

COMMANDS = {
    "report": report,
    "pipeline": bench_pipeline,
    "presets": bench_presets,
    "exports": bench_exports,
    "sizes": bench_sizes,
    "track": bench_track,
    "encode": bench_encode,
    "objects": bench_objects,
    "photos": bench_photos,
    "frames": bench_frames,
    "corrections": bench_corrections,
    "studio": bench_studio,
    "page": bench_page,
    "start": bench_start,
    "batch": bench_batch,
    "score": bench_score,
    "memory": watch_memory,
    "objects-memory": compare_objects,
}
# Frames and repeats by default.
FRAMES = {
    "pipeline": 96, "presets": 24, "exports": 24, "sizes": 12, "track": 50, "photos": 12, "frames": 240,
    "corrections": 48, "studio": 48, "page": 240, "memory": 5000,
}  # fmt: skip
REPEATS = {
    "pipeline": 3, "presets": 3, "exports": 3, "sizes": 3, "encode": 3, "objects": 9, "photos": 3, "frames": 3,
    "start": 5, "score": 3, "corrections": 1,
}  # fmt: skip


def one_of(allowed: Collection[str]) -> Callable[[str], list[str]]:
    """Return what splits names at commas, and refuses all but these."""

    def split(text: str) -> list[str]:
        found = text.split(",")
        if unknown := [name for name in found if name not in allowed]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r}; known are {', '.join(allowed)}")
        return found

    return split


def numbers(text: str) -> list[int]:
    """Split numbers at commas."""
    return [int(each) for each in text.split(",")]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    added = {name: commands.add_parser(name) for name in COMMANDS}
    for name, command in added.items():
        command.add_argument("--json", type=Path, help="file for the figures")
        if name == "report":
            continue
        if name not in ("score", "start", "frames", "batch"):
            command.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
        command.add_argument("--method", default="memory")
        command.add_argument("--preset", default="fast")
        command.add_argument("--video", type=Path, default=CLIP)
        command.add_argument("--mask", type=Path, default=MASK)
        command.add_argument("--frames", type=int, default=FRAMES.get(name, 0))
        command.add_argument("--repeats", type=int, default=REPEATS.get(name, 1))
    added["report"].add_argument("--davis", type=Path, help="a DAVIS folder, for score")
    added["report"].add_argument(
        "--only", type=one_of(MEASUREMENTS), help="names, separated by commas; by default, all"
    )
    for option in ("--frames", "--repeats"):
        added["report"].add_argument(option, type=int, help="of each measurement; by default, its own")
    added["report"].add_argument("--output", type=Path, default=Path("docs"))
    added["pipeline"].add_argument("--baseline", default="reference", choices=("reference", "none"))
    for command in (added["pipeline"], added["presets"], added["photos"]):
        command.add_argument("--backend", default="auto")
        command.add_argument("--precision", default="auto")
    for option, allowed, chosen in (("--sizes", SIZES, PRESET_SIZES), ("--presets", PRESETS, PRESETS)):
        added["presets"].add_argument(option, type=one_of(allowed), default=list(chosen), help="separated by commas")
    added["exports"].add_argument("--sizes", type=one_of(SIZES), default=list(EXPORT_SIZES), help="separated by commas")
    added["exports"].add_argument("--exports", type=one_of(MEASURED), default=list(MEASURED), help="with commas")
    added["encode"].add_argument("--batch-sizes", type=numbers, default=[1, 2, 4])
    added["score"].add_argument("root", type=Path, help="a DAVIS folder")
    added["score"].add_argument("--results", type=Path, help="a folder of results; by default, shifted annotations")
    added["score"].add_argument("--year", type=int, choices=(2016, 2017), default=2017)
    added["score"].add_argument("--split", default="val")
    added["score"].add_argument("--workers", type=int, help="threads of score_davis; by default, one a core")
    added["batch"].add_argument("--clips", type=int, default=40)
    added["memory"].add_argument("--objects", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.command == "report" and "score" in (arguments.only or ()) and arguments.davis is None:
        parser.error("score needs a folder of DAVIS: --davis DAVIS")
    return arguments


def main() -> None:
    """Run a benchmark; print its figures and save them."""
    arguments = parse()
    share_one_arena()
    try:
        found = json.dumps(COMMANDS[arguments.command](arguments), indent=1)
    except ModuleNotFoundError as error:
        sys.exit(f"{arguments.command} needs {error.name}: pip install -e '.[dev]'")
    print(found)
    if arguments.json:
        arguments.json.write_text(found + "\n")


if __name__ == "__main__":
    main()
