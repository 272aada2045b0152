"""A studio that has something to propagate, and a propagation that can be held."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from studios import Served

from persam_vos.masks import LabelMap
from persam_vos.studio.background import jobs


@pytest.fixture
def marked(studio: Served, truths: list[LabelMap]) -> Served:
    """A studio in which object 1 has a mask on frame 3."""
    studio.post("/api/objects", {"name": "red"})
    studio.draw(1, 3, truths[3] == 1)
    return studio


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Holds every propagation after its first frame, until it is set."""
    opened = threading.Event()
    record = jobs.Job.record

    def held(job: jobs.Job) -> dict[str, Any]:
        if job.done == 1 and threading.current_thread().name == job.kind:
            opened.wait(60)
        return record(job)

    monkeypatch.setattr(jobs.Job, "record", held)
    yield opened
    opened.set()
