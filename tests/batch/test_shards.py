"""Parts of a batch: each clip is in one of them, whatever other clips there are."""

from __future__ import annotations

import pytest

from persam_vos.batch.shards import Shard, parse_shard, shard_of_slurm
from persam_vos.errors import SettingsError


def test_each_clip_is_in_one_part() -> None:
    names = [f"clip {number}" for number in range(400)]
    parts = [{name for name in names if Shard(number, 4).holds(name)} for number in (1, 2, 3, 4)]

    assert sorted(name for part in parts for name in part) == sorted(names)
    assert all(70 < len(part) < 130 for part in parts)
    # The same on all machines and in all versions.
    assert [Shard(2, 3).holds(name) for name in ("dog", "cat", "horse")] == [True, False, False]


def test_a_part_is_told_in_words() -> None:
    assert parse_shard("3/16") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"
    for text in ("0/3", "4/3", "3", "1/0", "-1/3", "1/3/5", "", "a/b", "1/" + "9" * 9):
        with pytest.raises(SettingsError, match="it must be I/N, such as 3/16"):
            parse_shard(text)


def slurm(number: int, count: int, first: int, step: int | None = None) -> Shard | None:
    found = {"ID": number, "COUNT": count, "MIN": first}
    if step is not None:
        found["STEP"] = step
    return shard_of_slurm({f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in found.items()})


def test_a_task_of_slurm_takes_its_part() -> None:
    assert slurm(0, 16, 0) == Shard(1, 16)
    assert slurm(4, 4, 1) == Shard(4, 4)
    assert slurm(6, 4, 0, step=2) == Shard(4, 4)
    assert shard_of_slurm({}) is None
    for uneven in (lambda: slurm(7, 2, 1), lambda: slurm(5, 4, 0, step=2)):
        with pytest.raises(SettingsError, match="pass --shard"):
            uneven()
