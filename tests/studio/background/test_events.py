"""What is told to pages: in order, only the latest to slow ones, and no longer than the studio lasts."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studios import PATIENCE_SECONDS, Served, read_events, served

from persam_vos.studio.background import events
from persam_vos.studio.background.events import Events
from persam_vos.studio.parts import Studio
from persam_vos.studio.session.workspace import Workspace


def test_events_come_in_order_and_a_slow_page_gets_the_latest_state_alone() -> None:
    async def run() -> list[str]:
        told = Events()
        stream = told.add().stream()
        await anext(stream)
        for number in range(3):
            told.tell("state", {"revision": number})
            told.tell("prepared", {"frame": number})
        return [(await anext(stream)).decode() for _ in range(4)]

    found = asyncio.run(run())

    assert [each.splitlines()[0] for each in found] == ["event: prepared"] * 2 + ["event: state", "event: prepared"]
    assert json.loads(found[2].splitlines()[1].removeprefix("data: ")) == {"revision": 2}


def test_a_slow_page_is_told_of_all_frames_that_were_walked_over() -> None:
    async def run() -> list[dict[str, Any]]:
        told, found = Events(), []
        slow, quick = (told.add().stream() for _ in range(2))
        await anext(slow), await anext(quick)
        for frame in (5, 6, 4):
            told.tell("progress", {"frame": frame, "frames": [frame, frame]})
            found.append(await anext(quick))
        told.tell("progress", {"kind": "export"})
        found += [await anext(slow), await anext(slow)]
        told.tell("progress", {"frame": 9, "frames": [9, 9]})
        found.append(await anext(slow))
        return [json.loads(each.decode().splitlines()[1].removeprefix("data: ")) for each in found]

    *quick, both, export, last = asyncio.run(run())

    assert [each["frames"] for each in quick] == [[5, 5], [6, 6], [4, 4]]
    assert both == {"frame": 4, "frames": [4, 6]}
    assert export == {"kind": "export"}
    assert last["frames"] == [9, 9]


def test_what_waits_for_a_page_that_never_listens_does_not_grow() -> None:
    async def run() -> int:
        told = Events()
        stream = told.add().stream()
        await anext(stream)
        for number in range(1000):
            told.tell("prepared", {"frame": number})
        (listener,) = told._listeners
        return len(listener._waiting)

    assert asyncio.run(run()) == 100


def test_a_stream_is_kept_open_and_ends_with_the_studio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_KEEP_OPEN_SECONDS", 0.01)

    async def run() -> list[bytes]:
        told = Events()
        stream = told.add().stream()
        found = [await anext(stream), await anext(stream)]
        told.end()
        found += [each async for each in stream]
        found += [each async for each in told.add().stream()]
        return found

    first, second, *rest = asyncio.run(run())

    assert (first, second) == (b": listening\n\n", b": still here\n\n")
    assert set(rest) <= {b": still here\n\n", b": listening\n\n"}


def test_a_page_that_goes_is_forgotten(studio: Served) -> None:
    for _ in range(events.MOST_LISTENERS + 3):
        with studio.listening():
            pass
    with studio.listening() as wait:
        studio.post("/api/objects")
        assert wait("state")["objects"][0]["id"] == 1


@pytest.fixture
def overtaken(studio: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[threading.Thread]]:
    """While the next state is on its way, an object is added."""
    make, adding = Studio.state, []

    def made(parts: Studio) -> dict[str, Any]:
        found = make(parts)
        if not adding:
            adding.append(threading.Thread(target=studio.post, args=("/api/objects",)))
            adding[0].start()
            # It ends in that time only if it need not wait for this state to be told.
            adding[0].join(0.5)
        return found

    monkeypatch.setattr(Studio, "state", made)
    yield adding
    adding[0].join()


def states_until_prepared(found: Iterator[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [data for _, data in itertools.takewhile(lambda each: each[0] != "prepared", found)]


def test_a_change_is_told_that_is_made_while_a_page_begins_to_listen(
    studio: Served, overtaken: list[threading.Thread]
) -> None:
    with studio.script.stream("GET", "/api/events") as stream:
        overtaken[0].join()
        studio.studio.events.tell("prepared", {"frame": 0})
        states = states_until_prepared(read_events(stream))

    assert len(states[-1]["objects"]) == 1


def test_a_state_is_never_told_after_a_newer_one(studio: Served, request: pytest.FixtureRequest) -> None:
    with studio.script.stream("GET", "/api/events") as stream:
        found = read_events(stream)
        assert next(found)[0] == "state"
        adding = request.getfixturevalue("overtaken")
        studio.studio._tell()
        adding[0].join()
        studio.studio.events.tell("prepared", {"frame": 0})
        states = states_until_prepared(found)

    serials = [each["serial"] for each in states]
    assert serials == sorted(serials)
    assert len(states[-1]["objects"]) == 1


def test_each_state_has_a_serial_of_its_own_though_no_mask_has_changed(studio: Served) -> None:
    first = studio.get("/api/state")
    with studio.listening() as wait:
        answered = studio.post("/api/objects")
        told = wait("state")

    assert first["serial"] < told["serial"] < answered["serial"] < studio.get("/api/state")["serial"]
    assert told["revision"] == answered["revision"]


def test_a_page_can_tell_a_studio_from_the_one_before(film: str, tmp_path: Path) -> None:
    runs = []
    for _ in range(2):
        with served(film, tmp_path / "session") as studio:
            runs.append(studio.get("/api/video")["run"])
            assert studio.get("/api/state")["run"] == runs[-1]

    assert len(set(runs)) == 2


def test_too_many_pages_are_refused(studio: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_LISTENERS", 1)
    with studio.listening():
        assert studio.script.get("/api/events", timeout=PATIENCE_SECONDS).status_code == 503


def test_an_open_stream_does_not_hold_the_end_of_the_studio(studio: Served) -> None:
    with studio.script.stream("GET", "/api/events") as stream:
        found = read_events(stream)
        assert next(found)[0] == "state"
        studio.studio.events.end()
        assert list(found) == []


def test_a_session_that_opens_at_once_is_told_of(film: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workspace, "begin", lambda self: (self._thread.start(), self._thread.join()))

    with served(film, tmp_path / "session") as studio, studio.listening():
        assert studio.get("/api/state")["prepared"] == []
