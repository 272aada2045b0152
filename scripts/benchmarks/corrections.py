"""Seconds that a correction takes in a session, beside the first propagation."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.clips import SIZES, label_map_of, make_clip
from benchmarks.measure import described, seconds
from persam_vos import Session

_SIZE = "480p"


def bench_corrections(arguments: argparse.Namespace) -> dict[str, Any]:
    """Propagate from the first frame, then correct the middle frame, the one at a quarter, and the last one.

    A correction is the mask that was found, without its outermost pixels.
    """
    rounds = [_measured(arguments) for _ in range(arguments.repeats)]
    medians = {name: round(statistics.median(each[name] for each in rounds), 2) for name in rounds[0]}
    shares = {
        name: round(statistics.median(each[name] / each["first"] for each in rounds), 2)
        for name in rounds[0]
        if name != "first"
    }
    machine = described(torch.device(arguments.device))
    return {"machine": machine, "size": _SIZE, "frames": arguments.frames, "seconds": medians, "of_first": shares}


def _measured(arguments: argparse.Namespace) -> dict[str, float]:
    count, width, height = arguments.frames, *SIZES[_SIZE]
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(str(arguments.video), clip, (width, height), count)
        settings = {"preset": arguments.preset, "device": arguments.device}
        with Session(clip, cache=folder, **settings) as session:
            first = session.add(0, mask=label_map_of(arguments.mask, width, height) == 1)
            _ = session[0]  # loads the model
            taken = {"first": seconds(session.propagate)}
            for name, frame in {"middle": count // 2, "quarter": count // 4, "last": count - 1}.items():
                mask = (session[frame].label_map == first.id).astype(np.uint8)
                first.correct(frame, mask=cv2.erode(mask, np.ones((5, 5))) == 1)
                taken[name] = seconds(session.propagate)
    return taken
