"""How good a mask is that a box or a few clicks give, against the true one.

    python scripts/experiments/prompts.py --davis DAVIS [--davis COMPOSITES ...] [--albums PERSEG] --cache CACHE
    python scripts/experiments/prompts.py --davis DAVIS --albums PERSEG --cache CACHE --write docs/accuracy.md:prompts

Of each sequence, the first frame and the one in its middle count; of albums, every photo. The box is the true mask's.
Clicks are simulated as in the literature on interactive segmentation (Sofiiuk et al., arXiv 2102.06583): the first lies
deepest inside the object, each further one deepest inside the larger error of the mask so far.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from embeddings import CachedEncoder
from PIL import Image
from tables import markdown, write_between

from persam_vos.masks import Mask, box_xyxy, interior_depth
from persam_vos.media.frame import Frame, untimed_frame
from persam_vos.methods.prompt_view import FrameViews
from persam_vos.methods.prompted import masks_of_prompts
from persam_vos.prompts import Box, ObjectPrompt, Point
from persam_vos.sam import Decoder, Encoder, Engine
from persam_vos.settings.video import Settings

CLICKS = (1, 3, 5)
# Together with the box: the first lies where the box's mask is wrong.
BOX_CLICKS = (1, 3)
# Longest side of a photo, in pixels; the network sees 1024.
_MAX_PHOTO_SIDE = 960


@dataclass(frozen=True, slots=True)
class Example:
    """A picture with the true mask of one object, bool H x W."""

    name: str
    frame: Frame
    mask: Mask


def of_davis(root: Path) -> Iterator[Example]:
    """Yield the objects in the first and the middle frame of every sequence."""
    for folder in sorted((root / "JPEGImages" / "480p").iterdir()):
        pictures = sorted(folder.glob("*.jpg"))
        for picture in (pictures[0], pictures[len(pictures) // 2]):
            labels = np.asarray(Image.open(root / "Annotations" / "480p" / folder.name / f"{picture.stem}.png"))
            frame = untimed_frame(np.asarray(Image.open(picture).convert("RGB")))
            for number in np.unique(labels[(labels > 0) & (labels < 255)]).tolist():
                yield Example(f"{folder.name} {picture.stem} {number}", frame, labels == number)


def of_albums(root: Path) -> Iterator[Example]:
    """Yield the photos of a folder in PerSeg's layout."""
    for photo in sorted((root / "Images").glob("*/*.*g")):
        annotation = np.asarray(Image.open(root / "Annotations" / photo.parent.name / f"{photo.stem}.png"))
        mask = (annotation if annotation.ndim == 2 else annotation.max(axis=2)) > 0
        scale = min(_MAX_PHOTO_SIDE / max(mask.shape), 1.0)
        size = round(scale * mask.shape[1]), round(scale * mask.shape[0])
        rgb = cv2.resize(np.asarray(Image.open(photo).convert("RGB")), size, interpolation=cv2.INTER_AREA)
        small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        yield Example(f"{photo.parent.name} {photo.stem}", untimed_frame(rgb), small)


def ious(encoder: Encoder, decoder: Decoder, example: Example) -> list[float]:
    """Return the IoU from the true box, from it with each number of clicks, and from clicks alone."""

    def found(prompt: ObjectPrompt) -> Mask:
        return np.asarray(masks_of_prompts(FrameViews(encoder, example.frame), decoder, [prompt]).label_map == 1)

    box = box_xyxy(example.mask)
    assert box is not None
    mask, points, scores = found(ObjectPrompt(Box(*box))), [], []
    scores.append(_iou(mask, example.mask))
    for count in range(1, max(BOX_CLICKS) + 1):
        points.append(next_click(mask, example.mask))
        mask = found(ObjectPrompt(Box(*box), tuple(points)))
        if count in BOX_CLICKS:
            scores.append(_iou(mask, example.mask))
    mask, points = np.zeros_like(example.mask), []
    for count in range(1, max(CLICKS) + 1):
        points.append(next_click(mask, example.mask))
        mask = found(ObjectPrompt(points=tuple(points)))
        if count in CLICKS:
            scores.append(_iou(mask, example.mask))
    return scores


def next_click(mask: Mask, truth: Mask) -> Point:
    """Return the point deepest inside what is missing from a mask or too much in it."""
    missing, surplus = interior_depth(truth & ~mask), interior_depth(mask & ~truth)
    positive = bool(missing.max() >= surplus.max())
    y, x = np.unravel_index(int((missing if positive else surplus).argmax()), mask.shape)
    return Point(float(x), float(y), positive)


def _iou(found: Mask, truth: Mask) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def main() -> None:
    """Measure all examples, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davis", type=Path, action="append", default=[], help="folder in DAVIS's layout")
    parser.add_argument("--albums", type=Path, action="append", default=[], help="folder in PerSeg's layout")
    parser.add_argument("--cache", type=Path, required=True, help="where embeddings are kept")
    parser.add_argument("--write", metavar="PAGE:MARK", help="put the table into a page")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    engine = Engine(Settings(precision="float32", batch_size=1))
    encoder = CachedEncoder(engine.batch_encoder, arguments.cache)  # type: ignore[arg-type]
    groups = {
        "frames": [each for root in arguments.davis for each in of_davis(root)],
        "photos": [each for root in arguments.albums for each in of_albums(root)],
    }
    rows = []
    for name, examples in groups.items():
        found = []
        for example in examples:
            encoder.fill(example.frame)
            found.append(ious(encoder, engine.decoder, example))
            print(example.name, " ".join(f"{100 * each:.1f}" for each in found[-1]), flush=True)
        if found:
            rows.append([f"{name}, {len(found)} objects", *(f"{100 * each:.1f}" for each in np.mean(found, axis=0))])
    head = [
        "mean IoU",
        "box",
        *(f"box, {n} click{'s' * (n > 1)}" for n in BOX_CLICKS),
        *(f"{n} click{'s' * (n > 1)}" for n in CLICKS),
    ]
    lines = list(markdown([head, *rows]))
    print(*lines, sep="\n")
    if arguments.write:
        write_between(arguments.write, lines)


if __name__ == "__main__":
    main()
