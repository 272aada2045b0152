"""What loads in a thread while the first frame is encoded. Networks are faked."""

from __future__ import annotations

import importlib
import threading
from types import ModuleType
from typing import Any

import pytest
from fakes import FakeEngine, FakeReader, first_mask

from persam_vos.settings.video import Settings
from persam_vos.video.pipeline import tracked_frames

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def warm_ups() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "persam-vos warm-up"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["scipy.optimize"]),
        ({"preset": "best"}, ["scipy.optimize"]),
        ({"mask_token": False}, []),
        ({"method": "persam"}, []),
        ({"method": "persam-f"}, []),
    ],
    ids=str,
)
def test_scipy_is_imported_for_mask_tokens_only(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], expected: list[str]
) -> None:
    imported: list[str] = []
    import_module = importlib.import_module

    def importing(name: str, package: str | None = None) -> ModuleType:
        if threading.current_thread() in warm_ups():
            imported.append(name)
        return import_module(name, package)

    monkeypatch.setattr(importlib, "import_module", importing)
    settings = Settings(**{"nearer_view": 0, **changes})
    results = tracked_frames(FakeEngine(settings=settings), FakeReader(3), first_mask())

    next(results)
    for thread in warm_ups():
        thread.join()
    results.close()

    # What it imports itself is listed as well.
    assert imported[:1] == expected


def test_an_engine_warms_up_once() -> None:
    engine = FakeEngine()

    for _ in range(3):
        assert sum(1 for _ in tracked_frames(engine, FakeReader(2), first_mask())) == 2

    assert engine.fake_decoder.warmed_up == 1


def test_leaving_the_loop_ends_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    seen = threading.Event()
    monkeypatch.setattr(engine.fake_decoder, "warm_up", lambda: seen.wait(60))
    results = tracked_frames(engine, FakeReader(3), first_mask())

    next(results)
    assert warm_ups()
    seen.set()
    results.close()

    assert not warm_ups()
