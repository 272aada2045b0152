"""Iterators in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from persam_vos.pipeline.prefetch import side_by_side

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def test_items_come_while_another_iterator_waits() -> None:
    release = threading.Event()

    def slow() -> Iterator[str]:
        release.wait()
        yield "slow"

    items = side_by_side("test", [slow(), iter(["first", "second"])], 0)
    assert [next(items), next(items)] == ["first", "second"]
    release.set()

    assert list(items) == ["slow"]


def test_the_first_error_ends_all() -> None:
    closed, under_way = threading.Event(), threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                under_way.set()
                yield 1
        finally:
            closed.set()

    def failing() -> Iterator[int]:
        under_way.wait()
        raise ValueError("broken")
        yield 0

    with pytest.raises(ValueError, match="broken"):
        list(side_by_side("test", [endless(), failing()], 2))
    assert closed.is_set()
