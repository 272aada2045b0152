"""What was found of each object in each frame, on disk: so that a video of any length has its masks at hand."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from persam_vos.errors import OutputError
from persam_vos.masks import ArrayRecord, Mask, box_xyxy
from persam_vos.sam.regions import Region
from persam_vos.video.stretches import Direction, Stretch

_VERSION = 1
_TABLES = """
create table stretch (object integer, direction integer, start integer, frames text, signature text,
    primary key (object, direction, start)) strict;
create table found (object integer, direction integer, frame integer, top integer, left integer, height integer,
    width integer, pixels blob, score real, similarity real, reach text,
    primary key (direction, frame, object)) without rowid, strict;
create index by_object on found (object, direction, frame);
"""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Found(ArrayRecord):
    """One object in one frame, as one direction of propagation finds it.

    Attributes:
        object_id: The object.
        mask: bool, H x W.
        score: Predicted IoU of the mask with the truth, 0..1; 0 where absent.
        similarity: See ``ObjectResult``; None where absent.
        reach: Pixels in which the object competed with others.
    """

    object_id: int
    mask: Mask
    score: float
    similarity: float | None
    reach: Region


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
            self._data.execute("pragma journal_mode=wal")
            self._data.execute("pragma synchronous=normal")
            version = self._data.execute("pragma user_version").fetchone()[0]
            if version == 0:
                self._data.executescript(f"begin; {_TABLES} pragma user_version={_VERSION}; commit;")
            elif version != _VERSION:
                raise OutputError(f"{path}: holds masks of another version of persam-vos; remove it")

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._data.close()

    def signatures(self) -> set[str]:
        """Return the signatures of the stretches that are complete."""
        with self._errors():
            return {row[0] for row in self._data.execute("select signature from stretch")}

    def begin(self, stretches: Iterable[Stretch]) -> None:
        """Forget what was found in the frames of these stretches."""
        with self._transaction():
            for each in stretches:
                self._forget(each.object_id, each.direction, each.frames)

    def forget(self, kept: Sequence[Stretch]) -> None:
        """Forget all stretches but these, and all that was found outside of them."""
        wanted = {each.signature: each for each in kept}
        with self._transaction():
            rows = self._data.execute("select object, direction, start, frames, signature from stretch").fetchall()
            for number, direction, start, frames, signature in rows:
                if signature not in wanted:
                    first, stop, step = map(int, frames.split())
                    self._forget(number, direction, range(first, stop, step))
                    self._data.execute(
                        "delete from stretch where object=? and direction=? and start=?", (number, direction, start)
                    )

    def complete(self, stretches: Iterable[Stretch]) -> None:
        """Note that all frames of these stretches are there."""
        with self._transaction():
            for each in stretches:
                frames = f"{each.frames.start} {each.frames.stop} {each.frames.step}"
                row = (each.object_id, each.direction, each.start, frames, each.signature)
                self._data.execute("insert or replace into stretch values (?,?,?,?,?)", row)

    def put(self, direction: Direction, frame: int, found: Iterable[Found]) -> None:
        """Keep what was found in a frame."""
        with self._transaction():
            for each in found:
                self._data.execute(
                    "insert or replace into found values (?,?,?,?,?,?,?,?,?,?,?)",
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

    def reaches(self, object_id: int, direction: Direction, frames: range) -> Iterator[tuple[int, Region]]:
        """Yield the index of each frame of a range in which an object was found, and the pixels it competed in."""
        low, high = min(frames[0], frames[-1]), max(frames[0], frames[-1])
        with self._errors():
            rows = self._data.execute(
                "select frame, reach from found where object=? and direction=? and frame between ? and ?",
                (object_id, direction, low, high),
            ).fetchall()
        for frame, reach in rows:
            yield frame, Region.at(*map(int, reach.split()))

    def _forget(self, object_id: int, direction: int, frames: range) -> None:
        low, high = min(frames[0], frames[-1]), max(frames[0], frames[-1])
        self._data.execute(
            "delete from found where object=? and direction=? and frame between ? and ?",
            (object_id, direction, low, high),
        )

    def _unpacked(
        self, number: int, top: int, left: int, height: int, width: int, pixels: bytes, score: float,
        similarity: float | None, reach: str,
    ) -> Found:  # fmt: skip
        mask = np.zeros(self._size, np.bool_)
        if height:
            bits = np.frombuffer(zlib.decompress(pixels), np.uint8)
            window = np.unpackbits(bits, count=height * width).reshape(height, width)
            mask[top : top + height, left : left + width] = window
        return Found(number, mask, score, similarity, Region.at(*map(int, reach.split())))

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
            raise OutputError(f"{self._path or 'temporary masks'}: {error}; see that the disk has room") from error


def _packed(mask: Mask) -> tuple[int, int, int, int, bytes]:
    """Return top, left, height and width of a mask's box, and its pixels there."""
    if (box := box_xyxy(mask)) is None:
        return 0, 0, 0, 0, b""
    x0, y0, x1, y1 = box
    window = mask[y0 : y1 + 1, x0 : x1 + 1]
    return y0, x0, *window.shape, zlib.compress(np.packbits(window).tobytes(), 1)


def _numbers(region: Region) -> tuple[int, int, int, int]:
    return region.top, region.left, region.height, region.width
