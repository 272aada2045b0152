"""A short video with its masks, exported as annotation tools take it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from persam_vos.exports.select import open_writers
from persam_vos.media import Frame, StreamInfo
from persam_vos.prompts import NamedObject
from persam_vos.results import FrameResult, ObjectResult

WIDTH, HEIGHT, FRAMES = 40, 30, 4
OBJECTS = (NamedObject(1, "dog", "#e6194b"), NamedObject(3, "Käfer & <Co>"), NamedObject(7, "dog"))
IDS = (1, 3, 7, 9)


def label_map_of(index: int) -> np.ndarray:
    """Object 1 has a hole, 3 has two parts, 7 is one pixel and absent at first, 9 never comes; frame 2 is empty."""
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    if index == 2:
        return label_map
    label_map[2:12, index : index + 12] = 1
    label_map[5:8, index + 4 : index + 7] = 0
    label_map[20:26, 3:9] = 3
    label_map[18:30, 25:40] = 3
    if index > 0:
        label_map[29, 0] = 7
    return label_map


def results(indices: Sequence[int] = range(FRAMES)) -> list[tuple[Frame, FrameResult]]:
    made = []
    for index in indices:
        label_map, time_base = label_map_of(index), Fraction(1, 25)
        areas = {each: int((label_map == each).sum()) for each in IDS}
        found = tuple(
            ObjectResult(each, area > 0, 0.25 * (index + 1) * (area > 0), None, area, None)
            for each, area in areas.items()
        )
        rgb = np.full((HEIGHT, WIDTH, 3), 40 * index, np.uint8)
        made.append((Frame(index, index, time_base, rgb), FrameResult(index, index, time_base, label_map, found)))
    return made


def info_of(**changes: Any) -> StreamInfo:
    values = {"source": Path("Häuser 1.mp4"), "frame_count": FRAMES, **changes}
    return StreamInfo(
        width=WIDTH, height=HEIGHT, frame_rate=Fraction(25), time_base=Fraction(1, 25), has_audio=False, **values
    )


def export(
    output: Path, name: str, indices: Sequence[int] = range(FRAMES), info: StreamInfo | None = None
) -> tuple[Path, list[str]]:
    """Write one export; return its path and its warnings."""
    writer = open_writers(output, [name], info=info or info_of(), objects=OBJECTS, overwrite=True)[1]
    for frame, result in results(indices):
        writer.write(frame, result)
    (path,) = writer.close()
    return path, writer.warnings
