"""Many short clips: by one process and by two, by Ray, and beside one run each."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.clips import make_clip
from benchmarks.measure import described
from persam_vos.batch.manifest import read_manifest
from persam_vos.batch.work import Models
from persam_vos.exports.run_record import peak_memory_mib
from persam_vos.media.masks.files import read_mask
from persam_vos.media.readers import open_video
from persam_vos.pipeline.malloc import share_one_arena
from persam_vos.pipeline.progress import NoProgress
from persam_vos.video import AnnotationFile, Prompting, run_video

# The ways to work on the clips, and their options.
WAYS: dict[str, tuple[str, ...]] = {
    "one process": (),
    "two processes": ("--jobs", "2"),
    "Ray, two actors": ("--ray", "--jobs", "2", "--threads", "1"),
}


def bench_batch(arguments: argparse.Namespace) -> dict[str, Any]:
    """Work on the same clips in all ways, one after the other, each in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = _clips(folder, arguments)
        found = {way: _batch(manifest, folder / "out", options, arguments) for way, options in WAYS.items()}
        found["run, in one process"] = _runs(manifest, folder / "runs", arguments.preset)
    seconds = {way: each["seconds"] for way, each in found.items()}
    one, two, actors, runs = seconds.values()
    return {
        "machine": described(torch.device("cpu")),
        "clips": arguments.clips,
        "frames_a_clip": arguments.frames,
        "preset": arguments.preset,
        "seconds": seconds,
        "seconds_to_begin": {way: each["begin"] for way, each in found.items()},
        "two_over_one": round(one / two, 3),
        "ray_over_jobs": round(two / actors, 3),
        "seconds_over_run_a_clip": round((one - runs) / arguments.clips, 3),
        "mib_a_worker": {way: each["mib"] for way, each in found.items()},
    }


def _clips(folder: Path, arguments: argparse.Namespace) -> Path:
    """Write the clips, all alike, and their manifest."""
    with open_video(arguments.video) as reader:
        size = reader.info.width, reader.info.height
    make_clip(str(arguments.video), folder / "clip.mp4", size, arguments.frames)
    shutil.copy(arguments.mask, folder / "mask.png")
    read_mask(folder / "mask.png", height=size[1], width=size[0])
    lines = [{"id": f"{number:05d}", "video": "clip.mp4", "mask": "mask.png"} for number in range(arguments.clips)]
    manifest = folder / "clips.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


def _batch(manifest: Path, output: Path, options: Sequence[str], arguments: argparse.Namespace) -> dict[str, float]:
    """Run ``persam-vos batch``; return its seconds, those until its first clip was begun, and a worker's memory."""
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "persam_vos", "batch", str(manifest), "-o", str(output), "--quiet"]
    started = time.perf_counter()
    subprocess.run([*command, "--preset", arguments.preset, *options], check=True)
    seconds = time.perf_counter() - started
    lines = [json.loads(line) for line in (output / "index.jsonl").read_text().splitlines()]
    assert len(lines) == arguments.clips
    told = json.loads((output / "batch.json").read_text())
    return {
        "seconds": round(seconds, 2),
        "begin": round(seconds - told["seconds"], 2),
        "mib": max(line["peak_memory_mib"] for line in lines),
    }


def _runs(manifest: Path, output: Path, preset: str) -> dict[str, float]:
    """Run each clip in one process with one network, and nothing else; return what ``_batch`` returns."""
    code = "import sys; from benchmarks.batch import run_each; run_each(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(manifest), str(output), preset]
    started = time.perf_counter()
    told = subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[1])
    seconds = time.perf_counter() - started
    return {"seconds": round(seconds, 2), "begin": 0.0, "mib": float(told.stdout)}


def run_each(manifest: str, output: str, preset: str) -> None:
    """Run each clip of a manifest in this process, and print its peak memory in MiB."""
    share_one_arena()
    models = Models()
    for clip in read_manifest(Path(manifest), config=None, flags={"preset": preset}).clips:
        assert clip.said.mask is not None
        run_video(
            clip.video,
            Prompting((AnnotationFile(clip.said.mask),)),
            Path(output, clip.id),
            clip.settings,
            NoProgress(),
            load=partial(models.engine, clip.settings),
        )
    print(peak_memory_mib())
