"""What the writers of results share: how an object is written down, and what stands in a file's way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from persam_vos.errors import MaskSizeError, OutputError, reason
from persam_vos.frame import Rgb
from persam_vos.objects import LabelMap, ObjectResult

_DECIMALS = 6  # of scores in text; far below their noise


def object_record(entry: ObjectResult) -> dict[str, Any]:
    """Return what a line of JSON says of an object.

    Keys: object, present, score, similarity, area, box_xyxy. A number that is not finite becomes None, since JSON has
    none such.
    """
    return {
        "object": int(entry.object_id),
        "present": bool(entry.present),
        "score": _number(entry.score),
        "similarity": _number(entry.similarity),
        "area": int(entry.area),
        "box_xyxy": None if entry.box_xyxy is None else [int(value) for value in entry.box_xyxy],
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), _DECIMALS)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Make an ``OutputError`` that names ``path`` of whatever the system or FFmpeg says while writing."""
    try:
        yield
    except OutputError:
        raise
    except (OSError, av.FFmpegError) as error:
        raise OutputError(f"{path}: cannot be written ({reason(error)})") from error


def check_file(path: Path) -> None:
    """Raise ``OutputError`` if a file cannot take the place of what is there."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, where a file is to be written; move it away")


def check_size(label_map: LabelMap, rgb: Rgb, name: str) -> None:
    """Raise ``MaskSizeError`` unless a label map has the size of the picture of that name."""
    if label_map.shape != rgb.shape[:2]:
        (height, width), (rows, columns) = label_map.shape, rgb.shape[:2]
        raise MaskSizeError(f"label map is {height} x {width}, {name} is {rows} x {columns}")
