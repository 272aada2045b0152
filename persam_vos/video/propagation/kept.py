"""What a run with keyframes on any frames keeps in its folder, so that a later run goes on with it.

An unfinished run keeps the embeddings and masks that it has made, and says what it is. A finished one keeps the masks
of each object, so that other prompts cost only what they change.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from persam_vos.errors import PersamVosError
from persam_vos.exports.run_record import RUN_JSON
from persam_vos.files import output_errors

MASKS = "masks.sqlite"
KEPT = ".propagation.partial"
"""Its name in the folder of the results."""


def open_kept(output: Path, *, anew: bool = False) -> Path:
    """Return the folder in the folder of the results; it is made if it is missing.

    Args:
        output: The folder of the results.
        anew: Whether what an earlier run has kept goes.

    Raises:
        OutputError: If it cannot be made.
    """
    folder = output / KEPT
    if anew:
        remove_kept(output)
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def told_of() -> Iterator[None]:
    """Let the message of an error in the ``with`` block say that what is done is kept."""
    try:
        yield
    except PersamVosError as error:
        raise type(error)(f"{error}; what is done is kept, and --resume goes on with it") from error


def finish_kept(output: Path) -> None:
    """Keep the masks, and what the run is until its results are complete; never raises."""
    for path in (output / KEPT).glob("*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != RUN_JSON and not path.name.startswith(MASKS):
            path.unlink(missing_ok=True)


def forget_unfinished(output: Path) -> None:
    """Note that the results are complete.

    Raises:
        OutputError: If that fails.
    """
    with output_errors(output / KEPT):
        (output / KEPT / RUN_JSON).unlink(missing_ok=True)


def remove_kept(output: Path) -> None:
    """Remove the folder; never raises."""
    shutil.rmtree(output / KEPT, ignore_errors=True)


def unfinished_record(output: Path) -> dict[str, Any] | None:
    """Return what the run.json of an unfinished run says; None if there is no such run, or it cannot be read."""
    try:
        record = json.loads((output / KEPT / RUN_JSON).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
