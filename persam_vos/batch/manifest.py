"""A manifest, JSONL or CSV, or a folder of clips with a folder of masks, becomes clips; all wrong lines are told."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persam_vos.batch.clips import BatchClip, same_name
from persam_vos.batch.lines import LineError, LineReader, as_values
from persam_vos.errors import ManifestError, reason
from persam_vos.files import PHOTO_SUFFIXES, is_clutter, natural_order, real_path
from persam_vos.text_files import each_key_once

MAX_LINE_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 28
MAX_CLIPS = 1_000_000
MOST_FAULTS = 100
"""Faults that are told; more are counted."""

_CSV = ".csv"
_MASK_SUFFIXES = (*sorted(PHOTO_SUFFIXES), ".json")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The clips of a batch.

    Attributes:
        source: The file, or the folder of clips.
        clips: In order; at least one.
        sha256: Of what the file, or the folder, lists: 64 hexadecimal digits.
        warnings: What is doubtful.
    """

    source: Path
    clips: tuple[BatchClip, ...]
    sha256: str
    warnings: tuple[str, ...] = ()


def read_manifest(path: Path, *, config: Path | None, flags: Mapping[str, Any]) -> Manifest:
    """Read the lines of a manifest; none of the files that it names is opened.

    Args:
        path: JSONL, or CSV with the suffix ``.csv``.
        config: YAML file of settings for all clips, or None.
        flags: Settings for all clips, which win over the file; what a line says wins over both.

    Raises:
        ManifestError: If the file cannot be read, or lines are wrong; ``faults`` has all of them.
        SettingsError: If the file of settings or a flag is not allowed.
    """
    if path.is_dir():
        raise ManifestError(f"{path}: is a folder; pass --masks-from MASKS, a folder of masks with its clips' names")
    reader, clips, faults = LineReader(path.parent, config, flags), [], []
    digest = hashlib.sha256()
    lines = _numbered_lines(path, digest.update)
    for number, values in _rows(path, lines) if path.suffix.lower() == _CSV else _objects(lines):
        place = f"{path}, line {number}"
        try:
            if isinstance(values, LineError):
                raise values
            clips.append(reader.clip(values, place))
        except LineError as error:
            faults.append(f"{place}: {error}")
        except RecursionError:
            faults.append(f"{place}: holds lists within lists, too deep to be read")
        if len(clips) > MAX_CLIPS:
            raise ManifestError(f"{path}: has more than {MAX_CLIPS} clips; split it")
    return _checked(path, clips, faults, digest.hexdigest())


def clips_with_masks(folder: Path, masks: Path, *, config: Path | None, flags: Mapping[str, Any]) -> Manifest:
    """List the clips of a folder, each with the mask of its first frame, which has the same name in another folder.

    Args:
        folder: Of video files, and of folders of images; ``dog.mp4`` has the mask ``dog.png``, of any suffix.
        masks: Of the masks.
        config: As of ``read_manifest``.
        flags: As of ``read_manifest``.

    Raises:
        ManifestError: If one of the folders cannot be read, or a clip has no mask; ``faults`` has all of them.
        SettingsError: If the file of settings or a flag is not allowed.
    """
    found: dict[str, Path] = {}
    for mask in _listed(masks):
        if mask.suffix.lower() in _MASK_SUFFIXES:
            found.setdefault(mask.stem, mask)
    reader, clips, faults, names = LineReader(Path(), config, flags), [], [], []
    for video in _listed(folder):
        if real_path(video) == real_path(masks):
            continue
        name = video.name if video.is_dir() else video.stem
        names.append(name)
        try:
            if name not in found:
                raise LineError(f"has no mask {masks / name}.png, nor one of another suffix")
            said = {"id": name, "video": str(video), "mask": str(found[name])}
            clips.append(reader.clip(said, str(video)))
        except LineError as error:
            faults.append(f"{video}: {error}")
    digest = hashlib.sha256("\0".join(names).encode(errors="surrogateescape"))
    unused = sorted(set(found) - set(names))
    doubts = (f"{len(unused)} mask(s) of {masks} have no clip, such as {found[unused[0]].name}",) if unused else ()
    return _checked(folder, clips, faults, digest.hexdigest(), doubts)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted((each for each in folder.iterdir() if not _is_hidden(each.name)), key=natural_order)
    except OSError as error:
        raise ManifestError(f"{folder}: cannot be listed ({reason(error)}); give a folder") from error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or is_clutter(name)


def _checked(
    source: Path, clips: list[BatchClip], faults: list[str], sha256: str, warnings: tuple[str, ...] = ()
) -> Manifest:
    faults = [*faults, *_repeated(clips)]
    if faults:
        raise manifest_error(source, faults)
    if not clips:
        raise ManifestError(
            f'{source}: has no clip; give a line for each, such as {{"video": "dog.mp4", "mask": "dog.png"}}'
        )
    return Manifest(source, tuple(clips), sha256, warnings)


def manifest_error(source: Path, faults: list[str]) -> ManifestError:
    """Return the error that tells all faults."""
    told = faults[:MOST_FAULTS]
    if len(faults) > MOST_FAULTS:
        told.append(f"{source}: {len(faults) - MOST_FAULTS} more clips are wrong")
    return ManifestError(f"{source}: {len(faults)} clip(s) cannot be used, and nothing was begun", tuple(told))


def _repeated(clips: Iterable[BatchClip]) -> Iterator[str]:
    first: dict[str, BatchClip] = {}
    for clip in clips:
        other = first.setdefault(same_name(clip.id), clip)
        if other is not clip:
            alike = "is" if other.id == clip.id else f"is, but for upper and lower case, {other.id!r},"
            yield f"{clip.place}: id {clip.id!r} {alike} that of {other.place}; give each clip its own"


def _numbered_lines(path: Path, heard: Any) -> Iterator[tuple[int, str | LineError]]:
    """Yield each line with its number, from 1; hand all bytes over as they are read."""
    try:
        with path.open("rb") as file:
            number = size = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number, size = number + 1, size + len(line)
                heard(line)
                if size > MAX_FILE_BYTES:
                    raise ManifestError(f"{path}: has more than {MAX_FILE_BYTES >> 20} MiB; split it")
                if len(line) > MAX_LINE_BYTES:
                    raise ManifestError(f"{path}, line {number}: has more than {MAX_LINE_BYTES >> 20} MiB")
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    yield number, LineError(f"is no UTF-8 ({reason(error)})")
    except OSError as error:
        raise ManifestError(
            f"{path}: cannot be read ({reason(error)}); give a manifest, JSONL or CSV, with a line for each clip"
        ) from error


def _objects(lines: Iterable[tuple[int, str | LineError]]) -> Iterator[tuple[int, dict[str, Any] | LineError]]:
    """Yield what each line of JSONL says; empty lines say nothing."""
    for number, line in lines:
        if isinstance(line, LineError):
            yield number, line
        elif line.strip():
            yield number, _object(line)


def _object(line: str) -> dict[str, Any] | LineError:
    try:
        values = json.loads(line, object_pairs_hook=each_key_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        return LineError(f"is not JSON ({error.msg}, column {error.colno}); each line is an object of its own")
    except (ValueError, RecursionError) as error:
        return LineError(f"is not usable JSON ({reason(error)})")
    if not isinstance(values, dict):
        return LineError(f'holds {type(values).__name__}; a line is an object, such as {{"video": "dog.mp4", ...}}')
    return values


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _rows(path: Path, lines: Iterable[tuple[int, str | LineError]]) -> Iterator[tuple[int, dict[str, Any] | LineError]]:
    """Yield what each row of CSV says; its first row names the keys. A row is one line."""
    names: list[str] | None = None
    delimiter = ","
    for number, line in lines:
        if isinstance(line, LineError):
            yield number, line
            continue
        if not line.strip():
            continue
        if names is None:
            delimiter = next((each for each in ",;\t" if each in line), ",")
        try:
            (cells,) = csv.reader([line.rstrip("\r\n")], delimiter=delimiter, strict=True)
        except (csv.Error, ValueError) as error:
            yield number, LineError(f"is no row of CSV ({reason(error)})")
            continue
        if names is None:
            names = [cell.strip() for cell in cells]
            if len(set(names)) < len(names):
                raise ManifestError(f"{path}, line {number}: names a column twice")
        elif len(cells) > len(names):
            yield number, LineError(f"has {len(cells)} cells for {len(names)} columns; quote a cell that holds commas")
        else:
            yield number, _said(dict(zip(names, cells, strict=False)))


def _said(row: dict[str, str]) -> dict[str, Any] | LineError:
    try:
        return as_values(row)
    except LineError as error:
        return error
