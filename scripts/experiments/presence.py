"""Presence of an object in a photo: rates of misses and of false finds, by threshold.

    python scripts/experiments/presence.py PERSEG DAVIS [--references 1] [--frames 6]

The folders are those of ``references.py``. Albums of several objects are left out; no two albums may show the same
object. The first photos of an album are the references; its other photos show the object, those of other albums do not.
The table gives misses and false finds by the threshold ``presence``, which is compared with the similarity of each mask
as a share of the similarity in the references.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from albums import Album, RememberingEncoder, add_arguments, open_model, read_albums, settings_of
from references import iou
from tqdm import tqdm

from persam_vos.media.frame import untimed_frame
from persam_vos.methods import PhotoMethod, Reference
from persam_vos.methods.memory import MemoryPhotos
from persam_vos.photos.finder import find_objects

THRESHOLDS = (0.6, 0.65, 0.7, 0.75, 0.76, 0.77, 0.78, 0.79, 0.8, 0.82, 0.84)
# A mask of the object with a smaller IoU had better be missed.
_USEFUL_IOU = 0.5
# Photos that are named of each kind of error.
_NAMED = 8


@dataclass(frozen=True)
class Finding:
    """The result of one photo.

    Attributes:
        reference: Name of the album of the references.
        photo: Name of the album of the photo.
        share: Similarity of the mask as a share of the usual one; 0 if there is no mask.
        iou: Of the mask with the object's; 0 where there is none.
    """

    reference: str
    photo: str
    share: float
    iou: float


def findings(
    method: PhotoMethod,
    encoder: RememberingEncoder,
    album: Album,
    others: Sequence[Album],
    arguments: argparse.Namespace,
) -> Iterator[Finding]:
    """Learn from the first photos of an album; search its other photos and some of other albums."""
    learnt = []
    for rgb, label_map in album.photos[: arguments.references]:
        frame = untimed_frame(rgb)
        learnt.append(Reference(frame, encoder.encode([frame])[0], label_map))
    method.learn(learnt, [1])
    shown = [(album, photo) for photo in album.photos[arguments.references :]]
    for other in others:
        places = np.linspace(0, len(other.photos) - 1, arguments.negatives).round().astype(int)
        shown += [(other, other.photos[i]) for i in dict.fromkeys(places.tolist())]
    for owner, (rgb, truth) in shown:
        frame = untimed_frame(rgb)
        found = find_objects(method, frame, encoder.encode([frame])[0], [1], presence=0.0)
        share = float((found.similarity / method.reference_similarity).nan_to_num(0.0)[0])
        yield Finding(album.name, owner.name, share, iou(found.label_map > 0, truth > 0) if owner is album else 0.0)


def table(found: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines of the table: a row per threshold."""
    there = [each for each in found if each.reference == each.photo]
    elsewhere = [each for each in found if each.reference != each.photo]
    good = [each for each in there if each.iou >= _USEFUL_IOU]
    yield (
        f"| presence | missed of {len(there)} | missed of the {len(good)} with IoU over 50% | false finds in"
        f" {len(elsewhere)} | mean of both | mIoU |"
    )
    yield "| ---: | ---: | ---: | ---: | ---: | ---: |"
    for threshold in THRESHOLDS:
        missed = statistics.fmean(each.share < threshold for each in there)
        lost = statistics.fmean(each.share < threshold for each in good)
        false = statistics.fmean(each.share >= threshold for each in elsewhere)
        miou = statistics.fmean(each.iou * (each.share >= threshold) for each in there)
        rates = " | ".join(f"{100 * each:.1f}%" for each in (missed, lost, false, (missed + false) / 2))
        yield f"| {threshold:.2f} | {rates} | {100 * miou:.1f} |"


def closest(found: Sequence[Finding]) -> Iterator[str]:
    """Yield the likeliest false finds and the likeliest misses."""
    worst = sorted((each for each in found if each.reference != each.photo), key=lambda each: -each.share)
    yield "false finds: " + ", ".join(f"{e.reference} in {e.photo} {e.share:.2f}" for e in worst[:_NAMED])
    least = sorted((each for each in found if each.reference == each.photo), key=lambda each: each.share)
    yield "missed: " + ", ".join(f"{e.photo} {e.share:.2f} (IoU {100 * e.iou:.0f})" for e in least[:_NAMED])


def main() -> None:
    """Read the command line, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--references", type=int, default=1)
    parser.add_argument("--negatives", type=int, default=2, help="photos searched of each other album")
    arguments = parser.parse_args()
    albums = [album for album in read_albums(arguments.roots, arguments.frames) if album.object_ids == [1]]
    settings = settings_of("memory", arguments.set)
    encoder, decoder = open_model(settings, albums, arguments.cache)
    method, found = MemoryPhotos(decoder, settings), []
    with torch.inference_mode():
        for album in tqdm(albums, desc="search", unit="album"):
            others = [other for other in albums if other is not album]
            found += list(findings(method, encoder, album, others, arguments))
    print("\n".join([*table(found), "", *closest(found)]))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
