"""The progress bar: two threads, interrupts, and a standard error that cannot be written."""

from __future__ import annotations

import io
import sys
import threading
from contextlib import redirect_stderr
from types import SimpleNamespace
from typing import Any

import pytest

from persam_vos.cli.progress import ProgressBar

RESULT: Any = SimpleNamespace(objects=[SimpleNamespace(present=True, score=0.5), SimpleNamespace(present=False)])


def test_failures_in_another_thread_are_all_counted() -> None:
    count = 300
    with redirect_stderr(io.StringIO()) as shown:
        advance_and_fail(count)

    lines = [line for line in shown.getvalue().replace("\r", "\n").splitlines() if line.startswith("persam-vos: ")]
    assert lines == [f"persam-vos: {index} cannot be read" for index in range(count)]
    assert f"{2 * count}/{2 * count}" in shown.getvalue()
    assert "present=1/2, score=0.50" in shown.getvalue()


def advance_and_fail(count: int) -> None:
    bar = ProgressBar(quiet=False, unit="photo")
    bar.start("photos", 2 * count)
    failing = threading.Thread(target=lambda: [bar.fail(f"{index} cannot be read") for index in range(count)])
    failing.start()
    for _ in range(count):
        bar.advance(RESULT)
    failing.join()
    bar.stop()


@pytest.mark.parametrize(
    ("options", "end"),
    [({"unit": "photo"}, ""), ({"drops": "the frames done so far"}, "; the frames done so far are then dropped")],
    ids=["photos", "video"],
)
def test_an_interrupt_says_what_another_one_does(options: dict[str, str], end: str) -> None:
    with redirect_stderr(io.StringIO()) as shown:
        bar = ProgressBar(quiet=True, **options)
        bar.start("clip", None)
        bar.interrupt()
        bar.stop()

    message = f"finishing the {options.get('unit', 'frame')} in work; a second interrupt stops at once{end}"
    assert shown.getvalue() == f"persam-vos: {message}\n"


def test_the_bar_says_what_happens_before_the_first_frame() -> None:
    with redirect_stderr(io.StringIO()) as shown:
        bar = ProgressBar(quiet=False)
        bar.start("clip", 2)
        begun, first = bar.has_advanced, shown.getvalue()
        bar.advance(RESULT)
        bar.stop()

    assert "preparing the network for this size of picture" in first
    assert "preparing" not in shown.getvalue().split("\r")[-1]
    assert (begun, bar.has_advanced) == (False, True)


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError("No space left on device")


@pytest.mark.parametrize("stream", [None, Full()], ids=["closed", "full"])
def test_a_bar_that_cannot_be_drawn_is_given_up(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    bar = ProgressBar(quiet=False)

    bar.start("clip", 2)
    bar.advance(RESULT)
    bar.fail("a frame")
    bar.interrupt()
    bar.stop()
