"""Whether a run on photos may go on where an earlier one was stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from persam_vos.errors import OutputError
from persam_vos.exports.results_jsonl import RESULTS_JSONL
from persam_vos.exports.run_record import RUN_JSON
from persam_vos.files import brief_list
from persam_vos.pipeline.record import differences

# Settings that do not change the results of the photos already done: the machine's, the limit above which photos are
# refused, what is written of each photo, and the path of the weights, whose hash is compared instead.
_NOT_OF_RESULTS = ("device", "backend", "precision", "batch_size", "max_megapixels", "export", "checkpoint")


def check_resumable(output: Path, record: dict[str, Any]) -> None:
    """Refuse to mix results of other references, weights, settings or versions: nobody could tell which is which.

    Args:
        output: The folder of both runs.
        record: What this run's run.json would say.

    Raises:
        OutputError: If an earlier run's run.json differs, or is missing beside results.
    """
    path = output / RUN_JSON
    if not path.exists():
        results = output / RESULTS_JSONL
        if results.exists() and results.stat().st_size:
            raise OutputError(
                f"{output}: holds {RESULTS_JSONL} but no {RUN_JSON}, so that nothing says how its results were made;"
                " pass --overwrite or another --output"
            )
        return
    try:
        changed = _changes(json.loads(path.read_text(encoding="utf-8")), record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(
            f"{path}: is no record of an earlier run of ours, so that nothing can be resumed; pass --overwrite or"
            " another --output"
        ) from error
    if changed:
        raise OutputError(
            f"{output}: was made with {brief_list(changed)}; resume with the same, or pass --overwrite or another"
            " --output"
        )


def _changes(earlier: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """Name what differs between two records, as far as results depend on it."""
    changed = differences(earlier, record, _NOT_OF_RESULTS)
    # Another version may have recorded something else of the references.
    same_version = earlier["versions"].get("persam-vos") == record["versions"].get("persam-vos")
    if same_version and _reference_identity(earlier) != _reference_identity(record):
        changed.append("other references")
    return changed


def _reference_identity(record: dict[str, Any]) -> list[list[Any]]:
    """Return what the references say, wherever their files lie."""
    keys = ("photo_sha256", "mask_sha256", "resize_mask", "mask_threshold", "invert_mask", "mask_ids")
    return [[each[key] for key in keys] for each in record["references"]]
