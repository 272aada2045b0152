"""Reads the tracks of a run as series of numbers: one per object, over its frames."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from persam_vos.errors import OutputError, reason

_NONE = float("nan")


@dataclass(slots=True)
class ObjectSeries:
    """What is known of an object in each of F frames, in their order.

    Attributes:
        id: The object's value in label maps.
        name: Its name; "" for none.
        frames: Indices of the frames.
        times: In seconds.
        scores: 0..1; NaN where the object is absent.
        similarities: -1..1; NaN where it is absent or unknown.
        areas: In pixels.
        boxes: Four numbers a frame, x0, y0, x1, y1 in pixels, inclusive; NaN where it is absent.
        keyframes: 1 where a person has said where it is, else 0.
    """

    id: int
    name: str = ""
    frames: array[int] = field(default_factory=lambda: array("q"))
    times: array[float] = field(default_factory=lambda: array("d"))
    scores: array[float] = field(default_factory=lambda: array("f"))
    similarities: array[float] = field(default_factory=lambda: array("f"))
    areas: array[int] = field(default_factory=lambda: array("q"))
    boxes: array[float] = field(default_factory=lambda: array("f"))
    keyframes: array[int] = field(default_factory=lambda: array("b"))

    def box(self, position: int) -> tuple[int, int, int, int] | None:
        """Return x0, y0, x1, y1 in the frame at a position; None where the object is absent."""
        x0, y0, x1, y1 = self.boxes[4 * position : 4 * position + 4]
        return None if x0 != x0 else (int(x0), int(y0), int(x1), int(y1))

    def _add(self, record: dict[str, Any]) -> None:
        present = bool(record["present"])
        self.frames.append(record["frame"])
        self.times.append(record["time"])
        self.scores.append(_number(record["score"]) if present else _NONE)
        self.similarities.append(_number(record["similarity"]))
        self.areas.append(record["area"])
        left, top, right, bottom = record["box_xyxy"] if present else [_NONE] * 4
        self.boxes.extend((left, top, right, bottom))
        self.keyframes.append(record["keyframe"])


def read_series(tracks: Path) -> list[ObjectSeries]:
    """Read ``tracks.jsonl``: some 60 bytes of memory a line.

    Returns:
        In rising order of ids.

    Raises:
        OutputError: If it cannot be read, or holds something else.
    """
    found: dict[int, ObjectSeries] = {}
    try:
        with tracks.open(encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                series = found.setdefault(record["object"], ObjectSeries(record["object"], record["name"] or ""))
                series._add(record)
        return [found[number] for number in sorted(found)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise OutputError(f"{tracks}: cannot be read for the report ({reason(error)})") from error


def _number(value: float | None) -> float:
    return _NONE if value is None else value
