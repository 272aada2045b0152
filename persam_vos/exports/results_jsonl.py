"""The results of a photo, and the list of them that a run writes, read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persam_vos.errors import OutputError
from persam_vos.exports.photo_names import is_name
from persam_vos.masks import ArrayRecord, LabelMap
from persam_vos.results import ObjectResult

RESULTS_JSONL = "results.jsonl"
_LINE_START = b'{"photo": "'


@dataclass(frozen=True, slots=True, repr=False)
class PhotoResult(ArrayRecord):
    """The objects found in one photo.

    Attributes:
        photo: The file, as it was given.
        name: The name of its output files: relative to the output's folders, with ``/`` and without a suffix, for
            example ``beach/IMG_01``; see ``output_names``.
        label_map: uint8, H x W; 0 is background, n is object n.
        objects: One entry per object, in rising order of id, including absent ones.
    """

    photo: Path
    name: str
    label_map: LabelMap
    objects: tuple[ObjectResult, ...]


def read_results(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Read the ``results.jsonl`` of a ``PhotoWriter`` line by line.

    Args:
        path: The file. An incomplete last line, left by a killed run, is skipped.

    Yields:
        The record of a line, and the byte at which the line ends.

    Raises:
        OutputError: If a line was not written by a ``PhotoWriter``.
        OSError: If it cannot be read.
    """
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            record = _parse(line)
            if record is None:
                if _is_torn(line):
                    return
                raise OutputError(
                    f"{path}: line {number} is not a result of a photo, so the file is neither continued nor replaced; "
                    "move it away or give another --output"
                )
            end += len(line)
            yield record, end


def _is_torn(line: bytes) -> bool:
    """Tell whether a line was begun by a ``PhotoWriter`` and not finished; a power cut may leave zeros at its end."""
    begun = line.rstrip(b"\0")
    return not line.endswith(b"\n") and (begun.startswith(_LINE_START) or _LINE_START.startswith(begun))


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the record of a complete line of a ``PhotoWriter``; None for any other line."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("photo"), str):
        return None
    if "error" in record:
        return record if isinstance(record["error"], str) and "name" not in record else None
    return record if is_name(record.get("name")) else None
