"""What was found of each object in each frame, on disk: so that a video of any length has its masks at hand."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from persam_vos.errors import OutputError
from persam_vos.masks import Mask, box_xyxy
from persam_vos.sam.regions import Region
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.found import Found, Outline, WalkState
from persam_vos.video.propagation.packed_alpha import pack_alpha, unpack_alpha
from persam_vos.video.propagation.sqlite_file import SqliteFile
from persam_vos.video.propagation.stretches import Direction, Stretch

_VERSION = 4
# Tells these files from other databases: "PVOS".
_APPLICATION = 0x50564F53
_FOUND = """(object integer, direction integer, frame integer, top integer, left integer, height integer,
    width integer, area integer, pixels blob, score real, similarity real, reach text, alpha blob,
    primary key (direction, frame, object)) without rowid, strict"""
_TABLES = f"""
create table size (height integer, width integer) strict;
create table stretch (object integer, direction integer, start integer, frames text, signature text primary key) strict;
create table warning (signature text, words text, primary key (signature, words)) strict;
create table found {_FOUND};
create table former {_FOUND};
create table keyframe (object integer, frame integer, digest text, top integer, left integer, height integer,
    width integer, primary key (object, frame)) without rowid, strict;
create table changed (frame integer primary key) strict;
create table walk (work text, sweep text, frame integer, state blob) strict;
create index by_object on found (object, direction, frame);
"""
_GOES = """from found where not exists (select 1 from stays where stays.object=found.object and
    stays.direction=found.direction and found.frame between low and high)"""
_UNDER_KEYFRAME = "exists (select 1 from keyframe where keyframe.object=former.object and keyframe.frame=former.frame)"
_PlaceOfKeyframe = dict[tuple[int, int], tuple[str, int, int, int, int]]


class FoundStore:
    """The propagated masks of a video; threads may share them.

    Each frame's masks are written by one transaction: a process that dies leaves whole frames only.
    """

    def __init__(self, path: Path | None, height: int, width: int) -> None:
        """Open or make a store.

        Args:
            path: Its file; None for a temporary one.
            height: Of the frames, in pixels.
            width: Of the frames, in pixels.

        Raises:
            OutputError: If the file is no such store, or cannot be written.
        """
        self._size = height, width
        self._file = SqliteFile(path, application=_APPLICATION, version=_VERSION, tables=_TABLES)
        try:
            if not self._file.rows("select * from size"):
                with self._file.transaction():
                    self._file.change("insert into size values (?,?)", self._size)
            (of_masks,) = self._file.rows("select height, width from size")
            if of_masks != self._size:
                given = " x ".join(map(str, of_masks))
                raise OutputError(
                    f"{path}: holds masks of {given} pixels, and the video has {height} x {width}; remove it"
                )
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def save(self, path: Path) -> None:
        """Write a copy of everything into a file, which is complete once it has its name.

        Raises:
            OutputError: If it cannot be written.
        """
        self._file.save(path)

    def load(self, path: Path) -> None:
        """Take everything from a file that ``save`` has written, instead of what is here.

        Raises:
            OutputError: If it is no such file, or of a video of another size.
        """
        if not path.is_file():
            raise OutputError(f"{path}: no such file")
        saved = FoundStore(path, *self._size)
        try:
            self._file.load(saved._file)
        finally:
            saved.close()

    def stretches(self) -> tuple[Stretch, ...]:
        """Return the stretches that are complete, without what they were learnt from."""
        rows = self._file.rows("select object, start, frames, signature from stretch")
        with self._file.errors():
            found = tuple(Stretch(row[0], row[1], range(*_integers(row[2], 3)), (), row[3]) for row in rows)
            if not all(each.frames for each in found):
                raise ValueError("a stretch has no frame")
            return found

    def other_keyframes(self, keyframes: Iterable[Keyframe]) -> list[tuple[int, Region]]:
        """Return the frame and place of each keyframe that differs from those of the masks, is new or gone."""
        rows = self._file.rows("select object, frame, digest, top, left, height, width from keyframe")
        earlier = {row[:2]: row[2:] for row in rows}
        differ = {*_places(keyframes).items()} ^ {*earlier.items()}
        return [(frame, Region.at(*place[1:])) for (_, frame), place in sorted(differ)]

    def begin(
        self,
        keyframes: Iterable[Keyframe],
        kept: Sequence[Stretch],
        complete: Sequence[Stretch],
        changed: Iterable[int],
        anew: Iterable[int] = (),
    ) -> None:
        """Go over to other keyframes: all masks that do not stay are former ones until all new ones are there.

        Args:
            keyframes: All of them.
            kept: Stretches whose masks stay, complete or not.
            complete: Those of them that are.
            changed: Indices of frames that may get other masks.
            anew: Ids of objects of which the masks are those of an earlier object.
        """
        with self._file.transaction():
            self._file.change("delete from keyframe")
            rows = ((*key, *place) for key, place in _places(keyframes).items())
            self._file.change_many("insert into keyframe values (?,?,?,?,?,?,?)", rows)
            self._file.change("create temporary table if not exists stays (object, direction, low, high, signature)")
            self._file.change("delete from stays")
            spans = ((e.object_id, e.direction, min(e.frames), max(e.frames), e.signature) for e in kept)
            self._file.change_many("insert into stays values (?,?,?,?,?)", spans)
            self._file.change(f"insert or replace into former select * {_GOES}")
            self._file.change(f"delete {_GOES}")
            self._file.change("delete from former where object not in (select object from keyframe)")
            self._file.change_many("delete from former where object=?", ((number,) for number in anew))
            self._file.change("delete from warning where signature not in (select signature from stays)")
            self._file.change("delete from stretch")
            self._insert(complete)
            self._file.change_many("insert or ignore into changed values (?)", ((frame,) for frame in changed))

    def complete(self, stretches: Iterable[Stretch]) -> frozenset[int]:
        """Note that all frames of these stretches are there, and so of all.

        Returns:
            Indices of the frames that may have other masks than when all were there the last time.
        """
        changed = frozenset(row[0] for row in self._file.rows("select frame from changed"))
        with self._file.transaction():
            self._insert(stretches)
            for table in ("walk", "changed"):
                self._file.change(f"delete from {table}")
            # What lies under a keyframe is shown again should that be taken back.
            self._file.change(f"delete from former where not {_UNDER_KEYFRAME}")
        return changed

    def _insert(self, stretches: Iterable[Stretch]) -> None:
        for each in stretches:
            frames = f"{each.frames.start} {each.frames.stop} {each.frames.step}"
            row = (each.object_id, each.direction, each.start, frames, each.signature)
            self._file.change("insert or replace into stretch values (?,?,?,?,?)", row)

    def walks(self, work: str) -> list[WalkState]:
        """Return how far each sweep of a piece of work has come that was not finished."""
        rows = self._file.rows("select sweep, frame, state from walk where work=?", (work,))
        return [WalkState(*row) for row in rows]

    def keep_walk(self, work: str, state: WalkState) -> None:
        """Keep how far a sweep of a piece of work has come, instead of where it was."""
        with self._file.transaction():
            self._file.change("delete from walk where work<>? or sweep=?", (work, state.sweep))
            self._file.change("insert into walk values (?,?,?,?)", (work, state.sweep, state.frame, state.trackings))

    def forget_walks(self, work: str) -> None:
        """Forget how far all other pieces of work have come."""
        with self._file.transaction():
            self._file.change("delete from walk where work<>?", (work,))

    def warn(self, stretch: Stretch, warnings: Iterable[str]) -> None:
        """Keep what makes the masks of a stretch doubtful."""
        with self._file.transaction():
            rows = ((stretch.signature, words) for words in warnings)
            self._file.change_many("insert or ignore into warning values (?,?)", rows)

    def warnings(self) -> tuple[str, ...]:
        """Return what makes masks doubtful, one line each."""
        return tuple(row[0] for row in self._file.rows("select words from warning group by words order by min(rowid)"))

    def put(self, direction: Direction, frame: int, found: Iterable[Found]) -> None:
        """Keep what was found in a frame."""
        with self._file.transaction():
            for each in found:
                self._file.change(
                    "insert or replace into found values (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    (each.object_id, direction, frame, *_packed(each.mask), each.score, each.similarity,
                     f"{each.reach.top} {each.reach.left} {each.reach.height} {each.reach.width}",
                     None if each.alpha is None else pack_alpha(each.alpha)),
                )  # fmt: skip

    def get(self, direction: Direction, frame: int, *, former: bool = False) -> dict[int, Found]:
        """Return what was found in a frame, by object; or what was found before, and is being found anew."""
        columns = "object, top, left, height, width, pixels, score, similarity, reach, alpha"
        query = f"select {columns} from {'former' if former else 'found'} where direction=? and frame=?"
        rows = self._file.rows(query, (direction, frame), may_lack=(7, 9))  # similarity and alpha
        return {row[0]: self._unpacked(*row) for row in rows}

    def outlines(self, frame: int) -> dict[tuple[int, Direction], Outline]:
        """Return what was found in a frame, by object and direction, without its pixels."""
        rows = self._file.rows(
            "select object, direction, top, left, height, width, area, score from found"
            " where direction in (1, -1) and frame=?",
            (frame,),
        )
        return {
            (row[0], 1 if row[1] == 1 else -1): Outline(Region.at(*row[2:6]) if row[6] else None, row[6], row[7])
            for row in rows
        }

    def object_ids(self) -> set[int]:
        """Return the ids of all objects of which there is something."""
        return {row[0] for row in self._file.rows("select object from found union select object from former")}

    def scores(self, frames: range) -> dict[tuple[int, int], float]:
        """Return the score of each object in each of these frames where it was looked for, by object and frame.

        It is 0 where the object was not found. Of two directions, the better one counts, and of former ones those that
        are not found anew yet.
        """
        scores: dict[tuple[int, int], float] = {}
        for table in ("former", "found"):
            rows = self._file.rows(
                f"select object, frame, max(score) from {table} where direction in (1, -1) and frame between ? and ?"
                " group by object, frame",
                (min(frames, default=0), max(frames, default=-1)),
            )
            scores |= {row[:2]: row[2] for row in rows}
        return scores

    def reaches(self, stretch: Stretch) -> list[tuple[int, Region]]:
        """Return the index of each frame of a stretch where it was found, and the pixels it competed in there."""
        ends = min(stretch.frames[0], stretch.frames[-1]), max(stretch.frames[0], stretch.frames[-1])
        rows = self._file.rows(
            "select frame, reach from found where object=? and direction=? and frame between ? and ?",
            (stretch.object_id, stretch.direction, *ends),
        )
        with self._file.errors():
            return [(frame, Region.at(*_integers(reach, 4))) for frame, reach in rows]

    def _unpacked(
        self, number: int, top: int, left: int, height: int, width: int, pixels: bytes, score: float,
        similarity: float | None, reach: str, alpha: bytes | None,
    ) -> Found:  # fmt: skip
        mask = np.zeros(self._size, np.bool_)
        with self._file.errors():
            if height:
                window = mask[top : top + height, left : left + width]
                if min(top, left) < 0 or window.shape != (height, width):
                    raise ValueError("a mask lies outside the frame")
                # No more is unpacked than the window holds.
                bits = zlib.decompressobj().decompress(pixels, (height * width + 7) // 8)
                window[:] = np.unpackbits(np.frombuffer(bits, np.uint8), count=height * width).reshape(height, width)
            soft = None if alpha is None else unpack_alpha(alpha, self._size)
            return Found(number, mask, score, similarity, Region.at(*_integers(reach, 4)), soft)


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


def _places(keyframes: Iterable[Keyframe]) -> _PlaceOfKeyframe:
    """Return what tells each keyframe from others, by object and frame."""
    places: _PlaceOfKeyframe = {}
    for each in keyframes:
        x0, y0, x1, y1 = each.box or (0, 0, -1, -1)
        places[each.object_id, each.frame] = each.digest, y0, x0, y1 - y0 + 1, x1 - x0 + 1
    return places
