"""Threads that leave the processor to others."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from persam_vos.pipeline.priority import yield_to_others


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities for threads")
def test_a_thread_and_those_it_starts_yield_and_no_other_one() -> None:
    found: list[int] = []

    def niceness() -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    def patient() -> None:
        yield_to_others()
        niceness()
        own = threading.Thread(target=niceness)
        own.start()
        own.join()

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    thread = threading.Thread(target=patient)
    thread.start()
    thread.join()
    niceness()

    assert found == [10, 10, before]
