"""What prompts and corrections are worth: J&F by how an object is given, by keyframes, and by corrected frames.

    python scripts/experiments/keyframes.py DAVIS --year 2016 --cache CACHE --stride 3

For each sequence: the objects of the first frame given by their true masks, their boxes, one click and three clicks;
true masks on one, two and three frames (first; and middle; and last); and three corrections by true masks, each on the
frame that ``Session.doubtful`` names first, or on evenly spaced frames. The frames of keyframes count as well, since a
user gets them too; the second table leaves them out. Clicks are made as in ``prompts.py``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from prompts import next_click

from persam_vos.evaluation import DavisDataset, score_label_maps
from persam_vos.masks import LabelMap, box_xyxy
from persam_vos.prompts import Point
from persam_vos.video.session.session import Session

Scores = npt.NDArray[np.float64]


def main() -> None:
    """Measure, and print the tables."""
    arguments = parser().parse_args()
    dataset = DavisDataset(arguments.root, arguments.year, "val")
    chosen = arguments.sequences.split(",") if arguments.sequences else dataset.sequences
    rows: dict[str, list[float]] = {}
    without: dict[str, list[float]] = {}
    for sequence in chosen:
        measured = Sequences(dataset, sequence, arguments)
        for name, (everywhere, elsewhere) in measured.rows().items():
            rows.setdefault(name, []).append(everywhere)
            without.setdefault(name, []).append(elsewhere)
        print(sequence, {name: round(values[-1], 1) for name, values in rows.items()}, flush=True)
    print(f"| given | J&F, {len(chosen)} sequences | without keyframes |\n| --- | --- | --- |")
    for name, values in rows.items():
        print(f"| {name} | {np.mean(values):.1f} | {np.nanmean(without[name]):.1f} |")


class Sequences:
    """One sequence, with its truth."""

    def __init__(self, dataset: DavisDataset, sequence: str, arguments: argparse.Namespace) -> None:
        self._folder = dataset.frames(sequence)[0].parent
        self._arguments = arguments
        annotations = dataset.annotations(sequence)
        self._truth = {i: dataset.label_map(path) for i, path in enumerate(annotations)}
        self._truth[0] = dataset.first_label_map(sequence)
        self._end = min(len(annotations), arguments.frames * arguments.stride)

    def rows(self) -> dict[str, tuple[float, float]]:
        """Return J&F in percent of all frames, and of those without a keyframe, by how the objects are given."""
        found: dict[str, tuple[float, float]] = {}
        frames = range(0, self._end, self._arguments.stride)
        for name, clicks, boxed in (("box", 0, True), ("1 click", 1, False), ("3 clicks", 3, False)):
            with self._session() as session:
                self._prompt(session, clicks, boxed=boxed)
                session.propagate()
                found[name] = self._scored(session, [0])
        for count, places in enumerate(([0], [0, 1], [0, 1, 2]), 1):
            marks = [frames[0], frames[len(frames) // 2], frames[-1]]
            with self._session() as session:
                self._annotate(session, [marks[i] for i in places])
                start = time.perf_counter()
                session.propagate()
                seconds = time.perf_counter() - start
                found[f"{count} keyframe(s)"] = self._scored(session, [marks[i] for i in places])
        for name in ("evenly spaced", "named by doubtful"):
            with self._session() as session:
                self._annotate(session, [0])
                session.propagate()
                marks = [frames[round((k + 1) * len(frames) / 4)] for k in range(3)]
                done = [0]
                for mark in marks:
                    if name != "evenly spaced":
                        if not done[1:]:
                            self._judge(session, found)
                        mark = session.doubtful(1)[0].frame
                    done.append(mark)
                    self._annotate(session, [mark])
                    start = time.perf_counter()
                    session.propagate()
                    seconds = time.perf_counter() - start
                    found[f"{name}, {len(done) - 1}"] = self._scored(session, done)
                found[f"{name}, seconds of the last correction"] = (seconds, seconds)
        return found

    def _judge(self, session: Session, found: dict[str, tuple[float, float]]) -> None:
        """Note how many of the worst tenth of the frames are among as many frames that are named."""
        scores = {index: float(self._score(session, index).mean()) for index in session.frames if index}
        count = max(len(scores) // 10, 1)
        worst = set(sorted(scores, key=lambda index: scores[index])[:count])
        named = {each.frame for each in session.doubtful(count)}
        share = 100 * len(worst & named) / count
        near = 100 * np.mean([min(abs(i - j) for j in named) <= 2 * session.frames.step for i in worst])
        found["worst tenth named, percent; within two frames"] = (share, float(near))

    def _session(self) -> Session:
        return Session(
            self._folder,
            stride=self._arguments.stride,
            end=self._end,
            cache=self._arguments.cache,
            cache_limit=20 * 10**9,
            precision="float32",
        )

    def _annotate(self, session: Session, marks: Sequence[int]) -> None:
        for mark in marks:
            for number in np.unique(self._truth[0][self._truth[0] > 0]).tolist():
                mask = self._truth[mark] == number
                known = {each.id: each for each in session.objects}
                if number not in known and mask.any():
                    session.add(mark, mask=mask, id=number)
                elif number in known and mask.any():
                    known[number].correct(mark, mask=mask)
                elif number in known:
                    known[number].absent(mark)

    def _prompt(self, session: Session, clicks: int, *, boxed: bool) -> None:
        for number in np.unique(self._truth[0][self._truth[0] > 0]).tolist():
            truth = self._truth[0] == number
            if boxed:
                session.add(0, box=box_xyxy(truth), id=number)
                continue
            points: list[Point] = []
            mask = np.zeros_like(truth)
            for _ in range(clicks):
                points.append(next_click(mask, truth))
                if number in {each.id for each in session.objects}:
                    session.remove(number)
                mask = session.add(0, points=points, id=number).keyframes[0]

    def _scored(self, session: Session, keyframes: Sequence[int]) -> tuple[float, float]:
        scores = {index: 100 * float(self._score(session, index).mean()) for index in session.frames}
        elsewhere = [score for index, score in scores.items() if index not in keyframes]
        return float(np.mean([*scores.values()])), float(np.mean(elsewhere))

    def _score(self, session: Session, index: int) -> Scores:
        truth: LabelMap = self._truth[index]
        return score_label_maps(session[index].label_map, truth, int(self._truth[0][self._truth[0] < 255].max()))


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("root", type=Path, help="a DAVIS folder")
    options.add_argument("--year", type=int, choices=(2016, 2017), default=2017)
    options.add_argument("--cache", type=Path, required=True, help="folder for embeddings")
    options.add_argument("--stride", type=int, default=1)
    options.add_argument("--frames", type=int, default=1000, help="of each sequence, at most")
    options.add_argument("--sequences", default="", help="only these, with commas")
    return options


if __name__ == "__main__":
    main()
