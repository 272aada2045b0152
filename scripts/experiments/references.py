"""The gain of more references: mean IoU in photos of the same objects, learnt from one to four others.

    python scripts/experiments/references.py PERSEG DAVIS [--methods memory,persam,persam-f] [--orders 2] [--frames 6]

PERSEG is a folder in the layout of PerSeg. DAVIS is one in the layout of DAVIS 2017; some evenly spaced frames of each
sequence make an album. The photos of an album are put in several orders: the first ones are the references, the last
ones are searched, and these are the same for any number of references. The table gives the mean difference to the
first reference alone, in percent of IoU, with its standard error over the albums: photos of one album are too similar
to count one by one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from albums import Album, RememberingEncoder, add_arguments, open_model, read_albums, settings_of
from tqdm import tqdm

from persam_vos.media.frame import untimed_frame
from persam_vos.photos import PhotoFinder
from persam_vos.sam import Decoder
from persam_vos.settings.photos import METHODS, PhotoSettings

# Photos searched at most in an order; the ones before are references.
TESTS = 2
# Albums of at most this many photos are put in every order.
FEW = 4


@dataclass(frozen=True)
class Curve:
    """One order of one album.

    Attributes:
        iou: Mean IoU in percent with one, two ... references.
        seconds: Time to learn from them, without encoding.
    """

    iou: tuple[float, ...]
    seconds: tuple[float, ...]


def orders(album: Album, count: int) -> list[tuple[int, ...]]:
    """Return orders of an album's photos, the same in every run."""
    places, draw = range(len(album.photos)), random.Random(album.name)
    if len(places) <= FEW:
        every = list(itertools.permutations(places))
        return draw.sample(every, min(count * FEW, len(every)))
    return [tuple(draw.sample(places, len(places))) for _ in range(count)]


def measure(finder: PhotoFinder, album: Album, order: Sequence[int], most: int) -> Curve:
    """Learn from the first photo of an order, then from the first two, and so on; search the last photos each time."""
    tests = min(TESTS, max(1, len(order) - most))
    ious, seconds = [], []
    for count in range(1, min(most, len(order) - tests) + 1):
        start = time.perf_counter()
        finder.learn([album.photos[i] for i in order[:count]])
        seconds.append(time.perf_counter() - start)
        scores = []
        for rgb, truth in (album.photos[i] for i in order[-tests:]):
            found = finder.find(untimed_frame(rgb)).label_map
            scores += [iou(found == number, truth == number) for number in album.object_ids]
        ious.append(100 * statistics.fmean(scores))
    return Curve(tuple(ious), tuple(seconds))


def iou(found: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    """Return the intersection over the union of two masks, not both empty."""
    return float((found & truth).sum() / (found | truth).sum())


def measure_all(
    settings: PhotoSettings,
    albums: Sequence[Album],
    encoder: RememberingEncoder,
    decoder: Decoder,
    arguments: argparse.Namespace,
) -> dict[str, list[Curve]]:
    """Measure all orders of all albums with one method: curves by the name of the album."""
    finder = PhotoFinder.from_parts(encoder, decoder, settings)
    jobs = [(album, order) for album in albums for order in orders(album, arguments.orders)]
    found: dict[str, list[Curve]] = {album.name: [] for album in albums}
    for album, order in tqdm(jobs, desc=settings.method, unit="order"):
        found[album.name].append(measure(finder, album, order, arguments.most))
    return found


def differences(curves: Sequence[Curve], count: int) -> list[float]:
    """Return the gain of ``count`` references over the first alone, for each order that is long enough."""
    return [each.iou[count - 1] - each.iou[0] for each in curves if len(each.iou) >= count]


def rows(name: str, found: dict[str, list[Curve]], most: int) -> Iterator[str]:
    """Yield a line of the table for each number of references."""
    for count in range(1, most + 1):
        means = [statistics.fmean(each) for c in found.values() if (each := differences(c, count))]
        curves = [each for c in found.values() for each in c if len(each.iou) >= count]
        if not means:
            return
        by_album = [[each for each in c if len(each.iou) >= count] for c in found.values()]
        miou = statistics.fmean(statistics.fmean(e.iou[count - 1] for e in c) for c in by_album if c)
        error = statistics.stdev(means) / math.sqrt(len(means)) if len(means) > 1 else math.nan
        gain = "" if count == 1 else f"{statistics.fmean(means):+.2f} ± {error:.2f}"
        least, seconds = min(means), statistics.median(each.seconds[count - 1] for each in curves)
        worst = "" if count == 1 else f"{least:+.1f}"
        yield f"| {name} | {count} | {len(means)} | {miou:.2f} | {gain} | {worst} | {seconds:.2f} |"


def per_album(found: dict[str, dict[str, list[Curve]]], albums: Sequence[Album]) -> Iterator[str]:
    """Yield the lines of a table: of each album, the IoU with one reference and the gain of the most that it allows."""
    yield "| album | references | " + " | ".join(found) + " |"
    yield "| --- | ---: |" + " ---: |" * len(found)
    for album in albums:
        lengths = {len(each.iou) for c in found.values() for each in c[album.name]}
        cells = [
            f"{statistics.fmean(e.iou[0] for e in c[album.name]):.1f}"
            f" {statistics.fmean(e.iou[-1] - e.iou[0] for e in c[album.name]):+.1f}"
            for c in found.values()
        ]
        yield f"| {album.name} | {max(lengths)} | " + " | ".join(cells) + " |"


def main() -> None:
    """Read the command line, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--methods", default=",".join(METHODS), help="with commas")
    parser.add_argument("--most", type=int, default=4, help="most references")
    parser.add_argument("--orders", type=int, default=2, help="orders of each album of more than four photos")
    arguments = parser.parse_args()
    albums = read_albums(arguments.roots, arguments.frames)
    settings = {method: settings_of(method, arguments.set) for method in arguments.methods.split(",")}
    encoder, decoder = open_model(next(iter(settings.values())), albums, arguments.cache)
    with torch.inference_mode():
        found = {name: measure_all(each, albums, encoder, decoder, arguments) for name, each in settings.items()}
    print("| method | references | albums | mIoU | gain | least gain of an album | s to learn |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, curves in found.items():
        print("\n".join(rows(name, curves, arguments.most)))
    print("\n" + "\n".join(per_album(found, albums)))
    if arguments.json:
        kept = {m: {a: [[c.iou, c.seconds] for c in cs] for a, cs in by.items()} for m, by in found.items()}
        arguments.json.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
