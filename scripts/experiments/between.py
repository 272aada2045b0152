"""What it costs not to encode every frame: the preset ``quick`` beside the default, clip by clip.

    python scripts/experiments/between.py DAVIS --year 2016 --cache ~/.cache/persam-vos/ablate --variants plain
    python scripts/experiments/between.py DAVIS --year 2016 --cache CACHE --variants new --set flow_agreement=0.8

prints, of each kind of clips and each clip, J&F of both, their difference, the share of frames that were encoded, steps
of the tracker a frame, and milliseconds a frame without encoding. Each ``--set`` is one more setting of ``quick``.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ablate import sequences_of, settings_of
from embeddings import CachedEncoder
from jobs import SPAWN, Job, cached_encoder, encode_all, frames_of, networks, run, scored
from tables import markdown, object_scores
from variants import GROUPS, VARIANTS, Clip, names_of

from persam_vos.evaluation import DavisDataset
from persam_vos.files import whole_file
from persam_vos.media.frame import Frame
from persam_vos.results import FrameResult
from persam_vos.sam import ImageEmbedding
from persam_vos.settings.video import PRESETS, TrackerSettings
from persam_vos.video import GapTracker, Tracker


class CountingEncoder:
    """An encoder that counts its frames and its seconds."""

    def __init__(self, encoder: CachedEncoder) -> None:
        self._encoder = encoder
        self.frames, self.seconds = 0, 0.0

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        """Encode and count."""
        start = time.perf_counter()
        embeddings = self._encoder.encode(frames)
        self.frames, self.seconds = self.frames + len(frames), self.seconds + time.perf_counter() - start
        return embeddings


def follow(job: Job, clip: Clip, encoder: CountingEncoder) -> Iterator[FrameResult]:
    """Track a clip as the pipeline does; yield the result of every frame."""
    every = job.settings.encode_every
    tracker = Tracker.from_parts(encoder, networks()[-1], job.settings)
    first_mask = clip.label_maps[0] if clip.first_mask is None else clip.first_mask
    gaps = GapTracker(tracker, first_mask, encoder, job.settings)
    for frame in frames_of(clip):
        for _, result in gaps.push(frame, None if frame.index % every else encoder.encode([frame])[0]):
            yield result
    for _, result in gaps.finish():
        yield result


def work(job: Job) -> dict[str, Any]:
    """Track and score one clip; the first frame, which is learnt from, is not timed."""
    torch.set_num_threads(1)
    clip = job.load()
    if clip is None:
        return {"records": []}
    decoder, encoder = networks()[-1], CountingEncoder(cached_encoder(job))
    results = follow(job, clip, encoder)
    next(results)
    start, passes, learnt_from = time.perf_counter() - encoder.seconds, decoder.passes, encoder.frames
    found = list(results)
    seconds = time.perf_counter() - start - encoder.seconds
    return {
        "frames": len(clip),
        "records": list(scored(clip, found)),
        # The first frame counts once, though its nearer view is encoded as well.
        "encoded": (1 + encoder.frames - learnt_from) / len(clip),
        "steps": (decoder.passes - passes) / job.settings.passes / len(found),
        "milliseconds": 1000 * seconds / len(found),
    }


def run_between(jobs: Sequence[Job], workers: int) -> dict[str, dict[str, Any]]:
    """Return the result of every job; those of earlier runs come from the folder ``between`` of the cache."""
    files = {job.key: job.cache / "between" / f"{job.key}.json" for job in jobs}
    files[jobs[0].key].parent.mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if not files[job.key].exists()]
    encode_all(missing)
    with concurrent.futures.ProcessPoolExecutor(max(min(workers, len(missing)), 1), SPAWN) as pool:
        for job, result in zip(missing, pool.map(work, missing), strict=True):
            with whole_file(files[job.key], shared=True) as part:
                part.write_text(json.dumps(result, default=float))
    return {key: json.loads(file.read_text()) for key, file in files.items()}


def table(pairs: Sequence[tuple[Job, Mapping[str, Any], Mapping[str, Any]]]) -> Iterator[str]:
    """Yield the lines of a table: all clips, each variant, each clip.

    Args:
        pairs: Of each clip: its job, its result with every frame encoded, and with ``quick``.
    """
    grid = [["clips", "default", "quick", "difference", "encoded", "steps", "ms"]]
    variants = list(dict.fromkeys(job.variant for job, _, _ in pairs))
    kinds = [_figures([pair for pair in pairs if pair[0].variant == each]) for each in variants]
    grid.append(_cells("**mean of the kinds**", np.mean(kinds, axis=0)))
    grid += [_cells(f"**{name}**", kind) for name, kind in zip(variants, kinds, strict=True)]
    grid += [_cells(f"{pair[0].variant} {pair[0].sequence}", _figures([pair])) for pair in pairs]
    yield from markdown(grid)


def _figures(pairs: Sequence[tuple[Job, Mapping[str, Any], Mapping[str, Any]]]) -> list[float]:
    """Return J&F of both over the objects, and the means of encoded frames, steps and milliseconds over the clips."""
    jf = [100 * float(np.concatenate([object_scores(pair[i], visible=False) for pair in pairs]).mean()) for i in (1, 2)]
    return jf + [float(np.mean([pair[2][of] for pair in pairs])) for of in ("encoded", "steps", "milliseconds")]


def _cells(name: str, figures: Sequence[float]) -> list[str]:
    default, quick, encoded, steps, milliseconds = figures
    change = f"{quick - default:+.1f}"
    return [name, f"{default:.1f}", f"{quick:.1f}", change, f"{encoded:.2f}", f"{steps:.2f}", f"{milliseconds:.0f}"]


def main() -> None:
    """Read the command line, run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="a DAVIS folder")
    parser.add_argument("--year", type=int, choices=(2016, 2017), default=2017)
    parser.add_argument("--cache", type=Path, required=True, help="folder for embeddings; ablate.py can share it")
    parser.add_argument("--variants", default="plain", help=f"with commas; of {', '.join([*GROUPS, *VARIANTS])}")
    parser.add_argument("--sequences", help="only these, with commas")
    parser.add_argument("--split", choices=("development", "held-out", "all"), default="all", help="of the sequences")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="settings of quick, with commas"
    )
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    changes = dict(PRESETS["quick"])
    for text in arguments.set:
        changes |= settings_of(text)
    make = functools.partial(Job, DavisDataset(arguments.root, arguments.year, "val"))
    names = [(name, kind) for kind in names_of(arguments.variants) for name in sequences_of(arguments)]
    default = [make(name, kind, TrackerSettings(), arguments.cache) for name, kind in names]
    quick = [make(name, kind, TrackerSettings(**changes), arguments.cache) for name, kind in names]
    whole, between = run(default, arguments.workers), run_between(quick, arguments.workers)
    pairs = [(b, whole[a.key], between[b.key]) for a, b in zip(default, quick, strict=True)]
    print("\n".join(table([pair for pair in pairs if pair[1]["records"]])))


if __name__ == "__main__":
    main()
