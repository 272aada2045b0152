"""Frames of a video file read forwards, backwards and in random order, beside plain reading."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clips import SIZES, make_clip
from benchmarks.measure import described, in_turns
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.readers import open_random_access, open_video

_SIZES = ("480p", "1080p")
_RANDOM_FRAMES = 24


def bench_frames(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure frames a second of each way, and the seconds until a file is open for random access."""
    rows = {}
    for size in _SIZES:
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "clip.mp4"
            make_clip(str(arguments.video), clip, SIZES[size], arguments.frames)
            rows[size] = _measured(clip, arguments.frames, arguments.repeats)
    return {"machine": described(torch.device("cpu")), "frames": arguments.frames, "sizes": rows}


def _measured(clip: Path, frames: int, repeats: int) -> dict[str, float]:
    indices = np.random.default_rng(0).permutation(frames)[:_RANDOM_FRAMES].tolist()
    with open_random_access(clip) as video:
        ways: dict[str, Callable[[], object]] = {
            "reading": lambda: _read(clip),
            "forwards": lambda: _walk(video, 1),
            "backwards": lambda: _walk(video, -1),
            "random": lambda: [video.frame(index) for index in indices],
            "open": lambda: open_random_access(clip).close(),
        }
        times = {name: statistics.median(taken) for name, taken in in_turns(ways, repeats).items()}
    counts = {"reading": frames, "forwards": frames, "backwards": frames, "random": len(indices)}
    rates = {name: round(count / times[name], 1) for name, count in counts.items()}
    return {**rates, "seconds_to_open": round(times["open"], 3)}


def _read(clip: Path) -> None:
    with open_video(clip) as reader:
        for _ in reader:
            pass


def _walk(video: RandomAccessVideo, step: int) -> None:
    for _ in video.frames(step=step):
        pass
