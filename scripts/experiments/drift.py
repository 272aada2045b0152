"""Drift over a long clip: the first frames of a sequence run forth and back, again and again.

    python scripts/experiments/drift.py DAVIS --year 2016 --cache ~/.cache/persam-vos/ablate --sequences camel,dog

prints the mean J of every sequence in its first and in its last repetition; a repetition is once forth and once back.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
from pathlib import Path

import numpy as np
from jobs import SPAWN, Job, encode_all, follow, scored
from variants import Clip

from persam_vos.evaluation import DavisDataset
from persam_vos.settings.video import TrackerSettings


def repetitions(job: Job, length: int, frames: int) -> np.ndarray:
    """Return the mean J of each repetition, over the objects of the annotated frame."""
    clip = job.load()
    assert clip is not None
    there = list(range(min(length, len(clip))))
    forth_and_back = there + there[-2:0:-1]
    order = [forth_and_back[i % len(forth_and_back)] for i in range(frames)]
    long = Clip([clip.frames[i] for i in order], [clip.label_maps[i] for i in order])
    records = (list(scored(long, [result])) for result, _ in follow(job, long))
    j = [np.mean([each["j"] for each in of_frame]) for of_frame in records]
    period = len(forth_and_back)
    # The annotated frame is not scored, nor is a repetition that the end cuts off.
    return np.array([np.mean(j[i : i + period]) for i in range(0, len(j) - period + 1, period)])


def main() -> None:
    """Read the command line, run, and print a line per sequence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="a DAVIS folder")
    parser.add_argument("--year", type=int, choices=(2016, 2017), default=2017)
    parser.add_argument("--cache", type=Path, required=True, help="folder for embeddings; ablate.py can share it")
    parser.add_argument("--method", default="memory")
    parser.add_argument("--sequences", help="only these, with commas")
    parser.add_argument("--length", type=int, default=50, help="frames of a run forth")
    parser.add_argument("--frames", type=int, default=1500, help="frames in all")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    dataset = DavisDataset(
        arguments.root, arguments.year, "val", sequences=arguments.sequences and arguments.sequences.split(",")
    )
    arguments.cache.mkdir(parents=True, exist_ok=True)
    settings = TrackerSettings(method=arguments.method)
    if not 2 <= arguments.length <= arguments.frames // 2:
        parser.error("--length is from 2 to half of --frames: the first and the last repetition are compared")
    jobs = [Job(dataset, sequence, "plain", settings, arguments.cache) for sequence in dataset.sequences]
    encode_all(jobs)
    print(f"{'':20} first   last    worst   change (mean J of a repetition)")
    with concurrent.futures.ProcessPoolExecutor(arguments.workers, SPAWN) as pool:
        futures = [pool.submit(repetitions, job, arguments.length, arguments.frames) for job in jobs]
        for job, future in zip(jobs, futures, strict=True):
            j = 100 * future.result()
            print(f"{job.sequence:20} {j[0]:5.1f}   {j[-1]:5.1f}   {j.min():5.1f}   {j[-1] - j[0]:+5.1f}", flush=True)


if __name__ == "__main__":
    main()
