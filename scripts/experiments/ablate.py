"""The worth of each ingredient of a method: switched off in turn, over sequences and variants of them.

Each sequence also runs backwards in time, at every third frame (fast motion), mirrored, at half resolution, and with an
occluder over the object for ten frames: a gain on the plain sequences alone is not general.

Embeddings are kept as float16 in a cache folder, with the results, so that an interrupted run continues and a changed
setting costs no encoding:

    python scripts/experiments/ablate.py DAVIS --year 2016 --cache ~/.cache/persam-vos/ablate
    python scripts/experiments/ablate.py DAVIS --year 2016 --cache CACHE --rows "memory;persam" --variants plain

With ``--write docs/accuracy.md:NAME`` the tables replace the lines of that file between ``<!-- NAME -->`` and
``<!-- end of NAME -->``.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import hashlib
import json
import multiprocessing
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml
from embeddings import CachedEncoder, fingerprint
from PIL import Image
from tqdm import tqdm
from variants import VARIANTS, Clip

import persam_vos
from persam_vos.evaluation import DavisDataset, score_label_maps
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.frame import Frame
from persam_vos.sam import Candidates, Decoder, SamEncoder
from persam_vos.sam.backends import EncoderBackend, open_backend
from persam_vos.sam.checkpoints import resolve_checkpoint
from persam_vos.sam.checkpoints.loading import load_sam
from persam_vos.sam.networks import Sam
from persam_vos.settings.video import PRESETS, TrackerSettings
from persam_vos.video import Tracker

# A fork of a process that has run PyTorch may hang.
SPAWN = multiprocessing.get_context("spawn")

# Objects x (J, F).
Scores = npt.NDArray[np.float64]

# Name of the row -> the settings that it changes.
ROWS: dict[str, dict[str, Any]] = {
    "memory": {},
    "memory, best": dict(PRESETS["best"]),
    "four passes, no closer look": {"passes": 4},
    "no matching": {"matching": 0.0},
    "no matching with the last frame": {"local_matching": 0.0},
    "no matching with its background": {"background_matching": 0.0},
    "no mask prompt": {"mask_prompt": 0.0},
    "mask prompt doubled": {"mask_prompt": 2.0},
    "no mask token of its own": {"mask_token": False},
    "no prior in the mask": {"prior_share": 0.0},
    "no more of it for a doubtful mask": {"doubt": 0.0},
    "no colours": {"colours": 0.0},
    "choice by agreement alone": {"quality_share": 0.0},
    "the best candidate alone": {"choice_temperature": 1e-4},
    "no update": {"memory_rate": 0.0},
    "half of the ridge from the annotated frame": {"first_share": 0.5},
    "no gate": {"gate": 0.0},
    "no presence": {"memory_presence": 0.0},
    "persam": {"method": "persam"},
    "persam-f": {"method": "persam-f"},
}


@dataclass(frozen=True)
class Job:
    """One sequence in one variant under one configuration."""

    dataset: DavisDataset
    sequence: str
    variant: str
    settings: TrackerSettings
    cache: Path

    @property
    def key(self) -> str:
        """Hash all that the result depends on: sequence, variant, settings, code and encoder."""
        paths = [*self.dataset.frames(self.sequence), *self.dataset.annotations(self.sequence)]
        files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        settings = self.settings.model_dump_json()
        text = (
            f"{self.dataset.root.resolve()} {self.sequence} {self.variant} {files} {settings} {code()} {fingerprint()}"
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def load(self) -> Clip:
        """Read the frames and the label maps of the variant."""
        frames = [np.asarray(Image.open(path).convert("RGB")) for path in self.dataset.frames(self.sequence)]
        truths = [self.dataset.label_map(path) for path in self.dataset.annotations(self.sequence)]
        truths[0] = self.dataset.first_label_map(self.sequence)
        return VARIANTS[self.variant](frames, truths, zlib.crc32(self.sequence.encode()))


@functools.cache
def code() -> str:
    """Hash the source of the package and of this experiment."""
    sources = sorted(Path(persam_vos.__file__).parent.rglob("*.py"))
    mine = [Path(__file__), *(Path(__file__).with_name(f"{name}.py") for name in ("embeddings", "variants"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources + mine)).hexdigest()


class CountingDecoder(Decoder):
    """A decoder that counts its passes."""

    passes = 0

    def decode(self, *args: Any, **kwargs: Any) -> Candidates:
        """Decode and count."""
        self.passes += 1
        return super().decode(*args, **kwargs)


@functools.cache
def networks() -> tuple[Sam, EncoderBackend, CountingDecoder]:
    """Return the network, the backend of its encoder and its decoder, loaded once a process."""
    sam = load_sam("mobile_sam", resolve_checkpoint("mobile_sam", None), torch.device("cpu"))
    # In float32, so that the cache is the same on every machine.
    return sam, open_backend("auto", sam, torch.device("cpu"), "float32"), CountingDecoder(sam)


def cached_encoder(job: Job) -> CachedEncoder:
    """Return an encoder over the cache, for the whole square unless the method is ``memory``."""
    sam, backend, _ = networks()
    return CachedEncoder(SamEncoder(sam, backend, square=job.settings.method != "memory"), job.cache)


def follow(job: Job, frames: Sequence[Rgb], truths: Sequence[LabelMap]) -> Iterator[tuple[Scores, float]]:
    """Track a clip; yield the scores and the milliseconds of every frame but the first."""
    torch.set_num_threads(1)
    encoder = cached_encoder(job)
    tracker = Tracker.from_parts(encoder, networks()[-1], job.settings)
    objects = int(truths[0].max())
    for index, (rgb, truth) in enumerate(zip(frames, truths, strict=True)):
        frame = Frame(index, index, Fraction(1, 24), np.ascontiguousarray(rgb))
        embedding = encoder.encode([frame])[0]
        start = time.perf_counter()
        result = tracker.step(frame, embedding) if index else tracker.start(frame, truth, embedding)
        milliseconds = 1000 * (time.perf_counter() - start)
        if index:
            yield score_label_maps(result.label_map, truth, objects), milliseconds


def work(job: Job) -> tuple[str, dict[str, Any]]:
    """Track and score one sequence; as in DAVIS, the first and the last frame are not scored."""
    decoder = networks()[-1]
    before = decoder.passes
    scores, milliseconds = zip(*follow(job, *job.load()), strict=True)
    return job.key, {
        "objects": np.mean(scores[:-1], axis=0).tolist(),
        "milliseconds": float(np.mean(milliseconds)),
        "passes": (decoder.passes - before) / len(scores),
    }


def encode_all(jobs: Sequence[Job]) -> None:
    """Encode the frames that are not in the cache."""
    distinct = {(job.sequence, job.variant, job.settings.method != "memory"): job for job in jobs}.values()
    for job in tqdm(distinct, desc="encode", unit="sequence"):
        encoder = cached_encoder(job)
        for index, rgb in enumerate(job.load()[0]):
            encoder.fill(Frame(index, index, Fraction(1, 24), np.ascontiguousarray(rgb)))


def run(jobs: Sequence[Job], workers: int) -> dict[str, dict[str, Any]]:
    """Return the result of every job; those of earlier runs come from ``results.jsonl`` in the cache."""
    path = jobs[0].cache / "results.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    done = {entry["key"]: entry for entry in map(json.loads, lines)}
    missing = [job for job in jobs if job.key not in done]
    if missing:
        encode_all(missing)
        with concurrent.futures.ProcessPoolExecutor(workers, SPAWN) as pool, path.open("a") as file:
            futures = [pool.submit(work, job) for job in missing]
            try:
                for future in tqdm(concurrent.futures.as_completed(futures), total=len(missing), desc="track"):
                    key, result = future.result()
                    done[key] = {"key": key, **result}
                    print(json.dumps(done[key]), file=file, flush=True)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return done


def table(jobs: dict[str, list[Job]], done: dict[str, dict[str, Any]], variants: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the table: a row per configuration."""
    yield "| | J | F | J&F | " + " | ".join(variants) + " | passes | ms |"
    yield "| --- |" + " ---: |" * (len(variants) + 5)
    for name, row in jobs.items():
        results = [(job.variant, done[job.key]) for job in row]
        by_variant = [np.concatenate([r["objects"] for v, r in results if v == each]).mean(axis=0) for each in variants]
        j, f = 100 * np.mean(by_variant, axis=0)
        cells = [f"{100 * each.mean():.1f}" for each in by_variant]
        passes, milliseconds = (np.mean([r[of] for _, r in results]) for of in ("passes", "milliseconds"))
        yield (
            f"| {name} | {j:.1f} | {f:.1f} | {(j + f) / 2:.1f} | "
            + " | ".join(cells)
            + f" | {passes:.1f} | {milliseconds:.0f} |"
        )


def per_sequence(jobs: dict[str, list[Job]], done: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table of J&F per object of the plain sequences."""
    plain = {name: [job for job in row if job.variant == "plain"] for name, row in jobs.items()}
    yield "| object | " + " | ".join(plain) + " |"
    yield "| --- |" + " ---: |" * len(plain)
    for i, job in enumerate(next(iter(plain.values()))):
        for k in range(len(done[job.key]["objects"])):
            scores = [100 * np.mean(done[row[i].key]["objects"][k]) for row in plain.values()]
            yield f"| {job.sequence} {k + 1} | " + " | ".join(f"{each:.1f}" for each in scores) + " |"


def around(place: str) -> tuple[Path, str, str]:
    """Return the file of ``FILE:NAME``, its text up to the first mark, and its text from the second mark on."""
    file, _, name = place.rpartition(":")
    path, begin, end = Path(file), f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if text.count(begin) != 1 or text.partition(begin)[2].count(end) != 1:
        raise SystemExit(f"--write {place}: FILE must hold {begin.strip()} and after it {end}, once each")
    head, _, rest = text.partition(begin)
    return path, head + begin, end + rest.partition(end)[2]


def write_between(place: str, lines: Sequence[str]) -> None:
    """Put lines between the two marks of ``FILE:NAME``; the file is replaced whole, or not at all."""
    path, head, tail = around(place)
    part = path.with_suffix(".part")
    part.write_text(head + "".join(f"{line}\n" for line in lines) + tail, encoding="utf-8")
    part.replace(path)


def main() -> None:
    """Read the command line, run, print the tables, and write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="a DAVIS folder")
    parser.add_argument("--year", type=int, choices=(2016, 2017), default=2017)
    parser.add_argument("--cache", type=Path, required=True, help="folder for embeddings (7 MB a frame) and results")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="with commas; of " + ", ".join(VARIANTS))
    parser.add_argument("--rows", help="with semicolons; of " + "; ".join(ROWS))
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="one more row with this setting"
    )
    parser.add_argument("--sequences", help="only these, with commas")
    parser.add_argument("--write", metavar="FILE:NAME", help="also put the tables between the marks NAME of a file")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    if arguments.write:
        around(arguments.write)  # a wrong name is refused before the hours of work
    rows = {name: ROWS.get(name) for name in (arguments.rows.split(";") if arguments.rows else ROWS)}
    variants = arguments.variants.split(",")
    for wrong in (*(name for name, row in rows.items() if row is None), *(v for v in variants if v not in VARIANTS)):
        parser.error(f"there is no {wrong!r}; rows are {'; '.join(ROWS)}; variants are {', '.join(VARIANTS)}")
    for text in arguments.set:
        rows[text] = yaml.safe_load(text.replace("=", ": ").replace(",", "\n"))
    dataset = DavisDataset(
        arguments.root, arguments.year, "val", sequences=arguments.sequences and arguments.sequences.split(",")
    )
    arguments.cache.mkdir(parents=True, exist_ok=True)
    jobs = {
        name: [
            Job(dataset, sequence, variant, TrackerSettings(**row or {}), arguments.cache)
            for variant in variants
            for sequence in dataset.sequences
        ]
        for name, row in rows.items()
    }
    done = run([job for row in jobs.values() for job in row], arguments.workers)
    lines = list(table(jobs, done, variants))
    if "plain" in variants:
        lines += ["", *per_sequence(jobs, done)]
    print("\n".join(lines))
    if arguments.write:
        write_between(arguments.write, lines)


if __name__ == "__main__":
    main()
