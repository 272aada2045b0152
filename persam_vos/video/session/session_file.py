"""A session on disk: a prompts.json, and beside it the masks of its keyframes, its settings and what was propagated."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from persam_vos.errors import OutputError, PromptError, SettingsError, reason
from persam_vos.files import output_errors, save_to_disk, whole_file, write_lines
from persam_vos.prompts import ObjectPrompt, Prompt, Span, VideoPrompts
from persam_vos.prompts.points import Point, as_box, as_point
from persam_vos.prompts.prompts_json import read_prompts, write_prompts
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.session.edition import Edition
from persam_vos.video.session.session_parts import SessionParts

_PROPAGATED = "propagated.sqlite"
_SETTINGS = "session.json"
_MENDED = "mended"
# Of the masks of keyframes; the digits of the hash are missing in older files.
_MASK_NAME = re.compile(r"[0-9]{5,}_[0-9]{1,3}(\.[0-9a-f]{12})?\.png")
# Where and how fast a session computes is another machine's own affair.
_OF_MACHINE = {"device", "backend", "precision", "batch_size"}


def folder_of(path: Path) -> Path:
    """Return the folder of the masks of a session's file: ``dog.masks`` for ``dog.json``."""
    return path.with_suffix(".masks")


def save_session(path: Path, edition: Edition, parts: SessionParts, *, propagated: bool = True) -> None:
    """Write a session.

    Masks have names that change with their pixels, and the file that names them is written after them: a process that
    dies on the way leaves the session as it was saved before, or as it is now.

    Args:
        path: Of the prompts.json.
        edition: What was said.
        parts: The video, its frames, its settings and its propagated masks.
        propagated: Whether these are saved as well.

    Raises:
        PromptError: If nothing was said.
        SettingsError: If the video has no path by which it could be opened again.
        OutputError: If something cannot be written.
    """
    if not parts.video.files:
        raise SettingsError("a session of arrays cannot be saved; give the video as a path")
    edition.check_objects()
    folder, prompts, said = folder_of(path), [], {}
    for place, each in edition.keyframes.items():
        mask = None if each.absent else _write_mask(folder, each)
        prompts.append(Prompt(*place, ObjectPrompt(mask=mask, absent=each.absent)))
        if mask is not None and (record := _record(edition.said.get(place), each)):
            said[mask.name] = record
    # Until the prompts are written, those of before hold: what their masks were made of stays known.
    former = {name: each for name, each in _read_records(folder).items() if (folder / name).is_file()}
    kept = {"settings": _chosen(parts.settings), "frame_rate": str(parts.frame_rate), "said": {**former, **said}}
    write_lines(folder / _SETTINGS, json.dumps(kept, indent=2))
    part = None if parts.is_whole else Span(parts.frames.start, parts.frames.stop, parts.frames.step)
    write_prompts(path, VideoPrompts(tuple(prompts), edition.objects, parts.video.info.source, part))
    if propagated:
        parts.store.save(folder / _PROPAGATED)
    _remove_other_masks(folder, prompts)


def read_saved(path: Path, options: Mapping[str, Any]) -> tuple[VideoPrompts, dict[str, Any]]:
    """Read a session's file, or any other prompts.json.

    Args:
        path: Of the file.
        options: Of ``Session``, which win over those that were saved.

    Returns:
        What the file says, and all options of ``Session`` with which it is opened.

    Raises:
        PromptError: If the file is no such thing, or names no video.
        SettingsError: If the options name a range, or what was saved cannot be read.
    """
    asked = read_prompts(path)
    if asked.video is None:
        raise PromptError(f"{path}: names no video; add its path as video")
    if given := [name for name in Span._fields if name in options]:
        raise SettingsError(f"{given[0]} is given, and {path} says which frames there are; change its range")
    file, part = folder_of(path) / _SETTINGS, asked.range or Span()
    saved = _read_options(file, whole="settings" not in options) if file.exists() else {}
    return asked, {**part._asdict(), **saved, **options}


def _read_options(file: Path, *, whole: bool) -> dict[str, Any]:
    """Return the frame rate that was saved, and if they are wanted the settings."""
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        return {"frame_rate": Fraction(saved["frame_rate"]), **(dict(saved["settings"]) if whole else {})}
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise SettingsError(
            f"{file}: cannot be read ({reason(error)}); remove it, and give the settings of the session anew"
        ) from error


def with_said(edition: Edition, path: Path, asked: VideoPrompts) -> Edition:
    """Return an edition that knows the box and points of which masks were made; others count as drawn.

    Args:
        edition: Of what the file says.
        path: Of a session's file.
        asked: What it says.
    """
    try:
        known = _read_records(folder_of(path))
        # The name of a mask changes with its pixels.
        masks = {each.says.mask.name: each for each in asked.prompts if each.says.mask is not None}
        places = {
            (each.frame, each.object_id): known[name]
            for name, each in masks.items()
            if name in known and each.frame is not None
        }
        said = {place: _says(record) for place, record in places.items() if _MENDED not in record}
        clicks = {place: _points(record[_MENDED]) for place, record in places.items() if _MENDED in record}
    except (ValueError, KeyError, TypeError, AttributeError):
        return edition
    keyframes = {
        place: replace(each, clicks=clicks[place]) if place in clicks else each
        for place, each in edition.keyframes.items()
    }
    return Edition(edition.objects, keyframes, {**edition.said, **said})


def _record(says: ObjectPrompt | None, keyframe: Keyframe) -> dict[str, Any]:
    """Return what a mask was made of, or the points that have mended it, as JSON; nothing for one that was drawn."""
    if says is not None:
        return says.record()
    return {_MENDED: [[x, y, int(positive)] for x, y, positive in keyframe.clicks]} if keyframe.clicks else {}


def _read_records(folder: Path) -> dict[str, Any]:
    """Return what masks in the folder of a session were made of, by name; nothing where that cannot be read."""
    try:
        return dict(json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))["said"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _says(record: Mapping[str, Any]) -> ObjectPrompt:
    """Return a box and points, of ``ObjectPrompt.record``."""
    box = as_box(record["box"]) if "box" in record else None
    return ObjectPrompt(box, _points(record.get("points", ())))


def _points(record: Sequence[Sequence[float]]) -> tuple[Point, ...]:
    return tuple(as_point(each) for each in record)


def load_masks(path: Path, store: FoundStore) -> set[int]:
    """Take the propagated masks of a session's file, if they are there and whole; else they are made anew.

    Returns:
        The ids of their objects, of which some may be gone from the session.
    """
    kept = folder_of(path) / _PROPAGATED
    with suppress(OutputError):
        if kept.is_file():
            store.load(kept)
        return {each.object_id for each in store.stretches()}
    return set()


def _chosen(settings: Settings) -> dict[str, Any]:
    """Return method, preset, and the settings that are others than theirs."""
    usual = Settings(method=settings.method, preset=settings.preset).model_dump(mode="json")
    given = settings.model_dump(mode="json", exclude=_OF_MACHINE)
    return {key: value for key, value in given.items() if key in ("method", "preset") or value != usual[key]}


def _write_mask(folder: Path, keyframe: Keyframe) -> Path:
    path = folder / f"{keyframe.frame:05d}_{keyframe.object_id}.{keyframe.digest[:12]}.png"
    if path.is_file():
        # A session of many keyframes is saved after each click.
        return path
    with whole_file(path) as partial:
        Image.fromarray(keyframe.mask.astype(np.uint8) * 255).save(partial, format="PNG")
        # It is never written again: a loss of power must not leave it empty.
        save_to_disk(partial)
    return path


def _remove_other_masks(folder: Path, prompts: Sequence[Prompt]) -> None:
    """Remove the masks of keyframes that these prompts do not name."""
    named = {each.says.mask for each in prompts}
    with output_errors(folder):
        for path in folder.iterdir():
            if _MASK_NAME.fullmatch(path.name) and path not in named:
                path.unlink()
