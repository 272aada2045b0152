"""How good are the masks in ordinary films? J against masks drawn by hand, beside the score that the tracker gives.

The masks are in ``tests/data/drawn``; the clips are not part of the project. They are three of the gallery of SAM 2's
demo (facebookresearch/sam2, ``demo/data/gallery``). ``VIDEOS`` holds them as ``NAME.mp4``, and a label map of frame 0
for each as ``first-masks/NAME.png``, with the ids that ``tests/data/drawn/README.md`` names:

    python scripts/experiments/drawn.py VIDEOS --cache ~/.cache/persam-vos/ablate
    python scripts/experiments/drawn.py VIDEOS --cache CACHE --rows "memory;memory, best" --sheet sheet.png

Cells are J in percent, and the score in brackets. In a frame where the object is hidden, J is 100 if the tracker finds
nothing, else 0. Every drawn frame counts in the mean; ``gap`` is the mean distance of score and J where a mask was
given, so that 0 means scores that tell the truth.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from ablate import ROWS
from embeddings import CachedEncoder
from jobs import networks
from PIL import Image, ImageDraw
from tqdm import tqdm

from persam_vos.evaluation import boundary_map, read_png_label_map, score_label_maps
from persam_vos.exports.palettes import overlay_palette
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media import open_video, read_mask
from persam_vos.results import FrameResult
from persam_vos.sam import SamEncoder
from persam_vos.settings.video import TrackerSettings
from persam_vos.video import GapTracker, Tracker

DRAWN = Path(__file__).parents[2] / "tests" / "data" / "drawn"
CLIPS = tuple(sorted(path.name for path in DRAWN.iterdir() if path.is_dir()))


@dataclass(frozen=True)
class Cell:
    """One object in one drawn frame.

    Attributes:
        clip: Name of the clip.
        object: Id of the object.
        frame: Index of the frame.
        j: Region similarity, 0..1, of the tracker's mask and the drawn one.
        score: What the tracker says of its mask, 0..1.
        hidden: Whether the drawn mask is empty.
        found: Whether the tracker's mask is not.
    """

    clip: str
    object: int
    frame: int
    j: float
    score: float
    hidden: bool
    found: bool

    def __str__(self) -> str:
        """Return J and score, as the table shows them."""
        return f"{'hidden ' if self.hidden else ''}{100 * self.j:.1f} ({self.score:.2f})"


def drawn_masks(clip: str) -> dict[int, LabelMap]:
    """Return the drawn label maps of a clip, by frame."""
    return {int(path.stem): read_png_label_map(path) for path in sorted((DRAWN / clip).glob("*.png"))}


def compare(clip: str, result: FrameResult, truth: LabelMap) -> list[Cell]:
    """Compare what the tracker found in a frame with the drawn masks."""
    j = score_label_maps(result.label_map, truth, max(result.ids))[:, 0]
    return [
        Cell(clip, each.id, result.index, float(j[each.id - 1]), each.score, not (truth == each.id).any(), each.present)
        for each in result
    ]


def missing_files(videos: Path, clips: Sequence[str]) -> list[Path]:
    """Return the files that the folder of the videos lacks."""
    needed = [path for clip in clips for path in (videos / f"{clip}.mp4", videos / "first-masks" / f"{clip}.png")]
    return [path for path in needed if not path.is_file()]


def follow(videos: Path, clip: str, settings: TrackerSettings, cache: Path) -> Iterator[tuple[Rgb, FrameResult]]:
    """Track a clip from its first mask up to the last drawn frame; yield pixels and result of every frame."""
    sam, backend, decoder = networks()
    encoder = CachedEncoder(SamEncoder(sam, backend, square=settings.method != "memory"), cache)
    last = max(drawn_masks(clip))
    with open_video(videos / f"{clip}.mp4") as reader:
        first = read_mask(videos / "first-masks" / f"{clip}.png", like=reader.peek())
        gaps = GapTracker(Tracker.from_parts(encoder, decoder, settings), first, encoder, settings)
        for frame in tqdm(itertools.islice(reader, last + 1), desc=clip, total=last + 1, unit="frame", leave=False):
            encoder.fill(frame)
            between = frame.index % settings.encode_every
            for at, result in gaps.push(frame, None if between else encoder.encode([frame])[0]):
                yield at.rgb, result
        for at, result in gaps.finish():
            yield at.rgb, result


def picture(rgb: Rgb, found: LabelMap, truth: LabelMap, title: str) -> Rgb:
    """Draw true contours in white and tracked ones in colour, on the darkened frame at half its size."""
    drawn = rgb // 2
    for object_id in np.unique(np.concatenate([np.unique(found), np.unique(truth)])):
        for label_map, colour in ((truth, (255, 255, 255)), (found, overlay_palette()[object_id])):
            contour = boundary_map(label_map == object_id).astype(np.uint8)
            if object_id:
                drawn[cv2.dilate(contour, np.ones((3, 3), np.uint8)) > 0] = colour
    image = Image.fromarray(drawn).reduce(2)
    ImageDraw.Draw(image).text((8, 8), title, fill="white", font_size=18)
    return np.asarray(image)


def judge(
    arguments: argparse.Namespace, clips: Sequence[str], name: str, settings: TrackerSettings
) -> tuple[list[Cell], list[Rgb]]:
    """Track clips under one setting.

    Returns:
        A cell per object and drawn frame, and a row of pictures per clip, if they are wanted.
    """
    cells, rows = [], []
    for clip in clips:
        truths, row = drawn_masks(clip), []
        for rgb, result in follow(arguments.videos, clip, settings, arguments.cache):
            if (truth := truths.get(result.index)) is None:
                continue
            cells += compare(clip, result, truth)
            if arguments.sheet:
                row.append(picture(rgb, result.label_map, truth, f"{clip} {result.index}: {name}"))
        rows += [np.concatenate(row, axis=1)] if arguments.sheet else []
    return cells, rows


def by_object(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Return the cells of each object, in the order of time."""
    names = sorted({(cell.clip, cell.object) for cell in cells})
    return {
        f"{clip} {number}": sorted(
            (cell for cell in cells if (cell.clip, cell.object) == (clip, number)), key=lambda cell: cell.frame
        )
        for clip, number in names
    }


def mean_j(cells: Sequence[Cell]) -> float:
    """Return the mean J in percent."""
    return 100 * float(np.mean([cell.j for cell in cells]))


def gap(cells: Sequence[Cell]) -> float:
    """Return the mean distance of score and J where the tracker gave a mask; 0 where it gave none."""
    gaps = [abs(cell.score - cell.j) for cell in cells if cell.found]
    return float(np.mean(gaps)) if gaps else 0.0


def table(cells: Sequence[Cell], name: str) -> Iterator[str]:
    """Yield the lines of the table of one setting: a row per object."""
    objects = by_object(cells)
    frames = sorted({cell.frame for cell in cells})
    yield f"| {name} | " + " | ".join(map(str, frames)) + " | mean J | gap |"
    yield "| --- |" + " ---: |" * (len(frames) + 2)
    for label, row in objects.items():
        yield f"| {label} | " + " | ".join(map(str, row)) + f" | {mean_j(row):.1f} | {gap(row):.2f} |"


def summary(rows: Mapping[str, Sequence[Cell]]) -> Iterator[str]:
    """Yield the lines of the table of all settings: mean over objects, and the least object."""
    yield "| | mean J of the objects | least | which | gap |"
    yield "| --- | ---: | ---: | --- | ---: |"
    for name, cells in rows.items():
        means = {label: mean_j(row) for label, row in by_object(cells).items()}
        least = min(means, key=means.__getitem__)
        yield f"| {name} | {np.mean(list(means.values())):.1f} | {means[least]:.1f} | {least} | {gap(cells):.2f} |"


def rows_of(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the settings of each row that is asked for, as ``ablate.py`` names them.

    Raises:
        KeyError: If there is no row of that name.
    """
    rows = {name: ROWS[name] for name in arguments.rows.split(";")}
    return rows | {text: yaml.safe_load(text.replace("=", ": ").replace(",", "\n")) for text in arguments.set}


def main() -> None:
    """Read the command line, run, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, help="a folder with the clips and their first masks")
    parser.add_argument("--cache", type=Path, required=True, help="folder for embeddings; ablate.py can share it")
    parser.add_argument("--rows", default="memory", help="with semicolons; of " + "; ".join(ROWS))
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="one more row with this setting"
    )
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="also a picture: drawn white, tracked coloured")
    parser.add_argument("--clips", default=",".join(CLIPS), help="only these, with commas")
    arguments = parser.parse_args()
    clips = arguments.clips.split(",")
    if unknown := set(clips) - set(CLIPS):
        parser.error(f"no masks are drawn of {', '.join(sorted(unknown))}; clips are {', '.join(CLIPS)}")
    if missing := missing_files(arguments.videos, clips):
        parser.error(
            f"{', '.join(map(str, missing))}: no such file; the clips are not part of the project, see --help for "
            "where they come from"
        )
    try:
        rows = rows_of(arguments)
    except KeyError as error:
        parser.error(f"there is no row {error}; rows are {'; '.join(ROWS)}")
    torch.set_num_threads(1)
    found, pictures = {}, []
    for name, row in rows.items():
        found[name], drawn = judge(arguments, clips, name, TrackerSettings(**row))
        pictures += drawn
        print("\n".join(table(found[name], name)), end="\n\n", flush=True)
    print("\n".join(summary(found)))
    if arguments.sheet:
        Image.fromarray(np.concatenate(pictures)).save(arguments.sheet)


if __name__ == "__main__":
    main()
