"""The progress bar: two threads, interrupts, and a standard error that cannot be written."""

from __future__ import annotations

import io
import json
import math
import sys
import threading
from contextlib import redirect_stderr
from types import SimpleNamespace
from typing import Any

import pytest

from persam_vos.cli.progress import JsonLines, ProgressBar

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


@pytest.mark.parametrize("quiet", [False, True])
def test_a_warning_comes_before_the_bar(quiet: bool) -> None:
    with redirect_stderr(io.StringIO()) as shown:
        bar = ProgressBar(quiet=quiet)
        bar.warn("the mask looks inverted")
        before = shown.getvalue()
        bar.start("clip", 2)
        bar.stop()

    assert before == "persam-vos: warning: the mask looks inverted\n"


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


def test_progress_as_json_has_a_line_for_each_event() -> None:
    shown: Any = SimpleNamespace(
        index=7, objects=[SimpleNamespace(id=2, present=True, score=0.5), SimpleNamespace(id=3, present=False)]
    )
    with redirect_stderr(io.StringIO()) as written:
        lines = JsonLines()
        lines.warn("the mask looks inverted")
        lines.start("clip.mp4", 5, done=1)
        lines.prepare(1, 4)
        lines.advance(shown)
        lines.interrupt()
        lines.stop()

    warning, start, prepare, frame, interrupt, end = map(json.loads, written.getvalue().splitlines())
    assert (warning["event"], warning["message"]) == ("warning", "the mask looks inverted")
    assert (start["event"], start["name"], start["frames"], start["done"]) == ("start", "clip.mp4", 5, 1)
    assert (prepare["event"], prepare["done"], prepare["expected"]) == ("prepare", 1, 4)
    assert (frame["event"], frame["frame"], frame["done"], frame["frames"]) == ("frame", 7, 2, 5)
    assert (frame["present"], frame["lowest_score"]) == ([2], 0.5)
    assert frame["seconds_left"] == pytest.approx(3 / frame["frames_per_second"], abs=0.1)
    assert interrupt["event"] == "interrupt"
    assert (end["event"], end["done"]) == ("end", 2)
    assert lines.has_advanced


def test_progress_as_json_of_a_live_source_has_no_end_in_sight() -> None:
    with redirect_stderr(io.StringIO()) as written:
        lines = JsonLines("photo")
        lines.start("camera", None)
        lines.advance(SimpleNamespace(index=0, objects=[]))  # type: ignore[arg-type]
        lines.fail("cannot be read")

    _, photo, failed = map(json.loads, written.getvalue().splitlines())
    assert (photo["event"], photo["photo"], photo["seconds_left"], photo["lowest_score"]) == ("photo", 0, None, None)
    assert (failed["event"], failed["message"]) == ("failed", "cannot be read")


def test_scores_that_are_not_known_are_left_out() -> None:
    shown: Any = SimpleNamespace(
        index=0,
        objects=[SimpleNamespace(id=each, present=True, score=score) for each, score in ((1, math.nan), (2, 0.5))],
    )
    with redirect_stderr(io.StringIO()) as written:
        lines = JsonLines()
        lines.advance(shown)
        shown.objects.pop()
        lines.advance(shown)

    some, none = (json.loads(line, parse_constant=pytest.fail) for line in written.getvalue().splitlines())
    assert (some["present"], some["lowest_score"]) == ([1, 2], 0.5)
    assert (none["present"], none["lowest_score"]) == ([1], None)
