"""Interrupts: which of them count, and what each does. The clock is a list of times; the signals are real."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from persam_vos.pipeline.interrupt import GracefulInterrupt, InterruptFilter, ending_signals


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    former = {each: signal.getsignal(each) for each in ending_signals()}
    yield
    assert former == {each: signal.getsignal(each) for each in former}


def clock(*seconds: float) -> Callable[[], float]:
    return iter(seconds).__next__


@pytest.mark.parametrize(
    ("seconds", "counted"),
    [
        ([5.0], [True]),
        ([5.0, 5.0], [True, False]),
        ([5.0, 5.99], [True, False]),
        ([5.0, 6.0], [True, True]),
        ([5.0, 5.7, 6.4, 7.1], [True, False, True, False]),  # a key held down still gets through
    ],
)
def test_interrupts_within_a_second_are_one(seconds: list[float], counted: list[bool]) -> None:
    interrupts = InterruptFilter(clock(*seconds))

    assert [interrupts.is_new() for _ in seconds] == counted


@pytest.mark.parametrize("number", ending_signals())
def test_the_first_interrupt_is_a_request(number: signal.Signals) -> None:
    told: list[str] = []

    with GracefulInterrupt(lambda: told.append("asked")) as interrupt:
        assert not interrupt.asked
        signal.raise_signal(number)
        signal.raise_signal(number)  # as `timeout` does, which signals the process and its group

    assert interrupt.asked
    assert told == ["asked"]


def test_the_second_interrupt_raises() -> None:
    told: list[str] = []

    interrupts = InterruptFilter(clock(0.0, 0.5, 1.5))
    with GracefulInterrupt(lambda: told.append("asked"), interrupts) as interrupt:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    assert told == ["asked"]


def test_a_repetition_does_not_raise_twice() -> None:
    interrupts = InterruptFilter(clock(0.0, 0.1, 2.0))

    with pytest.raises(KeyboardInterrupt):
        interrupts.raise_if_new(signal.SIGINT, None)
    interrupts.raise_if_new(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        interrupts.raise_if_new(signal.SIGINT, None)


def test_other_threads_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def enter() -> None:
        with GracefulInterrupt(lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()

    assert seen == [before]


def test_an_interrupt_during_an_import_comes_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "interrupted_import.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.2)\nwhole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    former = signal.signal(signal.SIGINT, InterruptFilter().raise_if_new)
    try:
        with pytest.raises(KeyboardInterrupt):
            _import_and_wait("interrupted_import")
        assert sys.modules["interrupted_import"].whole
    finally:
        signal.signal(signal.SIGINT, former)
        sys.modules.pop("interrupted_import", None)


def _import_and_wait(name: str) -> None:
    importlib.import_module(name)
    time.sleep(2)
