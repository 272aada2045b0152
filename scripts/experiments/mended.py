"""How much points mend of a mask that came out wrong: IoU with the truth before, and after one to five of them.

    python scripts/experiments/mended.py DAVIS [DAVIS ...] --cache CACHE

Each sequence is tracked from its true first mask with the default settings. Of every object, the frame whose mask is
worst is mended, as ``correct(points=)`` of a session does: one call a click, each on the deepest point of the larger
error; see ``prompts.py``. Frames where truth or mask has no pixel are left out: there is nothing to mend.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from jobs import Job, cached_encoder, encode_all, follow, frames_of, networks
from prompts import next_click
from references import iou
from tables import markdown

from persam_vos.evaluation import DavisDataset
from persam_vos.masks import Mask
from persam_vos.media.frame import Frame
from persam_vos.methods.prompt_view import FrameViews
from persam_vos.methods.prompted import masks_of_prompts
from persam_vos.prompts import ObjectPrompt
from persam_vos.settings.video import TrackerSettings

CLICKS = (1, 3, 5)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A mask that a run has made, with the truth; both bool, H x W."""

    name: str
    frame: Frame
    mask: Mask
    truth: Mask


def worst_masks(job: Job) -> Iterator[Wrong]:
    """Track a sequence; yield the mask of lowest IoU of each object."""
    clip = job.load()
    assert clip is not None
    frames = list(frames_of(clip))
    worst: dict[int, tuple[float, int, Mask]] = {}
    for result, _ in follow(job, clip):
        truth = clip.label_maps[result.index]
        for number in np.unique(truth[(truth > 0) & (truth < 255)]).tolist():
            mask = result.label_map == number
            score = iou(mask, truth == number)
            if mask.any() and score < worst.get(number, (1.0,))[0]:
                worst[number] = score, result.index, mask
    for number, (_, index, mask) in sorted(worst.items()):
        name = f"{job.sequence} {index:05d} {number}"
        yield Wrong(name, frames[index], mask, clip.label_maps[index] == number)


def mended_ious(job: Job, wrong: Wrong) -> list[float]:
    """Return the IoU before, and after each number of clicks."""
    encoder, decoder = cached_encoder(job), networks()[-1]
    mask, scores = wrong.mask, [iou(wrong.mask, wrong.truth)]
    for count in range(1, max(CLICKS) + 1):
        says = ObjectPrompt(points=(next_click(mask, wrong.truth),), mask=Path())
        found = masks_of_prompts(FrameViews(encoder, wrong.frame), decoder, [says], [mask])
        mask = np.asarray(found.label_map == 1)
        if count in CLICKS:
            scores.append(iou(mask, wrong.truth))
    return scores


def row(name: str, scores: Sequence[float] | npt.NDArray[np.float64]) -> list[str]:
    """Return a row of the table."""
    return [name, *(f"{100 * score:.1f}" for score in scores)]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", type=Path, nargs="+", help="folders in DAVIS's layout")
    parser.add_argument("--cache", type=Path, required=True, help="folder for embeddings; ablate.py can share it")
    arguments = parser.parse_args()
    rows, found = [["IoU", "before", *(f"{n} click{'s' * (n > 1)}" for n in CLICKS)]], []
    for root in arguments.roots:
        dataset = DavisDataset(root, 2017, "val")
        jobs = [Job(dataset, name, "plain", TrackerSettings(), arguments.cache) for name in dataset.sequences]
        encode_all(jobs)
        for job in jobs:
            for wrong in worst_masks(job):
                found.append(mended_ious(job, wrong))
                rows.append(row(wrong.name, found[-1]))
                print(*rows[-1], flush=True)
    print(*markdown([*rows, row("mean", np.mean(found, axis=0))]), sep="\n")


if __name__ == "__main__":
    main()
