"""The studio ends: nothing is closed under a frame in work, unless that is asked for."""

from __future__ import annotations

import threading

import pytest
from studios import Served

from persam_vos.studio.background import waiting
from persam_vos.studio.session.project import Project
from persam_vos.video.session.session import Session


@pytest.mark.parametrize("what", ["/api/propagate", "/api/prepare/0"])
def test_the_end_waits_for_the_frame_in_work_and_says_so(
    marked: Served, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    begun, go_on, closed = threading.Event(), threading.Event(), []

    def slow(session: Session, *_: object, **__: object) -> list[int]:
        begun.set()
        go_on.wait(60)
        closed.append(session._parts._is_open)
        return []

    monkeypatch.setattr(Session, "propagate" if "propagate" in what else "prepare", slow)
    monkeypatch.setattr(waiting, "_SILENT_SECONDS", 0.01)
    marked.post(what)
    begun.wait(60)
    told: list[str] = []

    def on_wait(words: str) -> None:
        told.append(words)
        threading.Timer(0.3, go_on.set).start()

    marked.studio.close(on_wait)

    assert closed == [True]
    assert told in (["masks are being propagated, which ends after the frame in work"], ["a frame is being encoded"])


def test_a_second_interrupt_ends_the_wait(marked: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(Session, "propagate", lambda *_, **__: (go_on.wait(60), [])[1])
    monkeypatch.setattr(waiting, "_SILENT_SECONDS", 0.01)
    marked.post("/api/propagate")

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        marked.studio.close(interrupt)

    assert marked.get("/api/state")["job"]["kind"] == "propagate"
    go_on.set()


def test_each_part_is_closed_though_another_one_fails(studio: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = studio.studio
    with monkeypatch.context() as broken:
        broken.setattr(parts.preparer, "end", lambda _: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            parts.close()

    # The folder is free.
    Project(parts.project.folder, parts.footage.source).close()
