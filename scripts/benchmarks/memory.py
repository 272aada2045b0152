"""Memory over a long clip, and memory by the number of objects."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.clips import SIZES, LoopedFrames, label_map_of
from benchmarks.measure import described
from persam_vos.exports.run_record import peak_memory_mib
from persam_vos.exports.select import EXPORTS, open_writers
from persam_vos.pipeline.progress import NoProgress
from persam_vos.results import FrameResult
from persam_vos.sam import Engine
from persam_vos.settings.video import Settings
from persam_vos.video import track_video

# Memory is compared from this frame on: by then, every buffer has its size.
_SETTLED_FRAMES = 200
_BLOCK_FRAMES = 500


def watch_memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """Track a looped clip, write every export, and record resident memory as it goes."""
    engine = Engine(Settings(method=arguments.method, preset=arguments.preset, device=arguments.device))
    page = os.sysconf("SC_PAGE_SIZE") / 2**20
    resident: list[float] = []

    class Watch(NoProgress):
        def advance(self, result: FrameResult) -> None:
            resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * page)
            if result.index % 200 == 0:
                print(f"frame {result.index:5}: {resident[-1]:7.0f} MiB", file=sys.stderr, flush=True)

    width, height = SIZES["480p"]
    with tempfile.TemporaryDirectory() as folder:
        reader = LoopedFrames(str(arguments.video), (width, height), arguments.frames)
        label_map = label_map_of(arguments.mask, width, height, arguments.objects)
        writers = open_writers(Path(folder), tuple(EXPORTS), info=reader.info)
        track_video(engine, reader, label_map, writers, Watch())
    settled = resident[min(_SETTLED_FRAMES, len(resident) // 2) :]
    # From frame to frame, memory depends on the state of each stage; the maximum of a block is steady.
    blocks = [max(settled[start : start + _BLOCK_FRAMES]) for start in range(0, len(settled), _BLOCK_FRAMES)]
    return {
        "machine": described(engine.device),
        "method": arguments.method,
        "preset": arguments.preset,
        "exports": list(EXPORTS),
        "objects": arguments.objects,
        "frames": len(resident),
        "mib_at_first": round(blocks[0]),
        "mib_at_last": round(blocks[-1]),
        "mib_grown": round(max(blocks) - blocks[0], 1),
        "peak_mib": peak_memory_mib(),
        "mib_at_most_in_500_frames": [round(each) for each in blocks],
    }


def compare_objects(arguments: argparse.Namespace) -> dict[str, Any]:
    """Record peak memory with 1 and with 32 objects, each in a process of its own."""
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for objects in (1, 32):
            file = Path(folder) / f"{objects}.json"
            command = ["memory", "--objects", str(objects), "--method", arguments.method, "--preset", arguments.preset]
            command += ["--device", arguments.device, "--frames", "16", "--json", str(file)]
            subprocess.run([sys.executable, sys.argv[0], *command], check=True)
            found = json.loads(file.read_text())
            peaks[objects] = found["peak_mib"]
    more = round(peaks[32] - peaks[1])
    return {"machine": found["machine"], "method": arguments.method, "peak_mib": peaks, "mib_more": more}
