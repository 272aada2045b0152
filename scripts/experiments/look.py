"""Contact sheets of variants: frames with the contours of the truth, to look at before believing a figure.

    python scripts/experiments/look.py DAVIS --year 2016 --variants new --sequences camel,dog -o SHEETS

Contours are yellow and cyan for the truth of objects 1 and 2, magenta for a rough first mask. With ``--cache`` the clip
is also tracked with the default settings, and what is found is red and blue.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jobs import Job, encode_all, follow
from PIL import Image
from variants import GROUPS, VARIANTS, Clip, names_of

from persam_vos.evaluation import DavisDataset
from persam_vos.masks import LabelMap, Rgb
from persam_vos.settings.video import TrackerSettings

_TRUTH = ((255, 255, 0), (0, 255, 255), (0, 255, 0))
_FOUND = ((255, 0, 0), (0, 0, 255), (255, 128, 0))
_FIRST = 3 * ((255, 0, 255),)


def outlined(frame: Rgb, label_map: LabelMap, colours: Sequence[tuple[int, int, int]]) -> Rgb:
    """Return a frame with the contours of its objects."""
    drawn = np.ascontiguousarray(frame).copy()
    for number in np.unique(label_map[(label_map > 0) & (label_map < 255)]):
        mask = (label_map == number).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, contours, -1, colours[(int(number) - 1) % len(colours)], 2)
    return drawn


def sheet(clip: Clip, found: dict[int, LabelMap], *, columns: int, width: int, step: int) -> Rgb:
    """Return the frames of a clip in rows, with contours."""
    pictures = []
    for i in range(0, len(clip), step):
        drawn = outlined(clip.frames[i], clip.label_maps[i], _TRUTH)
        if i in found:
            drawn = outlined(drawn, found[i], _FOUND)
        if not i and clip.first_mask is not None:
            drawn = outlined(drawn, clip.first_mask, _FIRST)
        height = round(width * drawn.shape[0] / drawn.shape[1])
        small = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)
        cv2.putText(small, str(i), (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        pictures.append(small)
    pictures += [np.zeros_like(pictures[0])] * (-len(pictures) % columns)
    return np.vstack([np.hstack(pictures[k : k + columns]) for k in range(0, len(pictures), columns)])


def main() -> None:
    """Read the command line and write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="a DAVIS folder")
    parser.add_argument("--year", type=int, choices=(2016, 2017), default=2017)
    parser.add_argument("--variants", default="new", help=f"with commas; {', '.join([*GROUPS, *VARIANTS])}")
    parser.add_argument("--sequences", help="only these, with commas")
    parser.add_argument("--cache", type=Path, help="the cache of ablate.py; track the clips, too")
    parser.add_argument("--step", type=int, default=1, help="show every n-th frame")
    parser.add_argument("--width", type=int, default=320, help="of a frame, in pixels")
    parser.add_argument("--columns", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for VARIANT-SEQUENCE.png")
    arguments = parser.parse_args()
    dataset = DavisDataset(arguments.root, arguments.year, "val")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for variant in names_of(arguments.variants):
        for sequence in arguments.sequences.split(",") if arguments.sequences else dataset.sequences:
            job = Job(dataset, sequence, variant, TrackerSettings(), arguments.cache or Path())
            if (clip := job.load()) is None:
                continue
            if arguments.cache:
                encode_all([job])
            found = {r.index: r.label_map for r, _ in follow(job, clip)} if arguments.cache else {}
            size = {"columns": arguments.columns, "width": arguments.width, "step": arguments.step}
            Image.fromarray(sheet(clip, found, **size)).save(arguments.output / f"{variant}-{sequence}.png")


if __name__ == "__main__":
    main()
