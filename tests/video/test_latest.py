"""What was made last is kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from persam_vos.video.propagation.latest import Latest


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    kept, made = Latest[int, int](2), list[int]()

    def get(key: int) -> int:
        return kept.get(key, lambda: made.append(key) or key)  # type: ignore[func-returns-value]

    assert [get(key) for key in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert made == [1, 2, 3, 2]


def test_threads_that_ask_at_once_wait_for_one_that_makes_it() -> None:
    kept, made, both = Latest[str, int](2), list[int](), threading.Barrier(2)

    def get() -> int:
        both.wait()
        return kept.get("key", lambda: made.append(1) or len(made))  # type: ignore[func-returns-value]

    with ThreadPoolExecutor(2) as pool:
        found = [each.result() for each in [pool.submit(get), pool.submit(get)]]

    assert (found, made) == ([1, 1], [1])


def test_what_could_not_be_made_is_tried_again() -> None:
    kept = Latest[str, int](2)

    def fail() -> int:
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        kept.get("key", fail)
    assert kept.get("key", lambda: 7) == 7
