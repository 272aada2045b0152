"""From video to files: end to end, and every stage alone beside the least time that it could take."""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

from benchmarks.clips import SIZES, FirstFrames, label_map_of, make_clip
from benchmarks.measure import DATA, counted_flop, described, in_turns, matrix_rate, median_ratio
from benchmarks.networks import encoder_flop, published_parts
from persam_vos.exports.run_record import peak_memory_mib
from persam_vos.exports.select import open_writers
from persam_vos.masks import LabelMap
from persam_vos.media.encoding.video_formats import X264_OPTIONS
from persam_vos.media.frame import Frame
from persam_vos.media.readers import open_video
from persam_vos.pipeline.encoding import EncodeStage
from persam_vos.pipeline.timings import Timings
from persam_vos.sam import Decoder, Engine, ImageEmbedding, SamEncoder
from persam_vos.sam.checkpoints.loading import load_sam
from persam_vos.settings.video import Settings, load_settings
from persam_vos.video import Tracker, new_tracker, track_video

EXPORTS = ("masks", "overlay")
# Sizes of video at which numbers of objects are compared.
_SIZES = ("480p", "1080p", "4K")
# Frames on which the authors' way is timed.
_REFERENCE_FRAMES = 12


def bench_track(arguments: argparse.Namespace) -> dict[str, Any]:
    """Track a clip; report the time a frame, of each stage and in all, and peak memory."""
    settings = Settings(method=arguments.method, preset=arguments.preset, device=arguments.device)
    engine = Engine(settings)
    with open_video(str(arguments.video)) as reader:
        size = reader.info.width, reader.info.height
    found = _end_to_end(engine, arguments.video, arguments.mask, size, 1, arguments.frames)
    return {"machine": described(engine.device)} | found


def bench_sizes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run 480p, 1080p and 4K end to end with 1, 4 and 16 objects, then every stage by itself."""
    engine = Engine(Settings(method=arguments.method, preset=arguments.preset, device=arguments.device))
    runs, stages = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in _SIZES:
            size = SIZES[name]
            clip = Path(folder) / f"{name}.mp4"
            make_clip(str(arguments.video), clip, size, arguments.frames)
            for objects in (1, 4, 16):
                found = _end_to_end(engine, clip, arguments.mask, size, objects, arguments.frames)
                runs.append({"size": name} | found)
            stages.append({"size": name} | _stages(engine, clip, arguments.mask, size, arguments.repeats))
    return {"machine": described(engine.device), "method": arguments.method, "runs": runs, "stages": stages}


def _end_to_end(
    engine: Engine[Settings], clip: Path, mask: Path, size: tuple[int, int], objects: int, frames: int
) -> dict[str, Any]:
    label_map = label_map_of(mask, *size, objects)
    black = Frame(0, 0, Fraction(1), np.zeros((size[1], size[0], 3), np.uint8))
    list(EncodeStage(engine, Timings()).run(iter([black])))
    with tempfile.TemporaryDirectory() as folder, open_video(str(clip)) as reader:
        writers = open_writers(Path(folder), EXPORTS, info=reader.info)
        start = time.perf_counter()
        outcome = track_video(engine, FirstFrames(reader, frames), label_map, writers)
        elapsed = time.perf_counter() - start
    return {
        "width": size[0],
        "height": size[1],
        "objects": objects,
        "method": engine.settings.method,
        "preset": engine.settings.preset,
        "backend": f"{engine.backend} {engine.precision}",
        "frames": outcome.frames,
        "frames_per_second": round(outcome.frames / elapsed, 2),
        "ms_a_frame": round(1000 * elapsed / outcome.frames, 1),
        "ms_a_frame_by_stage": {
            name: round(1000 * total / outcome.frames, 1) for name, total in outcome.timings.seconds.items()
        },
        "peak_mib": peak_memory_mib(),
    }


def _stages(engine: Engine[Settings], clip: Path, mask: Path, size: tuple[int, int], repeats: int) -> dict[str, Any]:
    """Time each stage alone, in milliseconds a frame, beside FFmpeg or a product of matrices."""
    with open_video(str(clip)) as reader:
        frames, info = list(reader), reader.info
    label_map = label_map_of(mask, *size)
    embeddings = [engine.encoder.encode([frame])[0] for frame in frames]
    tracker = new_tracker(engine)
    results = [tracker.start(frames[0], label_map, embeddings[0])]
    results += [tracker.step(*pair) for pair in zip(frames[1:], embeddings[1:], strict=True)]

    def decode() -> None:
        with open_video(str(clip)) as reader:
            for _ in reader:
                pass

    def encode() -> None:
        for _ in EncodeStage(engine, Timings()).run(iter(frames)):
            pass

    def step() -> None:
        for pair in zip(frames, embeddings, strict=True):
            tracker.step(*pair)

    def write() -> None:
        with tempfile.TemporaryDirectory() as folder:
            writers = open_writers(Path(folder), EXPORTS, info=info)
            for writer in writers:
                for frame, result in zip(frames, results, strict=True):
                    writer.write(frame, result)
                writer.close()

    ways: dict[str, Callable[[], object]] = {
        "decode": decode,
        "encode": encode,
        "track": step,
        "write": write,
        "FFmpeg decodes": lambda: _only_decode(clip),
        "FFmpeg encodes": lambda: _only_encode(frames),
    }
    times = {name: statistics.median(each) / len(frames) for name, each in in_turns(ways, repeats).items()}
    floors = {
        "decode": times.pop("FFmpeg decodes"),
        "encode": _encoder_flop(engine, frames[0]) / matrix_rate(engine.precision, engine.device),
        "track": _tracker_flop(engine, label_map, frames[:4], embeddings[:4])
        / matrix_rate(engine.decoder.precision, engine.device),
        "write": times.pop("FFmpeg encodes"),
    }
    return _over_floors(times, floors)


def _over_floors(seconds: Mapping[str, float], floors: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return, of each stage, its time and its floor in milliseconds, and their ratio."""
    return {
        name: {
            "ms": round(1000 * each, 2),
            "floor_ms": round(1000 * floors[name], 2),
            "over_floor": round(each / floors[name], 2),
        }
        for name, each in seconds.items()
    }


def _encoder_flop(engine: Engine[Settings], frame: Frame) -> int:
    sam = load_sam(engine.settings.model, engine.checkpoint, engine.device)
    assert isinstance(engine.encoder, SamEncoder)
    return encoder_flop(sam, frame, square=engine.encoder.square)


def _tracker_flop(
    engine: Engine[Settings], label_map: LabelMap, frames: Sequence[Frame], embeddings: Sequence[ImageEmbedding]
) -> int:
    """Count the operations of a frame after the first, on average; PyTorch's decoder is used, as it can be counted."""
    decoder = Decoder(load_sam(engine.settings.model, engine.checkpoint, engine.device))
    tracker = Tracker.from_parts(engine.encoder, decoder, engine.settings)
    tracker.start(frames[0], label_map, embeddings[0])
    later = list(zip(frames, embeddings, strict=True))[1:]
    return counted_flop(lambda: [tracker.step(*pair) for pair in later]) // len(later)


def _only_decode(clip: Path) -> None:
    with av.open(str(clip)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(video=0):
            pass


def _only_encode(frames: list[Frame]) -> None:
    """Encode the frames with the overlay's options, without drawing."""
    with tempfile.TemporaryDirectory() as folder, av.open(str(Path(folder) / "x.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=X264_OPTIONS)
        stream.width, stream.height = frames[0].width // 2 * 2, frames[0].height // 2 * 2
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            even = np.ascontiguousarray(frame.rgb[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())


def bench_pipeline(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time the pipeline at 480p in turns with its encoder alone and with the authors' way of working."""
    flags = {name: getattr(arguments, name) for name in ("method", "preset", "backend", "precision", "device")}
    engine = Engine(Settings(**flags))
    size = SIZES["480p"]
    label_map = label_map_of(arguments.mask, *size)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(str(arguments.video), clip, size, arguments.frames)
        with open_video(str(clip)) as reader:
            frames = list(reader)
        few = frames[:_REFERENCE_FRAMES]

        def alone() -> None:
            for _ in EncodeStage(engine, Timings()).run(iter(frames)):
                pass

        ways: dict[str, Callable[[], object]] = {
            "encoder alone": alone,
            "pipeline": lambda: to_files(engine, clip, label_map),
        }
        if arguments.baseline == "reference" and importlib.util.find_spec("timm") is None:
            print("measured without the reference, which needs timm: pip install timm", file=sys.stderr)
        elif arguments.baseline == "reference":
            ways["reference"] = _reference(engine, few, label_map)
        times = in_turns(ways, arguments.repeats)
    if "reference" in times:
        # Every frame takes the same time in the reference, so a few stand for all.
        times["reference"] = [each * len(frames) / len(few) for each in times["reference"]]
    flop = _encoder_flop(engine, frames[0])
    rate = matrix_rate(engine.precision, engine.device)
    found = {
        "machine": described(engine.device),
        "frame_size": [size[1], size[0]],
        "frames": len(frames),
        "method": arguments.method,
        "preset": arguments.preset,
        "backend": engine.backend,
        "precision": engine.precision,
        "batch_size": engine.batch_size,
        "frames_per_second": {name: round(len(frames) / statistics.median(each), 2) for name, each in times.items()},
        "pipeline_over_encoder": round(median_ratio(times["encoder alone"], times["pipeline"]), 2),
        "encoder_gflop": round(flop / 1e9, 1),
        "matrix_gflop_per_second": round(rate / 1e9),
        "encoder_over_floor": round(statistics.median(times["encoder alone"]) / len(frames) * rate / flop, 2),
        "peak_mib": peak_memory_mib(),
    }
    if "reference" in times:
        found["pipeline_over_reference"] = round(median_ratio(times["reference"], times["pipeline"]), 2)
    return found


def to_files(engine: Engine[Settings], clip: Path, label_map: LabelMap) -> None:
    """Track a clip from file to files: label maps and the overlay."""
    with tempfile.TemporaryDirectory() as output, open_video(str(clip)) as reader:
        writers = open_writers(Path(output), EXPORTS, info=reader.info)
        track_video(engine, reader, label_map, writers)


def _reference(engine: Engine[Settings], frames: list[Frame], label_map: LabelMap) -> Callable[[], None]:
    """Return the authors' way: the whole square in eager PyTorch, then three decoder passes, one after the other."""
    eager, decoder = published_parts(engine)
    published = load_settings(DATA.parents[1] / "configs" / "persam-published.yaml", {})

    def run() -> None:
        tracker = Tracker.from_parts(eager, decoder, published)
        tracker.start(frames[0], label_map)
        for frame in frames[1:]:
            tracker.step(frame)

    return run


def bench_start(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time a run of one frame, from the start of its process to the end, with warm file caches."""
    with tempfile.TemporaryDirectory() as folder:
        with open_video(str(arguments.video)) as reader:
            Image.fromarray(next(iter(reader)).rgb).save(Path(folder) / "0.png")
        command = [sys.executable, "-m", "persam_vos", "run", folder, "--first-mask", str(arguments.mask), "--quiet"]

        def run() -> None:
            with tempfile.TemporaryDirectory() as output:
                subprocess.run([*command, "-o", output], check=True, stdout=subprocess.DEVNULL)

        (times,) = in_turns({"run": run}, arguments.repeats).values()
    return {
        "machine": described(torch.device("cpu")),
        "seconds_of_a_run_of_one_frame": round(statistics.median(times), 2),
    }
