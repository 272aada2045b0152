"""What is found in photos: the record of it, how it is named after the photo, and the list of it read back."""

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

_START = b'{"photo": "'  # of every line that we write


@dataclass(frozen=True, slots=True, repr=False)
class PhotoResult(ArrayRecord):
    """What was found in one photo.

    Attributes:
        photo: The file, as it was given.
        name: What its files are called: relative to the output's folders, with ``/`` and without a suffix, like
            ``beach/IMG_01``; see ``output_names``.
        label_map: uint8, H x W; 0 is background, n is object n.
        objects: One entry per object, in rising order of id, absent ones included.
    """

    photo: Path
    name: str
    label_map: LabelMap
    objects: tuple[ObjectResult, ...]


def read_results(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Read the ``results.jsonl`` that ``PhotoWriter`` writes, line by line.

    Args:
        path: The file. A last line that is not whole, because the run was killed while it wrote, is passed over.

    Yields:
        What a line says, and the byte at which the line ends.

    Raises:
        OutputError: If the file is not ours.
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
                    f"{path}: line {number} is no result of ours, so the file is neither continued nor replaced; move "
                    "it away or give another --output"
                )
            end += len(line)
            yield record, end


def _is_torn(line: bytes) -> bool:
    """Tell a line of ours of which the end is missing; a power cut may leave zeros there."""
    begun = line.rstrip(b"\0")
    return not line.endswith(b"\n") and (begun.startswith(_START) or _START.startswith(begun))


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return what a whole line of ours says, None of any other."""
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
