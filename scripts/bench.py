"""Speed and memory, measured.

    python scripts/bench.py score path/to/DAVIS [--results FOLDER] [--repeats 5] [--workers N]
    python scripts/bench.py track [VIDEO MASK] [--method memory] [--preset fast] [--frames 20]
    python scripts/bench.py encode [--repeats 9]
    python scripts/bench.py objects [--method memory]
    python scripts/bench.py pipeline [VIDEO MASK] [--frames 8] [--repeats 5] [--json FILE]
    python scripts/bench.py memory [VIDEO MASK] [--method memory] [--frames 5000]

``score``: how much faster ``score_davis`` is than the way the reference implementation works, which is
``tests/official_davis.py``. Both score the same folders and must agree to 1e-9; then each is timed in turns, so that
other load on the machine hits both, and the medians are compared.

``track``: seconds per frame of each stage, and peak memory, on the clip that ships or another one.

``encode``: the encoder by every backend that is installed, and over the whole square as the authors run it.

``objects``: what more objects cost, encoding aside.

``pipeline``: frames per second from video to files, against the encoder alone, and against the way the authors' script
works: the whole square in eager PyTorch, then three decoder passes, one after the other; the decoder is this project's,
which is faster than theirs. All on the CPU. Encoder time is also compared with what its multiplications would take at
the rate of a plain product of matrices, and a run of one frame is timed from the start of its process to the end.

``memory``: how resident memory grows over a long clip, made by looping a short one.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from persam_vos.annotation import read_annotation
from persam_vos.config import Settings, load_settings
from persam_vos.davis import DavisScores, score_davis
from persam_vos.davis_dataset import DavisDataset
from persam_vos.decoder import Decoder
from persam_vos.encoder import ImageEmbedding, SamEncoder
from persam_vos.errors import SettingsError
from persam_vos.frame import Frame, Geometry
from persam_vos.label_png import read_label_map
from persam_vos.models.backends import Backend, TorchBackend, open_backend
from persam_vos.models.checkpoints import resolve_checkpoint
from persam_vos.models.loading import load_sam
from persam_vos.models.sam import Sam
from persam_vos.objects import FrameResult
from persam_vos.pipeline import Engine, track
from persam_vos.reader import FrameReader, open_reader
from persam_vos.record import machine, peak_memory_mib
from persam_vos.tracker import Tracker
from persam_vos.writer import open_writers

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import official_davis

DATA = Path(__file__).resolve().parents[1] / "persam_vos" / "data"

SHIFT = (3, 5)
"""Rows and columns by which the default results are off."""


def make_results(dataset: DavisDataset, folder: Path) -> None:
    """Write the annotations of a split, shifted, as if a tracker had made them."""
    for sequence in dataset.sequences:
        (folder / sequence).mkdir()
        for path in dataset.annotations(sequence):
            image = Image.fromarray(np.roll(read_label_map(path), SHIFT, (0, 1)))
            image.putpalette([value for n in range(256) for value in (n, 37 * n % 256, 101 * n % 256)])
            image.save(folder / sequence / path.name)


def assert_equal(scores: DavisScores, expected: dict[tuple[str, int], tuple[tuple[float, ...], ...]]) -> None:
    """Stop if the two scorers do not agree."""
    assert len(scores.objects) == len(expected)
    for one in scores.objects:
        for measure, other in zip((one.j, one.f), expected[one.sequence, one.object_id], strict=True):
            np.testing.assert_allclose((measure.mean, measure.recall, measure.decay), other, rtol=0, atol=1e-9)


def seconds(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(dataset: DavisDataset, results: Path, arguments: argparse.Namespace) -> None:
    """Time both scorers in turns and print the medians."""
    annotations = dataset.root / "Annotations" / dataset.resolution
    frames = sum(len(dataset.annotations(sequence)) - 2 for sequence in dataset.sequences)

    def ours() -> DavisScores:
        return score_davis(results, dataset.root, year=dataset.year, split=dataset.split, workers=arguments.workers)

    def reference() -> dict[tuple[str, int], tuple[tuple[float, ...], ...]]:
        return official_davis.score(results, annotations, dataset.sequences, dataset.year)

    scores = ours()
    assert_equal(scores, reference())  # and both are warm now
    print(f"{len(dataset.sequences)} sequences, {frames} scored frames, {len(scores.objects)} objects; figures agree")
    print(f"J&F-Mean {scores.jf_mean:.6f}")
    pairs = [(seconds(reference), seconds(ours)) for _ in range(arguments.repeats)]
    for name, i in (("reference", 0), ("score_davis", 1)):
        wall, cpu = (statistics.median(pair[i][clock] for pair in pairs) for clock in (0, 1))
        print(
            f"{name:12} {wall:7.2f} s by the clock, {cpu:7.2f} s of processor, {1000 * wall / frames:6.2f} ms a frame"
        )
    ratios = [[pair[0][clock] / pair[1][clock] for pair in pairs] for clock in (0, 1)]
    print(f"ratio        {statistics.median(ratios[0]):7.1f}   by the clock, {statistics.median(ratios[1]):7.1f}")


def track_clip(arguments: argparse.Namespace) -> None:
    """Track some frames of a clip, write every export, and print seconds per frame and memory."""
    settings = Settings(method=arguments.method, preset=arguments.preset, export=("masks", "overlay", "cutout"))
    engine = Engine(settings)
    with tempfile.TemporaryDirectory() as folder, open_reader(arguments.video) as reader:
        height, width = reader.info.height, reader.info.width
        label_map = read_annotation(arguments.mask, height=height, width=width)
        writers = open_writers(Path(folder), settings.export, info=reader.info)
        engine.encoder.encode([Frame(0, 0, Fraction(1), np.zeros((height, width, 3), np.uint8))])  # warm-up
        start = time.perf_counter()
        outcome = track(engine, FirstFrames(reader, arguments.frames), label_map, writers)
        elapsed = time.perf_counter() - start
    print(f"{machine(engine.device.type)}")
    print(
        f"{width} x {height}, {outcome.frames} frames, {settings.method}, {settings.preset},"
        f" peak memory {peak_memory_mib()} MiB"
    )
    for name, total in outcome.timings.seconds.items():
        print(f"{name:8}{total / outcome.frames:8.3f} s a frame")
    print(f"{'all':8}{elapsed / outcome.frames:8.3f} s a frame")


def track_objects(arguments: argparse.Namespace) -> None:
    """Track 1, 4, 16 and 32 squares on features that tell them apart, and print milliseconds per frame and ratios."""
    engine = Engine(Settings(method=arguments.method))
    frame = Frame(0, 0, Fraction(1), np.zeros((576, 1024, 3), np.uint8))
    kinds = torch.zeros(64, 64, dtype=torch.long)
    label_map = np.zeros((576, 1024), np.uint8)
    for i in range(32):
        row, column = 1 + 8 * (i // 8), 1 + 8 * (i % 8)
        kinds[row : row + 6, column : column + 6] = i + 1
        label_map[16 * row : 16 * (row + 6), 16 * column : 16 * (column + 6)] = i + 1
    blocks = [torch.eye(size)[kinds].permute(2, 0, 1).contiguous() for size in (256, 128, 160, 320)]
    embedding = ImageEmbedding(blocks[0], Geometry(576, 1024), tuple(block[:, :36] for block in blocks[1:]))
    print(
        f"{machine(engine.device.type)}\n"
        f"{engine.settings.method}, median of {arguments.repeats} frames, without encoding"
    )
    alone = 0.0
    for count in (1, 4, 16, 32):
        tracker = engine.new_tracker()
        tracker.start(frame, np.where(label_map <= count, label_map, 0), embedding)
        tracker.step(frame, embedding)
        median = statistics.median(seconds(lambda: tracker.step(frame, embedding))[0] for _ in range(arguments.repeats))  # noqa: B023
        alone = alone or median
        print(f"{count:3} objects {1000 * median:8.1f} ms a frame, {median / alone:5.2f} times one object")


def encode_frames(arguments: argparse.Namespace) -> None:
    """Encode a 480p frame in turns by each backend, and print milliseconds and ratios."""
    sam = load_sam("mobile_sam", resolve_checkpoint("mobile_sam"), torch.device("cpu"))
    rgb = np.random.default_rng(0).integers(0, 256, (480, 854, 3), dtype=np.uint8)
    frame = Frame(0, 0, Fraction(1), rgb)
    ways = {"torch, square": SamEncoder(sam, TorchBackend(sam), square=True)}
    for name, precision in itertools.product(("torch", "onnxruntime", "openvino"), ("float32", "bfloat16")):
        with contextlib.suppress(SettingsError):
            ways[f"{name}, {precision}"] = SamEncoder(sam, open_backend(name, sam, torch.device("cpu"), precision))
    for encoder in ways.values():
        encoder.encode([frame])
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.repeats):
        for name, encoder in ways.items():
            times[name].append(seconds(lambda: encoder.encode([frame]))[0])  # noqa: B023
    medians = {name: statistics.median(each) for name, each in times.items()}
    print(f"{machine('cpu')}\n854 x 480, median of {arguments.repeats} frames")
    for name, median in medians.items():
        print(
            f"{name:22} {1000 * median:7.0f} ms, {medians['torch, square'] / median:5.2f} times as fast as the square"
        )


class EagerBackend(Backend):
    """The network as it is, in PyTorch's own layout."""

    name, precision = "eager", "float32"

    def __init__(self, sam: Sam) -> None:
        self._network = sam.image_encoder

    def run(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Embed a batch."""
        return tuple(self._network(pictures))


def matrix_rate(dtype: torch.dtype) -> float:
    """Measure multiplications and additions per second of a product of matrices as large as the encoder's."""
    a, b = torch.randn(4096, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
    return 2 * 4096 * 1024 * 1024 / min(seconds(lambda: a @ b)[0] for _ in range(20))


def run_pipeline(arguments: argparse.Namespace) -> None:
    """Time the pipeline, its encoder alone, and the authors' way in turns, and print and keep the medians."""
    flags = {name: getattr(arguments, name) for name in ("method", "backend", "precision")} | {"device": "cpu"}
    engine = Engine(load_settings(None, flags))
    with open_reader(arguments.video) as reader:
        frames = list(FirstFrames(reader, arguments.frames))
        label_map = read_annotation(arguments.mask, height=reader.info.height, width=reader.info.width)
    plain = load_sam("mobile_sam", engine.checkpoint, torch.device("cpu"))
    eager, decoder = SamEncoder(plain, EagerBackend(plain), square=True), Decoder(plain)
    published = load_settings(DATA.parents[1] / "configs" / "persam-published.yaml", {})

    def alone() -> None:
        for frame in frames:
            engine.encoder.encode([frame])

    def whole() -> None:
        with tempfile.TemporaryDirectory() as folder, open_reader(arguments.video) as reader:
            writers = open_writers(Path(folder), ("masks", "overlay"), info=reader.info)
            track(engine, FirstFrames(reader, arguments.frames), label_map, writers)

    def authors() -> None:
        tracker = Tracker(eager, decoder, published)
        tracker.start(frames[0], label_map)
        for frame in frames[1:]:
            tracker.step(frame)

    def process() -> None:
        with tempfile.TemporaryDirectory() as folder:
            Image.fromarray(frames[0].rgb).save(Path(folder) / "0.png")
            command = [
                sys.executable,
                "-m",
                "persam_vos",
                "run",
                folder,
                "--first-mask",
                str(arguments.mask),
                "--quiet",
            ]
            with tempfile.TemporaryDirectory() as output:
                subprocess.run([*command, "-o", output], check=True, stdout=subprocess.DEVNULL)

    ways = {"encoder alone": alone, "pipeline": whole, "authors' way": authors}
    for way in (*ways.values(), process):
        way()
    rounds = [{name: len(frames) / seconds(way)[0] for name, way in ways.items()} for _ in range(arguments.repeats)]
    fps = {name: statistics.median(each[name] for each in rounds) for name in ways}
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        rows, columns = (
            1024 if engine.encoder.square else plain.encoded_length(side)
            for side in Geometry(*frames[0].rgb.shape[:2]).resized
        )
        plain.image_encoder(torch.zeros(1, 3, rows, columns))
    rate = matrix_rate(getattr(torch, engine.precision))
    start_up = statistics.median(seconds(process)[0] for _ in range(arguments.repeats))
    found = {
        "machine": machine(engine.device.type),
        "frame_size": frames[0].rgb.shape[:2],
        "method": arguments.method,
        "backend": engine.backend,
        "precision": engine.precision,
        "frames_per_second": {name: round(value, 3) for name, value in fps.items()},
        "pipeline_over_authors": round(statistics.median(r["pipeline"] / r["authors' way"] for r in rounds), 2),
        "pipeline_over_encoder": round(statistics.median(r["pipeline"] / r["encoder alone"] for r in rounds), 3),
        "encoder_gflop": round(counter.get_total_flops() / 1e9, 1),
        "matrix_gflop_per_second": round(rate / 1e9, 1),
        "encoder_over_floor": round(rate / counter.get_total_flops() / fps["encoder alone"], 2),
        "seconds_of_a_run_of_one_frame": round(start_up, 2),
        "peak_memory_mib": peak_memory_mib(),
    }
    print(json.dumps(found, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def watch_memory(arguments: argparse.Namespace) -> None:
    """Track a looped clip, write every export, and print resident memory as it goes."""
    engine = Engine(Settings(method=arguments.method))
    page = os.sysconf("SC_PAGE_SIZE") / 2**20
    resident: list[float] = []

    def look(result: FrameResult) -> None:
        resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * page)
        if result.index % 100 == 0:
            print(f"frame {result.index:5}: {resident[-1]:7.0f} MiB", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        reader = LoopedFrames(arguments.video, arguments.frames)
        label_map = read_annotation(arguments.mask, height=reader.info.height, width=reader.info.width)
        writers = open_writers(Path(folder), ("masks", "overlay", "cutout"), info=reader.info)
        track(engine, reader, label_map, writers, on_frame=look)
    start = min(200, len(resident) // 2)
    print(f"{machine(engine.device.type)}\n{arguments.method}, {len(resident)} frames of {label_map.shape}")
    print(f"growth after frame {start}: {max(resident[start:]) - resident[start]:.0f} MiB")


class LoopedFrames:
    """A reader that gives a clip again and again, decoded anew each time."""

    def __init__(self, path: str, count: int) -> None:
        self._path, self._count = path, count
        self.warnings: list[str] = []
        with open_reader(path) as reader:
            self.info = dataclasses.replace(reader.info, frame_count=count)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, at a constant rate."""
        step = round(1 / self.info.frame_rate / self.info.time_base)
        index = 0
        while True:
            with open_reader(self._path) as reader:
                for frame in reader:
                    if index == self._count:
                        return
                    yield dataclasses.replace(frame, index=index, pts=index * step)
                    index += 1

    def close(self) -> None:
        """Nothing is left open."""


class FirstFrames:
    """A reader that ends after some frames."""

    def __init__(self, reader: FrameReader, count: int) -> None:
        self.info, self.warnings = reader.info, reader.warnings
        self._frames = itertools.islice(iter(reader), count)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames."""
        return self._frames

    def close(self) -> None:
        """Leave the reader to its owner."""


def main() -> None:
    """Read the command line and run a benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    score = commands.add_parser("score", help="score_davis against the reference implementation's way")
    score.add_argument("root", type=Path, help="a DAVIS folder")
    score.add_argument("--results", type=Path, help="a folder of results; by default the annotations, shifted")
    score.add_argument("--year", type=int, choices=(2016, 2017), default=2017)
    score.add_argument("--split", default="val")
    score.add_argument("--repeats", type=int, default=5)
    score.add_argument("--workers", type=int, help="threads of score_davis; by default one per core")
    tracking = commands.add_parser("track", help="seconds per frame of each stage, and memory")
    tracking.add_argument("video", nargs="?", default=str(DATA / "bunny.mp4"))
    tracking.add_argument("mask", nargs="?", type=Path, default=DATA / "bunny_mask.png")
    tracking.add_argument("--method", default="memory")
    tracking.add_argument("--preset", default="fast")
    tracking.add_argument("--frames", type=int, default=20)
    objects = commands.add_parser("objects", help="what more objects cost")
    objects.add_argument("--method", default="memory")
    objects.add_argument("--repeats", type=int, default=9)
    encode = commands.add_parser("encode", help="the encoder, by backend")
    encode.add_argument("--repeats", type=int, default=9)
    pipeline = commands.add_parser("pipeline", help="from video to files, against the encoder and the authors' way")
    memory = commands.add_parser("memory", help="resident memory over a long clip")
    for command, frames in ((pipeline, 8), (memory, 5000)):
        command.add_argument("video", nargs="?", default=str(DATA / "bunny.mp4"))
        command.add_argument("mask", nargs="?", type=Path, default=DATA / "bunny_mask.png")
        command.add_argument("--method", default="memory")
        command.add_argument("--frames", type=int, default=frames)
    pipeline.add_argument("--backend", default="auto")
    pipeline.add_argument("--precision", default="auto")
    pipeline.add_argument("--repeats", type=int, default=5)
    pipeline.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    if arguments.command == "pipeline":
        run_pipeline(arguments)
        return
    if arguments.command == "memory":
        watch_memory(arguments)
        return
    if arguments.command == "encode":
        encode_frames(arguments)
        return
    if arguments.command == "objects":
        track_objects(arguments)
        return
    if arguments.command == "track":
        track_clip(arguments)
        return
    dataset = DavisDataset(arguments.root, arguments.year, arguments.split)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.results is None:
            make_results(dataset, Path(folder))
        compare(dataset, arguments.results or Path(folder), arguments)


if __name__ == "__main__":
    main()
