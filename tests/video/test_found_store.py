"""What was found in each frame, on disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from persam_vos.errors import OutputError
from persam_vos.masks import Mask
from persam_vos.sam.regions import Region
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.found import Found
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.propagation.stretches import plan

HERE = np.ones((6, 9), np.bool_)


def found(number: int, mask: Mask = HERE, *, score: float = 0.5) -> Found:
    return Found(number, mask, score, 0.25 if mask.any() else None, Region.at(1, 2, 3, 4))


@given(arrays(np.bool_, (6, 9)), st.integers(1, 255), st.sampled_from([1, -1]))
def test_what_is_put_is_what_one_gets(mask: Mask, number: int, direction: int) -> None:
    store = FoundStore(None, 6, 9)
    store.put(direction, 3, [found(number, mask)])  # type: ignore[arg-type]

    got = store.get(direction, 3)[number]  # type: ignore[arg-type]

    assert (got.mask == mask).all()
    assert (got.score, got.similarity, got.reach) == (0.5, 0.25 if mask.any() else None, Region.at(1, 2, 3, 4))
    assert store.get(-direction, 3) == {}  # type: ignore[arg-type]
    store.close()


def test_stretches_are_forgotten_with_what_was_found_in_them(tmp_path: Path) -> None:
    store = FoundStore(tmp_path / "masks.sqlite", 6, 9)
    stretches = plan([Keyframe(2, 1, HERE), Keyframe(2, 2, HERE)], range(6), backward=True)
    for each in stretches:
        for frame in each.frames:
            store.put(each.direction, frame, [found(each.object_id)])
    assert store.complete(stretches) == set()
    assert {each.signature for each in store.stretches()} == {each.signature for each in stretches}
    assert {(each.start, each.frames, each.direction) for each in store.stretches()} == {
        (each.start, each.frames, each.direction) for each in stretches
    }

    kept = [each for each in stretches if (each.object_id, each.direction) != (1, 1)]
    store.begin([], kept, kept, [3, 4, 5])

    assert [sorted(store.get(1, frame)) for frame in (3, 5)] == [[2], [2]]
    assert [sorted(store.get(-1, frame)) for frame in (0, 1)] == [[1, 2], [1, 2]]
    assert len(store.stretches()) == 3
    (left,) = [each for each in stretches if each.object_id == 2 and each.direction == -1]
    assert store.complete([]) == {3, 4, 5}
    assert store.reaches(left) == [(0, Region.at(1, 2, 3, 4)), (1, Region.at(1, 2, 3, 4))]
    store.close()


def test_keyframes_that_differ_are_named(tmp_path: Path) -> None:
    store = FoundStore(tmp_path / "masks.sqlite", 6, 9)
    small = np.zeros((6, 9), np.bool_)
    small[2:4, 3:5] = True
    first = [Keyframe(0, 1, HERE), Keyframe(4, 1, HERE)]
    assert [frame for frame, _ in store.other_keyframes(first)] == [0, 4]
    store.begin(first, [], [], [])
    assert store.other_keyframes(first) == []

    changed = store.other_keyframes([first[0], Keyframe(4, 1, small)])

    assert changed == [(4, Region.at(0, 0, 6, 9)), (4, Region.at(2, 3, 2, 2))] or changed == [
        (4, Region.at(2, 3, 2, 2)),
        (4, Region.at(0, 0, 6, 9)),
    ]
    store.close()


def test_another_process_finds_what_was_put(tmp_path: Path) -> None:
    store = FoundStore(tmp_path / "masks.sqlite", 6, 9)
    store.put(1, 7, [found(3)])
    # Not closed, as after a kill.
    again = FoundStore(tmp_path / "masks.sqlite", 6, 9)

    assert (again.get(1, 7)[3].mask == HERE).all()
    again.close()
    store.close()


@pytest.mark.parametrize("content", [b"no database at all, by any means", b""])
def test_a_file_that_is_no_store_is_refused_or_made_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "masks.sqlite"
    path.write_bytes(content)
    if content:
        with pytest.raises(OutputError, match=r"masks\.sqlite: .*not a database"):
            FoundStore(path, 6, 9)
        assert path.read_bytes() == content
    else:
        FoundStore(path, 6, 9).close()


def test_masks_of_another_version_or_size_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "masks.sqlite"
    store = FoundStore(path, 6, 9)
    store.put(1, 0, [found(1)])
    store.close()
    with pytest.raises(OutputError, match="holds masks of 6 x 9 pixels, and the video has 7 x 9"):
        FoundStore(path, 7, 9)
    with sqlite3.connect(path) as data:
        data.execute("update found set pixels = ?", (b"damaged",))
    data.close()
    store = FoundStore(path, 6, 9)
    with pytest.raises(OutputError, match="is damaged; remove it"):
        store.get(1, 0)
    store.close()
    with sqlite3.connect(path) as data:
        data.execute("pragma user_version = 99")
    data.close()
    with pytest.raises(OutputError, match="of another version"):
        FoundStore(path, 6, 9)


def test_a_frame_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    store = FoundStore(tmp_path / "masks.sqlite", 6, 9)

    def failing() -> object:
        yield found(1)
        raise OutputError("the disk is full")

    with pytest.raises(OutputError, match="the disk is full"):
        store.put(1, 0, failing())  # type: ignore[arg-type]

    assert store.get(1, 0) == {}
    store.close()


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as data:
        data.execute("create table mine (a)")
    data.close()
    before = path.read_bytes()

    with pytest.raises(OutputError, match="is a database of another program"):
        FoundStore(path, 6, 9)

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "harm",
    [
        "insert into stretch values (1, 1, 0, 'x', 'y')",
        "insert into stretch values (1, 1, 0, '0 5 0', 'y')",
        "update found set reach = '1'",
        "update found set height = 1000000000, width = 1000000000",
        "update found set top = -3",
    ],
)
def test_numbers_that_cannot_be_are_refused(tmp_path: Path, harm: str) -> None:
    store = FoundStore(tmp_path / "masks.sqlite", 6, 9)
    store.put(1, 0, [found(1)])
    store._file._data.execute(harm)

    with pytest.raises(OutputError, match="is damaged; remove it"):
        store.get(1, 0) and store.stretches()
    store.close()


def test_what_is_not_there_is_not_loaded(tmp_path: Path) -> None:
    store = FoundStore(None, 6, 9)
    with pytest.raises(OutputError, match="no such file"):
        store.load(tmp_path / "masks.sqlite")
    assert not (tmp_path / "masks.sqlite").exists()
    store.close()
