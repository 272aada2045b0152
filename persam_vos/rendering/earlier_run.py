"""What the folder of a run says of its masks: names and colours of objects, how files are named, and the tracks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from persam_vos.errors import MaskError, PromptError, reason
from persam_vos.exports.prompt_masks import PROMPTS_JSON
from persam_vos.exports.run_record import RUN_JSON
from persam_vos.prompts import MAX_ID, NamedObject, VideoPrompts
from persam_vos.prompts.prompts_json import read_prompts

_DAMAGES = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a file of JSON raises whose values are others than expected."""


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """The folder of a run.

    Attributes:
        folder: The folder.
        settings: Of the run, by name.
        ids: Of its objects.
        objects: Those that have names or colours.
        start: The first frame that was tracked.
        stride: Every so many-th frame was tracked.
    """

    folder: Path
    settings: Mapping[str, Any]
    ids: tuple[int, ...]
    objects: tuple[NamedObject, ...]
    start: int = 0
    stride: int = 1

    @property
    def masks(self) -> Path:
        """The folder of its masks."""
        return self.folder / "masks"


def read_earlier_run(folder: Path) -> EarlierRun | None:
    """Read the folder of a run, or its folder of masks; None if it is no such folder.

    Raises:
        MaskError: If the run has no masks, or its run.json cannot be read.
        PromptError: If its prompts.json cannot be read.
    """
    if not (folder / RUN_JSON).is_file() and folder.name == "masks" and (folder.parent / RUN_JSON).is_file():
        folder = folder.parent
    if not (folder / RUN_JSON).is_file():
        return None
    try:
        record = json.loads((folder / RUN_JSON).read_text(encoding="utf-8"))
        found = _run_of(folder, record)
    except (*_DAMAGES, PromptError) as error:
        raise MaskError(
            f"{folder / RUN_JSON}: is not of a run on video ({reason(error)}); give a folder of masks without run.json"
        ) from error
    if not found.masks.is_dir():
        raise MaskError(f"{folder}: has no masks; run it with --export masks")
    # What was rendered has no prompts: those beside it are of the run that was there before.
    if "masks" not in record and (folder / PROMPTS_JSON).is_file():
        return _as_asked(found, read_prompts(folder / PROMPTS_JSON))
    return found


def _run_of(folder: Path, record: dict[str, Any]) -> EarlierRun:
    """Return what a run.json says; raises anything of ``_DAMAGES``, or ``PromptError``, if it is none."""
    ids = tuple(int(each) for each in record["objects"])
    names = {int(each): str(name) for each, name in record.get("names", {}).items()}
    colours = {int(each): str(colour) for each, colour in record.get("colors", {}).items()}
    objects = [NamedObject(each, names.get(each, ""), colours.get(each, "")) for each in sorted({*names, *colours})]
    start, stride = int(record.get("frames_from", 0)), int(record.get("stride", 1))
    if not all(1 <= each <= MAX_ID for each in ids) or start < 0 or stride < 1:
        raise ValueError("an object, frames_from or stride is out of range")
    return EarlierRun(folder, dict(record["settings"]), ids, tuple(objects), start, stride)


def _as_asked(run: EarlierRun, asked: VideoPrompts) -> EarlierRun:
    """Return a run with the names, colours and range of its prompts."""
    objects = tuple(({each.id: each for each in run.objects} | {each.id: each for each in asked.objects}).values())
    if asked.range is None:
        return replace(run, objects=objects)
    return replace(run, objects=objects, start=int(asked.range.start or 0), stride=asked.range.stride)


class EarlierTracks:
    """Reads ``tracks.jsonl`` in step with the frames: memory does not grow with their number.

    Args:
        path: The file; None, or one that is not there, has no records.
    """

    def __init__(self, path: Path | None) -> None:
        self._frames = self._read(path) if path is not None and path.is_file() else iter(())
        self._next: tuple[int, dict[int, dict[str, Any]]] | None = next(self._frames, None)

    def of_frame(self, index: int) -> Mapping[int, Mapping[str, Any]]:
        """Return the records of a frame by object; frames must be asked for in rising order.

        Raises:
            MaskError: If the file is damaged.
        """
        while self._next is not None and self._next[0] < index:
            self._next = next(self._frames, None)
        return self._next[1] if self._next is not None and self._next[0] == index else {}

    def _read(self, path: Path) -> Iterator[tuple[int, dict[int, dict[str, Any]]]]:
        try:
            with path.open(encoding="utf-8") as file:
                for index, records in groupby(map(json.loads, file), key=lambda record: int(record["frame"])):
                    yield index, {int(record["object"]): _checked(record) for record in records}
        except _DAMAGES as error:
            raise MaskError(f"{path}: cannot be read as the tracks of a run ({reason(error)})") from error


def _checked(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record whose score and similarity are numbers, or None; raises anything of ``_DAMAGES`` otherwise."""
    numbers = {key: record[key] for key in ("score", "similarity") if key in record}
    return {**record, **{key: None if number is None else float(number) for key, number in numbers.items()}}
