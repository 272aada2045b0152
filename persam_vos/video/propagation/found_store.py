"""What was found of each object in each frame, on disk: so that a video of any length has its masks at hand."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from persam_vos.errors import OutputError
from persam_vos.files import whole_file
from persam_vos.masks import Mask, box_xyxy
from persam_vos.sam.regions import Region
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.found import Found, Outline, WalkState
from persam_vos.video.propagation.stretches import Direction, Stretch

_VERSION = 1
# Tells these files from other databases: "PVOS".
_APPLICATION = 0x50564F53
_TABLES = """
create table size (height integer, width integer) strict;
create table stretch (object integer, direction integer, start integer, frames text, signature text,
    primary key (object, direction, start)) strict;
create table found (object integer, direction integer, frame integer, top integer, left integer, height integer,
    width integer, area integer, pixels blob, score real, similarity real, reach text,
    primary key (direction, frame, object)) without rowid, strict;
create table keyframe (object integer, frame integer, digest text, top integer, left integer, height integer,
    width integer, primary key (object, frame)) without rowid, strict;
create table walk (work text, direction integer, frame integer, state blob) strict;
create index by_object on found (object, direction, frame);
"""


class FoundStore:
    """The propagated masks of a video.

    Each frame's masks are written by one transaction: a process that dies leaves whole frames only.
    """

    def __init__(self, path: Path | None, height: int, width: int) -> None:
        """Open or make a store.

        Args:
            path: Its file; None for one in memory that SQLite moves to the disk where it grows large.
            height: Of the frames, in pixels.
            width: Of the frames, in pixels.

        Raises:
            OutputError: If the file is no such store, or cannot be written.
        """
        self._size = height, width
        self._path = path
        with self._errors():
            # An empty name is a temporary database, which spills to disk and is gone when it is closed.
            self._data = sqlite3.connect("" if path is None else path, check_same_thread=False, isolation_level=None)
            version, application = (
                self._data.execute(f"pragma {name}").fetchone()[0] for name in ("user_version", "application_id")
            )
            empty = not self._data.execute("select count(*) from sqlite_master").fetchone()[0]
            if not empty and application != _APPLICATION:
                raise OutputError(f"{path}: is a database of another program; give another file")
            if not empty and version != _VERSION:
                raise OutputError(f"{path}: holds masks of another version of persam-vos; remove it")
            if path is None or os.access(path, os.W_OK):
                self._data.execute("pragma journal_mode=wal")
            self._data.execute("pragma synchronous=normal")
            if empty:
                known = f"pragma user_version={_VERSION}; pragma application_id={_APPLICATION}"
                made = f"insert into size values ({height}, {width}); {known}"
                self._data.executescript(f"begin; {_TABLES} {made}; commit;")
            of_masks = self._data.execute("select height, width from size").fetchone()
            if of_masks != self._size:
                given = " x ".join(map(str, of_masks or ("no",)))
                raise OutputError(
                    f"{path}: holds masks of {given} pixels, and the video has {height} x {width}; remove it"
                )

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._data.close()

    def save(self, path: Path) -> None:
        """Write a copy of everything into a file, which is complete once it has its name.

        Raises:
            OutputError: If it cannot be written.
        """
        with whole_file(path) as partial, self._errors():
            copied = sqlite3.connect(partial)
            try:
                self._data.backup(copied)
            finally:
                copied.close()

    def load(self, path: Path) -> None:
        """Take everything from a file that ``save`` has written, instead of what is here.

        Raises:
            OutputError: If it is no such file, or of a video of another size.
        """
        if not path.is_file():
            raise OutputError(f"{path}: no such file")
        saved = FoundStore(path, *self._size)
        try:
            with self._errors():
                saved._data.backup(self._data)
        finally:
            saved.close()

    def stretches(self) -> tuple[Stretch, ...]:
        """Return the stretches that are complete, without what they were learnt from."""
        with self._errors():
            rows = self._data.execute("select object, start, frames, signature from stretch").fetchall()
        with self._errors():
            found = tuple(Stretch(row[0], row[1], range(*_integers(row[2], 3)), (), row[3]) for row in rows)
            if not all(each.frames for each in found):
                raise ValueError("a stretch has no frame")
            return found

    def forget(self, stretches: Iterable[Stretch]) -> None:
        """Forget these stretches, and what was found in their frames."""
        with self._transaction():
            for each in stretches:
                ends = min(each.frames[0], each.frames[-1]), max(each.frames[0], each.frames[-1])
                self._data.execute(
                    "delete from found where object=? and direction=? and frame between ? and ?",
                    (each.object_id, each.direction, *ends),
                )
                self._data.execute("delete from stretch where signature=?", (each.signature,))

    def complete(self, stretches: Iterable[Stretch]) -> None:
        """Note that all frames of these stretches are there."""
        with self._transaction():
            for each in stretches:
                frames = f"{each.frames.start} {each.frames.stop} {each.frames.step}"
                row = (each.object_id, each.direction, each.start, frames, each.signature)
                self._data.execute("insert or replace into stretch values (?,?,?,?,?)", row)

    def walk(self, work: str) -> WalkState | None:
        """Return how far a piece of work has come that was not finished; None if nothing is left of it."""
        with self._errors():
            row = self._data.execute("select direction, frame, state from walk where work=?", (work,)).fetchone()
        return None if row is None else WalkState(1 if row[0] == 1 else -1, row[1], row[2])

    def keep_walk(self, work: str, state: WalkState | None) -> None:
        """Keep how far a piece of work has come, instead of all earlier ones; None where it is finished."""
        with self._transaction():
            self._data.execute("delete from walk")
            if state is not None:
                row = (work, state.direction, state.frame, state.trackings)
                self._data.execute("insert into walk values (?,?,?,?)", row)

    def replace_keyframes(self, keyframes: Iterable[Keyframe]) -> list[tuple[int, Region]]:
        """Keep where keyframes are; return the frame and place of each that has changed, come or gone."""
        now = {}
        for each in keyframes:
            packed = _packed(each.mask)
            digest = hashlib.sha256(packed[-1]).hexdigest()
            now[each.object_id, each.frame] = (digest, *packed[:4])
        with self._transaction():
            rows = self._data.execute("select object, frame, digest, top, left, height, width from keyframe").fetchall()
            earlier = {row[:2]: row[2:] for row in rows}
            self._data.execute("delete from keyframe")
            self._data.executemany(
                "insert into keyframe values (?,?,?,?,?,?,?)", [(*key, *place) for key, place in now.items()]
            )
        differ = {*now.items()} ^ {*earlier.items()}
        return [(frame, Region.at(*place[1:])) for (_, frame), place in sorted(differ)]

    def put(self, direction: Direction, frame: int, found: Iterable[Found]) -> None:
        """Keep what was found in a frame."""
        with self._transaction():
            for each in found:
                self._data.execute(
                    "insert or replace into found values (?,?,?,?,?,?,?,?,?,?,?,?)",
                    (each.object_id, direction, frame, *_packed(each.mask), each.score, each.similarity,
                     " ".join(map(str, _numbers(each.reach)))),
                )  # fmt: skip

    def get(self, direction: Direction, frame: int) -> dict[int, Found]:
        """Return what was found in a frame, by object."""
        with self._errors():
            rows = self._data.execute(
                "select object, top, left, height, width, pixels, score, similarity, reach from found"
                " where direction=? and frame=?",
                (direction, frame),
            ).fetchall()
        return {row[0]: self._unpacked(*row) for row in rows}

    def outlines(self, frame: int) -> dict[tuple[int, Direction], Outline]:
        """Return what was found in a frame, by object and direction, without its pixels."""
        with self._errors():
            rows = self._data.execute(
                "select object, direction, top, left, height, width, area, score from found"
                " where direction in (1, -1) and frame=?",
                (frame,),
            ).fetchall()
        return {
            (row[0], 1 if row[1] == 1 else -1): Outline(Region.at(*row[2:6]) if row[6] else None, row[6], row[7])
            for row in rows
        }

    def reaches(self, stretch: Stretch) -> list[tuple[int, Region]]:
        """Return the index of each frame of a stretch where it was found, and the pixels it competed in there."""
        ends = min(stretch.frames[0], stretch.frames[-1]), max(stretch.frames[0], stretch.frames[-1])
        with self._errors():
            rows = self._data.execute(
                "select frame, reach from found where object=? and direction=? and frame between ? and ?",
                (stretch.object_id, stretch.direction, *ends),
            ).fetchall()
        with self._errors():
            return [(frame, Region.at(*_integers(reach, 4))) for frame, reach in rows]

    def _unpacked(
        self, number: int, top: int, left: int, height: int, width: int, pixels: bytes, score: float,
        similarity: float | None, reach: str,
    ) -> Found:  # fmt: skip
        mask = np.zeros(self._size, np.bool_)
        with self._errors():
            if height:
                window = mask[top : top + height, left : left + width]
                if min(top, left) < 0 or window.shape != (height, width):
                    raise ValueError("a mask lies outside the frame")
                # No more is unpacked than the window holds.
                bits = zlib.decompressobj().decompress(pixels, (height * width + 7) // 8)
                window[:] = np.unpackbits(np.frombuffer(bits, np.uint8), count=height * width).reshape(height, width)
            return Found(number, mask, score, similarity, Region.at(*_integers(reach, 4)))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._data.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._data.execute("rollback")
                raise
            self._data.execute("commit")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise ``OutputError`` for what goes wrong with the file."""
        try:
            yield
        except sqlite3.Error as error:
            raise OutputError(f"{self._path or 'temporary masks'}: masks cannot be kept there ({error})") from error
        except (ValueError, TypeError, AttributeError, MemoryError, zlib.error) as error:
            raise OutputError(f"{self._path or 'temporary masks'}: is damaged; remove it") from error


def _packed(mask: Mask) -> tuple[int, int, int, int, int, bytes]:
    """Return top, left, height and width of a mask's box, its area, and its pixels in the box."""
    if (box := box_xyxy(mask)) is None:
        return 0, 0, 0, 0, 0, b""
    x0, y0, x1, y1 = box
    window = mask[y0 : y1 + 1, x0 : x1 + 1]
    return y0, x0, *window.shape, int(window.sum()), zlib.compress(np.packbits(window).tobytes(), 1)


def _integers(text: str, count: int) -> list[int]:
    """Return the integers of a text; raises ``ValueError`` unless there are so many."""
    numbers = [int(word) for word in text.split()]
    if len(numbers) != count:
        raise ValueError(f"{len(numbers)} numbers, not {count}")
    return numbers


def _numbers(region: Region) -> tuple[int, int, int, int]:
    return region.top, region.left, region.height, region.width
