"""Records go to a file and come back; what is not a record of ours does not."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from persam_vos.sam.regions import Region
from persam_vos.video.resuming.packing import pack, unpack

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Inner:
    values: Tensor
    place: Region


@dataclass(frozen=True, slots=True)
class Outer:
    inner: tuple[Inner, ...]
    picture: np.ndarray
    time: Fraction
    name: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Other:
    name: str


def outer() -> Outer:
    values = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3)
    places = (Region.at(1, 2, 3, 4), Region.whole(5, 6))
    inner = tuple(Inner(tensor, place) for tensor, place in zip((values, values.T), places, strict=True))
    return Outer(inner, np.arange(4, dtype=np.uint8).reshape(2, 2), Fraction(1, 3), "dog")


def through_a_file(path: Path, value: Any) -> Any:
    torch.save(pack(value), path)
    return unpack(torch.load(path, weights_only=True), (Inner, Outer, Region), CPU)


def test_a_record_comes_back(tmp_path: Path) -> None:
    given, back = outer(), through_a_file(tmp_path / "a", outer())

    assert isinstance(back, Outer)
    assert (back.time, back.name, back.score) == (Fraction(1, 3), "dog", None)
    assert np.array_equal(back.picture, given.picture)
    assert back.picture.dtype == np.uint8
    for mine, theirs in zip(back.inner, given.inner, strict=True):
        assert mine.place == theirs.place
        assert isinstance(mine.place, Region)
        assert mine.values.dtype == torch.bfloat16
        assert mine.values.stride() == theirs.values.stride()
        assert torch.equal(mine.values, theirs.values)


def test_a_part_of_a_large_tensor_is_saved_alone(tmp_path: Path) -> None:
    torch.save(pack(torch.zeros(1_000_000)[:10]), tmp_path / "a")

    assert (tmp_path / "a").stat().st_size < 10_000


def test_what_is_no_record_is_not_saved() -> None:
    with pytest.raises(TypeError, match="function cannot be saved"):
        pack((1, pack))


def renamed(packed: list[Any]) -> list[Any]:
    return ["record", "builtins.eval", packed[2]]


def without_a_field(packed: list[Any]) -> list[Any]:
    return [*packed[:2], {name: value for name, value in packed[2].items() if name != "time"}]


def with_a_field(packed: list[Any]) -> list[Any]:
    return [*packed[:2], {**packed[2], "more": 1}]


def of_another_kind(_: list[Any]) -> list[Any]:
    return pack(Other("dog"))


@pytest.mark.parametrize("spoil", [renamed, without_a_field, with_a_field, of_another_kind])
def test_other_records_are_refused(spoil: Callable[[list[Any]], list[Any]]) -> None:
    with pytest.raises(ValueError, match="no record of a run"):
        unpack(spoil(pack(outer())), (Inner, Outer, Region), CPU)


@pytest.mark.parametrize("value", [["record"], ["fraction", 1, 0], ["slice", None, 2], {"a": 1}, ["array", 3], b"x"])
def test_nonsense_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="no record of a run"):
        unpack(value, (Inner, Outer, Region), CPU)


def test_a_file_runs_no_code(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"a": Hostile()}, tmp_path / "a")

    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "a", weights_only=True)
    assert not (tmp_path / "touched").exists()
