"""Every preset from video to files, at the sizes that most videos have."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.clips import SIZES, label_map_of, make_clip
from benchmarks.measure import described, in_turns, median_ratio
from benchmarks.pipeline import to_files
from persam_vos.exports.run_record import peak_memory_mib
from persam_vos.sam import Engine
from persam_vos.settings.video import Settings

PRESET_SIZES = ("480p", "720p", "1080p")
DEFAULT = str(Settings.model_fields["preset"].default)
# Frames of the run before the timed ones, in which networks are compiled for the size.
_WARM_UP_FRAMES = 6


def bench_presets(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the chosen presets from video to files at the chosen sizes, in turns with the default."""
    flags = {name: getattr(arguments, name) for name in ("backend", "precision", "device")}
    engines = {
        preset: Engine(Settings(preset=preset, **flags))
        for preset in {DEFAULT: None, **dict.fromkeys(arguments.presets)}
    }
    sizes = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.sizes:
            label_map = label_map_of(arguments.mask, *SIZES[name])
            clip, short = Path(folder) / f"{name}.mp4", Path(folder) / f"{name}-short.mp4"
            for path, count in ((clip, arguments.frames), (short, _WARM_UP_FRAMES)):
                make_clip(str(arguments.video), path, SIZES[name], count)
            ways: dict[str, Callable[[], object]] = {}
            for preset, engine in engines.items():
                to_files(engine, short, label_map)
                ways[preset] = partial(to_files, engine, clip, label_map)
            sizes[name] = _compared(in_turns(ways, arguments.repeats, warm_up=False), arguments.frames)
    engine = engines[DEFAULT]
    return {
        "machine": described(engine.device),
        "method": engine.settings.method,
        "backend": engine.backend,
        "precision": engine.precision,
        "frames": arguments.frames,
        "repeats": arguments.repeats,
        "default": DEFAULT,
        "presets": list(engines),
        "sizes": sizes,
        "peak_mib": peak_memory_mib(),
    }


def _compared(times: Mapping[str, list[float]], frames: int) -> dict[str, dict[str, float]]:
    """Return speed and time a frame of each preset, and its speed over the default's.

    Args:
        times: Seconds of every repeat, by preset.
        frames: Of the clip.
    """
    return {
        preset: {
            "frames_per_second": round(frames / statistics.median(each), 2),
            "seconds_a_frame": round(statistics.median(each) / frames, 3),
            "times_as_fast_as_default": round(median_ratio(times[DEFAULT], each), 2),
        }
        for preset, each in times.items()
    }
