"""Whether files under final names are whole, what is left beside them, and in what two folders of results differ."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import av
import numpy as np
from PIL import Image

FILMS = frozenset({".mp4", ".mov", ".webm"})
_PICTURES = frozenset({".png", ".jpg", ".jpeg"})
# They tell of times and of the machine; a report shows some of them.
_TELL_OF_TIME = frozenset({"run.json", "report.html", "batch.json", "index.jsonl", "studio.lock"})
_LEFT_BY_DESIGN = frozenset({".propagation.partial"})
"""A finished run with keyframes keeps its masks there, so that other prompts cost only what they change."""
_CLOSE = 12.0
"""Mean difference of two films, of 255, of which one was encoded in other parts."""


def broken_files(folder: Path) -> list[str]:
    """Return what is wrong with each file that has a final name."""
    found = []
    for path in _final_files(folder):
        try:
            _read(path)
        except Exception as error:
            found.append(f"{path.relative_to(folder)}: {type(error).__name__} {error}"[:200])
    return found


def leftovers(folder: Path) -> list[str]:
    """Return what has a temporary name."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.name.endswith((".partial", "-wal", "-shm", "-journal")) and not _LEFT_BY_DESIGN & {*path.parts}
    )


def differences(expected: Path, found: Path, *, same_parts: bool = True) -> list[str]:
    """Return in which files two folders differ, as far as they do not tell of times.

    Args:
        expected: What an uninterrupted command has written.
        found: What another one has.
        same_parts: Whether films are to have the same packets, or only to look alike: where a run was told to stop
            between two checkpoints, its films are encoded in other parts.
    """
    names = [{str(path.relative_to(folder)) for path in _final_files(folder)} for folder in (expected, found)]
    differ = sorted(f"{name}: is {'missing' if name in names[0] else 'too much'}" for name in names[0] ^ names[1])
    for name in sorted(names[0] & names[1]):
        pair = expected / name, found / name
        if pair[0].name in _TELL_OF_TIME:
            continue
        if pair[0].suffix in FILMS:
            is_same = _packets(pair[0]) == _packets(pair[1]) or (not same_parts and _look_alike(*pair))
        elif pair[0].suffix == ".sqlite":
            is_same = True
        else:
            is_same = pair[0].read_bytes() == pair[1].read_bytes()
        if not is_same:
            differ.append(f"{name}: is another one")
    return differ


def frames_lost(differ: list[str], folders: tuple[str, ...] = ("masks",)) -> int:
    """Return how many masks are among what differs."""
    return sum(Path(line.split(": ")[0]).parent.name in folders for line in differ)


def _final_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and not path.name.endswith((".partial", "-wal", "-shm", "-journal")):
            yield path


def _read(path: Path) -> None:
    """Read a file to its end; raises whatever is wrong with it."""
    readers: dict[str, Callable[[Path], object]] = {
        **dict.fromkeys(FILMS, _packets),
        **dict.fromkeys(_PICTURES, _read_picture),
        ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
        ".jsonl": _read_lines,
        ".html": _read_page,
        ".sqlite": _read_database,
    }
    if path.suffix in readers:
        readers[path.suffix](path)


def _read_picture(path: Path) -> None:
    with Image.open(path) as picture:
        picture.load()


def _read_lines(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    # Of results.jsonl, which grows under its name, a line that is not complete counts as not there.
    grows = path.name in ("results.jsonl", "index.jsonl")
    for number, line in enumerate(lines, start=1):
        if not (grows and number == len(lines) and not line.endswith(b"\n")):
            json.loads(line)


def _read_page(path: Path) -> None:
    if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError("the page is cut")


def _read_database(path: Path) -> None:
    """Check a copy, since reading mends what a process that died has left."""
    with tempfile.TemporaryDirectory() as copies:
        for part in path.parent.glob(f"{path.name}*"):
            shutil.copy(part, copies)
        with closing(sqlite3.connect(Path(copies) / path.name)) as data:
            ((answer,),) = data.execute("pragma integrity_check").fetchall()
    if answer != "ok":
        raise ValueError(answer)


def _packets(path: Path) -> list[tuple[str, int | None, int | None, bytes]]:
    """Return the packets of all streams of a film, after all of it was decoded."""
    with av.open(str(path)) as container:
        for _ in container.decode(video=0):
            pass
    with av.open(str(path)) as container:
        return sorted(
            (packet.stream.type, packet.pts, packet.duration, bytes(packet))
            for packet in container.demux()
            if packet.pts is not None
        )


def _look_alike(expected: Path, found: Path) -> bool:
    pairs = []
    for path in (expected, found):
        with av.open(str(path)) as container:
            pairs.append([(each.pts, each.to_ndarray(format="rgb24")) for each in container.decode(video=0)])
    if [pts for pts, _ in pairs[0]] != [pts for pts, _ in pairs[1]]:
        return False
    return all(
        float(np.abs(rgb.astype(int) - other).mean()) < _CLOSE for (_, rgb), (_, other) in zip(*pairs, strict=True)
    )
