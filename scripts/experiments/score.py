"""The score of a mask as its predicted J: fitted on variants of sequences and on photos, and checked on others.

    python scripts/experiments/score.py DAVIS --year 2016 --albums PERSEG --cache ~/.cache/persam-vos/ablate
    python scripts/experiments/score.py DAVIS --year 2016 --albums PERSEG --cache CACHE --records KEPT --write

Masks are tracked and found with their evidence, and compared with the truth. A mask of an object that is not there has
a J of 0; an object without a mask is not judged. Each kind of clip has the same weight, and so have photos that show
the object and photos that do not. All figures are of sequences or albums that were left out of the fit.

``--write`` puts the fitted numbers into persam_vos/methods/calibrations.py, and the tables and diagrams into
docs/scores.md and docs/images. ``--records KEPT`` keeps the masks in a folder, and takes those of the same clips and
photos that are there: a fit of other features then tracks nothing again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from calibration import Floats, Logistic, bins, fit, left_out, summary
from diagram import reliability_svg
from judged import Judged, of_albums, of_clips
from tables import around, markdown, write_between
from variants import GROUPS, VARIANTS, names_of

from persam_vos.files import whole_file
from persam_vos.settings.photos import PhotoSettings
from persam_vos.settings.video import TrackerSettings

PROJECT = Path(__file__).parents[2]
NUMBERS = PROJECT / "persam_vos" / "methods" / "calibrations.py"
PAGE = PROJECT / "docs" / "scores.md"

# PerSAM needs embeddings of its own, which no other experiment keeps: some kinds of clips are enough for few numbers.
PERSAM_VARIANTS = ("zoom", "gone", "identical", "shake", "noise")
# Arguments that say which clips and photos are taken.
CHOICES = ("root", "year", "albums", "variants", "split", "frames", "negatives")


@dataclass(frozen=True, slots=True)
class Subject:
    """A method on video or on photos.

    Attributes:
        title: What tables call it.
        collect: Tracks or searches, and returns the masks.
        features: Names of the evidence that its score is made of: those without which masks that were left out are
            predicted worse.
    """

    title: str
    collect: Callable[[argparse.Namespace], list[Judged]]
    features: tuple[str, ...]


def _clips(method: str, arguments: argparse.Namespace) -> list[Judged]:
    kinds = names_of(arguments.variants)
    if method != "memory":
        kinds = [each for each in PERSAM_VARIANTS if each in kinds]
    return of_clips(arguments, TrackerSettings(method=method), kinds)  # type: ignore[arg-type]


def _albums(method: str, arguments: argparse.Namespace) -> list[Judged]:
    return of_albums(arguments, PhotoSettings(method=method))  # type: ignore[arg-type]


SUBJECTS = {
    "MEMORY_VIDEO": Subject(
        "video, `memory`",
        lambda arguments: _clips("memory", arguments),
        ("annotated_shown", "log_softness", "log_prior_softness", "changed"),
    ),
    "PERSAM_VIDEO": Subject(
        "video, `persam`",
        lambda arguments: _clips("persam", arguments),
        ("predicted_iou", "similarity_share"),
    ),
    "MEMORY_PHOTOS": Subject(
        "photos, `memory`",
        lambda arguments: _albums("memory", arguments),
        ("similarity_share", "log_prior_softness"),
    ),
    "PERSAM_PHOTOS": Subject(
        "photos, `persam`", lambda arguments: _albums("persam", arguments), ("predicted_iou", "similarity_share")
    ),
}
"""By the name of the calibration."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What is known of a subject's scores.

    Attributes:
        function: Fitted on all masks.
        j: float, n: the truth.
        weight: float, n: of each mask.
        old: float, n: SAM's predicted IoU.
        new: float, n: predicted by a function that has not seen the mask's sequence or album.
        kinds: Of each mask.
    """

    function: Logistic
    j: Floats
    weight: Floats
    old: Floats
    new: Floats
    kinds: tuple[str, ...]


def fitted(masks: Sequence[Judged], features: Sequence[str]) -> Fit:
    """Fit J by these features."""
    kinds = tuple(each.kind for each in masks)
    _, inverse = np.unique(kinds, return_inverse=True)
    weight = np.array([each.weight for each in masks])
    weight /= np.bincount(inverse, weight)[inverse]
    j = np.array([each.j for each in masks])
    inputs = np.array([[each.features[name] for name in features] for each in masks])
    old = np.clip([each.features["predicted_iou"] for each in masks], 0, 1)
    new = left_out(inputs, j, weight, [each.group for each in masks])
    return Fit(fit(inputs, j, weight), j, weight, old, new, kinds)


def collected(name: str, subject: Subject, arguments: argparse.Namespace) -> list[Judged]:
    """Return the masks of a subject: those that are kept of the same clips and photos, or else new ones."""
    if not arguments.records:
        return subject.collect(arguments)
    of = {name: str(getattr(arguments, name)) for name in CHOICES}
    path = arguments.records / f"{name.lower()}-{hashlib.sha1(json.dumps(of).encode()).hexdigest()[:8]}.jsonl"
    if path.exists():
        return [Judged(**json.loads(line)) for line in path.read_text().splitlines()]
    masks = subject.collect(arguments)
    with whole_file(path) as part:
        part.write_text("".join(json.dumps(each.record()) + "\n" for each in masks))
    return masks


def figures(fits: Mapping[str, Fit]) -> list[str]:
    """Return the table of all subjects: SAM's predicted IoU and the score."""
    grid: list[list[str]] = []
    for name, each in fits.items():
        for of, score in (("SAM's predicted IoU", each.old), ("score", each.new)):
            values = dict(summary(score, each.j, each.weight))
            grid = grid or [["", "", "masks", *values]]
            grid.append([SUBJECTS[name].title, of, str(len(score)), *(f"{value:.3f}" for value in values.values())])
    return list(markdown(grid))


def by_kind(each: Fit) -> list[str]:
    """Return the table of the kinds of clips: mean J, mean predicted IoU and mean score."""
    kinds, grid = np.array(each.kinds), [["kind", "masks", "mean J", "SAM's predicted IoU", "score"]]
    for kind in dict.fromkeys(each.kinds):
        here = kinds == kind
        means = (np.average(values[here], weights=each.weight[here]) for values in (each.j, each.old, each.new))
        grid.append([kind, str(here.sum()), *(f"{mean:.2f}" for mean in means)])
    return list(markdown(grid))


def numbers(fits: Mapping[str, Fit]) -> str:
    """Return the source of the module with the numbers."""
    lines = [
        '"""Numbers that turn evidence into scores, written by ``scripts/experiments/score.py --write``."""',
        "",
        "from persam_vos.methods.score import Calibration",
    ]
    for name, each in fits.items():
        weights = zip(SUBJECTS[name].features, each.function.weights, strict=True)
        lines += ["", f"{name} = Calibration(", f"    constant={each.function.constant:.4g},", "    weights={"]
        lines += [*(f'        "{feature}": {weight:.4g},' for feature, weight in weights), "    },", ")"]
    return "\n".join([*lines, ""])


def write(fits: Mapping[str, Fit]) -> None:
    """Write numbers, tables and diagrams."""
    write_between(f"{PAGE}:figures", figures(fits))
    write_between(f"{PAGE}:kinds", by_kind(fits["MEMORY_VIDEO"]))
    for name in ("MEMORY_VIDEO", "MEMORY_PHOTOS"):
        each = fits[name]
        curves = {"SAM's predicted IoU": each.old, "score, left out of the fit": each.new}
        drawn = {of: bins(score, each.j, each.weight) for of, score in curves.items()}
        picture = PROJECT / "docs" / "images" / f"reliability-{name.lower().replace('_', '-')}.svg"
        with whole_file(picture) as part:
            part.write_text(reliability_svg(drawn), encoding="utf-8")
    with whole_file(NUMBERS) as part:
        part.write_text(numbers(fits), encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("root", type=Path, help="a DAVIS folder")
    made.add_argument("--year", type=int, choices=(2016, 2017), default=2017)
    made.add_argument("--albums", type=Path, nargs="*", default=[], help="more folders, in the layout of PerSeg")
    made.add_argument("--cache", type=Path, required=True, help="folder for embeddings (7 MB a frame)")
    made.add_argument("--records", type=Path, metavar="KEPT", help="folder for the masks")
    made.add_argument(
        "--variants", default="plain,new", help=f"with commas; {', '.join(GROUPS)}, or of {', '.join(VARIANTS)}"
    )
    made.add_argument("--split", choices=("development", "held-out", "all"), default="development")
    made.add_argument("--subjects", default=",".join(SUBJECTS), help="with commas; of " + ", ".join(SUBJECTS))
    made.add_argument("--frames", type=int, default=12, help="frames of each sequence that make an album")
    made.add_argument("--negatives", type=int, default=2, help="photos searched of each other album")
    made.add_argument("--write", action="store_true", help="put numbers, tables and diagrams in their places")
    made.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    return made


def main() -> None:
    """Read the command line, collect, fit, print the tables, and write everything."""
    arguments = parser().parse_args()
    names = arguments.subjects.split(",")
    if arguments.write:
        if set(names) != set(SUBJECTS):
            parser().error("--write takes all subjects, whose numbers lie in one file")
        for name in ("figures", "kinds"):
            around(f"{PAGE}:{name}")  # a wrong name is refused before the hours of work
    fits = {name: fitted(collected(name, SUBJECTS[name], arguments), SUBJECTS[name].features) for name in names}
    print("\n".join(figures(fits)))
    for name, each in fits.items():
        print(f"\n{SUBJECTS[name].title}\n\n" + "\n".join(by_kind(each)))
    if arguments.write:
        write(fits)


if __name__ == "__main__":
    main()
