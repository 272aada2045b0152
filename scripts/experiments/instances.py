"""Precision and recall of all instances of an object, in scenes whose truth is exact (see scenes.py).

    python scripts/experiments/instances.py PERSEG --davis DAVIS [--set KEY=VALUE ...]

Objects are cut out of photos other than their reference, scaled, turned, mirrored, and pasted on photos of other
objects, beside some of these. A mask of IoU above 0.5 finds an instance. Per kind of scene the table gives precision,
recall, F1, mean IoU of the instances found, mean error of the count, and panoptic quality (Kirillov et al., arXiv
1801.00868): sum of IoUs / (found + half of the missed + half of the false).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from albums import settings_of
from embeddings import CachedEncoder
from scenes import KINDS, Thing, compose, read_davis, read_perseg

from persam_vos.exports.draw import draw_overlay
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.frame import untimed_frame
from persam_vos.photos import PhotoFinder
from persam_vos.sam import Engine
from persam_vos.settings.photos import PhotoSettings

# Sequences of DAVIS whose object looks alike in all frames; the others give backgrounds and distractors.
_SEQUENCES = ("blackswan", "camel", "car-shadow", "dog")
_FOUND_IOU = 0.5


@dataclass
class Score:
    """Counts over several scenes."""

    scenes: int = 0
    true: int = 0
    guessed: int = 0
    off: int = 0
    seconds: float = 0.0
    ious: list[float] = field(default_factory=list)

    def add(self, found: LabelMap, truth: LabelMap, seconds: float) -> None:
        """Count a scene."""
        true, guessed = ([n for n in np.unique(each) if n] for each in (truth, found))
        for number in true:
            mask = truth == number
            ious = [float((mask & (found == k)).sum() / (mask | (found == k)).sum()) for k in guessed]
            self.ious += [iou for iou in ious if iou > _FOUND_IOU]
        self.scenes += 1
        self.true += len(true)
        self.guessed += len(guessed)
        self.off += abs(len(true) - len(guessed))
        self.seconds += seconds

    def row(self) -> list[str]:
        """Return the cells of a table."""
        hits, either = len(self.ious), self.true + self.guessed
        shares = [
            hits / self.guessed if self.guessed else float("nan"),
            hits / self.true if self.true else float("nan"),
            2 * hits / either if either else 1.0,
            float(np.mean(self.ious)) if hits else float("nan"),
            2 * sum(self.ious) / either if either else 1.0,
        ]
        cells = ["-" if np.isnan(share) else f"{100 * share:.1f}" for share in shares]
        means = [f"{total / self.scenes:.2f}" for total in (self.off, self.seconds)]
        return [str(self.scenes), str(self.true), *cells, *means]


HEAD = ("scenes", "instances", "precision", "recall", "F1", "IoU", "PQ", "count off by", "seconds")


def table(scores: dict[str, Score]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| | " + " | ".join(HEAD) + " |"
    yield "| --- |" + " ---: |" * len(HEAD)
    for name, score in scores.items():
        yield f"| {name} | " + " | ".join(score.row()) + " |"


def measure(
    things: Sequence[Thing], everything: Sequence[Thing], arguments: argparse.Namespace, settings: PhotoSettings
) -> dict[str, Score]:
    """Find instances in all scenes: by kind, and altogether."""
    engine = Engine(settings)
    encoder = CachedEncoder(engine.encoder, _folder(arguments.cache, engine.precision)) if arguments.cache else None
    finder = PhotoFinder.from_parts(encoder or engine.encoder, engine.decoder, settings)
    scores = {kind: Score() for kind in (*arguments.kinds.split(","), "all")}
    for thing in things:
        finder.learn([(thing.reference.rgb, thing.reference.mask.view(np.uint8))])
        for kind in arguments.kinds.split(","):
            for number in range(arguments.scenes):
                seed = [arguments.seed, number, *f"{thing.name} {kind}".encode()]
                rgb, truth = compose(thing, everything, KINDS[kind], np.random.default_rng(seed))
                if encoder:
                    encoder.fill(untimed_frame(rgb))
                started = time.perf_counter()
                found = finder.find(untimed_frame(rgb)).label_map
                seconds = time.perf_counter() - started
                for name in (kind, "all"):
                    scores[name].add(found, truth, seconds)
                if arguments.pictures:
                    save(arguments.pictures / f"{kind}-{thing.name}-{number}.jpg", rgb, found, truth)
    return scores


def save(path: Path, rgb: Rgb, found: LabelMap, truth: LabelMap) -> None:
    """Write a picture of the instances found beside the true ones."""
    pair = np.hstack([draw_overlay(rgb, found), draw_overlay(rgb, truth)])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pair[..., ::-1])


def _folder(cache: Path, precision: str) -> Path:
    """Make the folder of a cache in which embeddings of one precision lie."""
    folder = cache / precision
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> None:
    """Read the command line, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("perseg", type=Path, help="a folder in PerSeg's layout")
    parser.add_argument("--davis", type=Path, help="a DAVIS folder, for more objects and backgrounds")
    parser.add_argument("--sequences", default=",".join(_SEQUENCES), help="sequences of DAVIS, to search for")
    parser.add_argument("--kinds", default=",".join(KINDS), help="kinds of scenes, with commas")
    parser.add_argument("--scenes", type=int, default=2, help="scenes per object and kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", default="memory", help="memory, persam or persam-f")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    parser.add_argument("--cache", type=Path, help="folder for embeddings, 7 MB a scene")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the instances found beside the true ones")
    arguments = parser.parse_args()
    things = read_perseg(arguments.perseg)
    everything = list(things)
    if arguments.davis:
        known = sorted(folder.name for folder in (arguments.davis / "JPEGImages" / "480p").iterdir())
        everything += read_davis(arguments.davis, known)
        things += [each for each in everything if each.name in arguments.sequences.split(",")]
    settings = settings_of(arguments.method, ["all_instances=true", *arguments.set])
    scores = measure(things, everything, arguments, settings)
    print("\n".join(table(scores)))


if __name__ == "__main__":
    main()
