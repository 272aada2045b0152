"""Frames are encoded over HTTP, in the background."""

from __future__ import annotations

import threading

import pytest
from studios import Served

from persam_vos.video.session.session import Session


def test_frames_are_encoded_in_the_background_the_latest_first(studio: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, prepared = threading.Event(), threading.Event(), []

    def slow(_: Session, frame: int) -> None:
        prepared.append(frame)
        begun.set()
        go_on.wait(60)

    monkeypatch.setattr(Session, "prepare", slow)
    monkeypatch.setattr(Session, "is_prepared", lambda _, frame: frame in prepared)
    with studio.listening() as wait:
        studio.post("/api/prepare/0")
        begun.wait(60)
        for frame in (1, 2, 3, 4, 5, 6, 3):
            studio.post(f"/api/prepare/{frame}")
        go_on.set()
        told = [wait("prepared")["frame"] for _ in range(5)]

    assert told == prepared == [0, 3, 6, 5, 4]
    assert studio.get("/api/state")["prepared"] == [0, 3, 4, 5, 6]


def test_a_frame_that_cannot_be_encoded_is_told(studio: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "prepare", lambda _, frame: 1 // 0)
    with studio.listening() as wait:
        studio.post("/api/prepare/0")
        assert "ZeroDivisionError" in wait("failed")["error"]
        monkeypatch.undo()
        studio.post("/api/prepare/1")
        assert wait("prepared") == {"frame": 1}
