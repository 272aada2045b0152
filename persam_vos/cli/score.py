"""The command that scores results which exist already."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from persam_vos.cli.groups import takes_groups
from persam_vos.cli.options import DavisOptions, Quiet, names_of
from persam_vos.cli.status import say, show


@takes_groups
def score(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="Folder of results: a folder of PNGs per sequence.")
    ],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of DAVIS: Annotations, ImageSets.")],
    choice: DavisOptions,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the tables.  [default: RESULTS]"),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Score PNGs that exist already, as DAVIS does."""
    from tqdm import tqdm

    from persam_vos.evaluation import score_davis

    with tqdm(unit="frame", disable=quiet or sys.stderr is None or None, leave=False) as bar:

        def on_score(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        chosen: dict[str, Any] = choice.given() | {"sequences": names_of(choice.sequences)}
        scores = score_davis(results, root, progress=on_score, **chosen)
    scores.write(output or results)
    for warning in scores.warnings:
        say(f"warning: {warning}")
    show(scores.table())
