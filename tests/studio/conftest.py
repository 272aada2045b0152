"""A studio of a video of two squares, without the network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sessions import saved_film, true_labels
from studios import Served, served

from persam_vos.masks import LabelMap
from persam_vos.studio.background import jobs


@pytest.fixture
def truths() -> list[LabelMap]:
    return true_labels()


@pytest.fixture
def film(tmp_path: Path) -> str:
    return saved_film(tmp_path / "frames")


@pytest.fixture
def studio(film: str, tmp_path: Path) -> Iterator[Served]:
    with served(film, tmp_path / "session") as found:
        yield found


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hold every job after its first frame, until it is set."""
    opened = threading.Event()
    record = jobs.Job.record

    def held(job: jobs.Job) -> dict[str, Any]:
        if job.done == 1 and threading.current_thread().name == job.kind:
            opened.wait(60)
        return record(job)

    monkeypatch.setattr(jobs.Job, "record", held)
    yield opened
    opened.set()
