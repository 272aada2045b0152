"""Tables of J&F: means over kinds of clips, figures of single clips, and their place in a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jobs import HELD_OUT, Job

Results = Mapping[str, Mapping[str, Any]]


class Earlier(NamedTuple):
    """A clip of an earlier run, in the place of a job."""

    variant: str
    sequence: str
    key: str


def object_scores(result: Mapping[str, Any], *, visible: bool) -> npt.NDArray[np.float64]:
    """Return J and F of every object of a clip, objects x 2: means over its frames but the first and the last.

    Args:
        result: Of a clip.
        visible: Leave frames out in which the object has no pixel. Otherwise such a frame counts as 1 if nothing is
            found there, and as 0 if anything is.
    """
    chosen = [
        each
        for each in result["records"]
        if each["frame"] < result["frames"] - 1 and (each["truth_area"] or not visible)
    ]
    ids = sorted({each["id"] for each in chosen})
    return np.array([np.mean([(e["j"], e["f"]) for e in chosen if e["id"] == k], axis=0) for k in ids]).reshape(-1, 2)


def kind_scores(jobs: Iterable[Job | Earlier], done: Results, *, visible: bool) -> dict[str, npt.NDArray[np.float64]]:
    """Return the mean J and F of each variant, over the objects of its clips."""
    scores: dict[str, list[npt.NDArray[np.float64]]] = {}
    for job in jobs:
        scores.setdefault(job.variant, []).append(object_scores(done[job.key], visible=visible))
    joined = {variant: np.concatenate(each) for variant, each in scores.items()}
    return {variant: each.mean(axis=0) for variant, each in joined.items() if len(each)}


def table(
    jobs: Mapping[str, Sequence[Job | Earlier]], done: Results, variants: Sequence[str], *, visible: bool = False
) -> Iterator[str]:
    """Yield the lines of the table of means: each variant counts once.

    Configurations go down and variants to the right, or the other way round where that is narrower.
    """
    grid: list[list[str]] = []
    for name, row in jobs.items():
        by_variant = kind_scores(row, done, visible=visible)
        tracked = [done[job.key] for job in row if done[job.key]["records"]]
        cells = {"": name, **_means(row, done, visible=visible)}
        cells |= {each: shown(100 * by_variant[each]) if each in by_variant else "" for each in variants}
        cells |= {"passes": shown([each["passes"] for each in tracked])}
        cells |= {"ms": shown([each["milliseconds"] for each in tracked], decimals=0)}
        grid = [*(grid or [list(cells)]), list(cells.values())]
    yield from markdown(grid if len(jobs) >= len(variants) else list(zip(*grid, strict=True)))


def _means(row: Sequence[Job | Earlier], done: Results, *, visible: bool) -> dict[str, str]:
    """Return J, F and J&F over the variants; with sequences of both kinds also J&F of either."""
    kinds = [100 * each for each in kind_scores(row, done, visible=visible).values()]
    cells = {"J": shown([j for j, _ in kinds]), "F": shown([f for _, f in kinds]), "J&F": shown(kinds)}
    parts = {"development": [job for job in row if job.sequence not in HELD_OUT]}
    parts["held out"] = [job for job in row if job.sequence in HELD_OUT]
    if all(parts.values()):
        for name, part in parts.items():
            cells[name] = shown([100 * each for each in kind_scores(part, done, visible=visible).values()])
    return cells


def shown(values: npt.ArrayLike, decimals: int = 1) -> str:
    """Return the mean of numbers as text, empty where there is none."""
    return f"{np.mean(values):.{decimals}f}" if np.size(values) else ""


def per_clip(
    jobs: Mapping[str, Sequence[Job | Earlier]], done: Results, variants: Sequence[str], *, visible: bool = False
) -> Iterator[str]:
    """Yield the lines of a table of J&F per clip and object of these variants; of two rows, with the change."""
    rows = {name: [job for job in row if job.variant in variants] for name, row in jobs.items()}
    grid = [["object", *rows, *(["change"] if len(rows) == 2 else [])]]
    for same in zip(*rows.values(), strict=True):
        scores = [100 * object_scores(done[job.key], visible=visible).mean(axis=1) for job in same]
        clip = same[0].sequence if len(variants) == 1 else f"{same[0].variant} {same[0].sequence}"
        for k, cells in enumerate(zip(*scores, strict=False), 1):
            change = [f"{cells[1] - cells[0]:+.1f}"] if len(cells) == 2 else []
            grid.append([f"{clip} {k}", *(f"{each:.1f}" for each in cells), *change])
    yield from markdown(grid)


def markdown(grid: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table whose first line is its head."""
    for index, line in enumerate(grid):
        yield f"| {' | '.join(line)} |".replace("|  |", "| |")
        if not index:
            yield "| --- |" + " ---: |" * (len(line) - 1)


def around(place: str) -> tuple[Path, str, str]:
    """Return the file of ``FILE:NAME``, its text up to the first mark, and its text from the second mark on."""
    file, _, name = place.rpartition(":")
    path, begin, end = Path(file), f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if text.count(begin) != 1 or text.partition(begin)[2].count(end) != 1:
        raise SystemExit(f"--write {place}: FILE must hold {begin.strip()} and after it {end}, once each")
    head, _, rest = text.partition(begin)
    return path, head + begin, end + rest.partition(end)[2]


def write_between(place: str, lines: Sequence[str]) -> None:
    """Put lines between the two marks of ``FILE:NAME``; the file is replaced whole, or not at all."""
    path, head, tail = around(place)
    part = path.with_suffix(".part")
    part.write_text(head + "".join(f"{line}\n" for line in lines) + tail, encoding="utf-8")
    part.replace(path)
