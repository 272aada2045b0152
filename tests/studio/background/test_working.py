"""Propagation over HTTP: one job at a time, with its progress, cancelled, failed, and beside other changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sessions import COUNT
from studios import Served

from persam_vos.errors import CheckpointError, VideoError
from persam_vos.masks import LabelMap
from persam_vos.studio.background import jobs
from persam_vos.studio.background.propagating import stretches
from persam_vos.video.session.session import Session

Wait = Callable[[str], dict[str, Any]]


def agreement(studio: Served, truths: list[LabelMap], frame: int, number: int = 1) -> float:
    found, true = studio.mask(frame) == number, truths[frame] == number
    return float((found & true).sum() / (found | true).sum())


def test_all_frames_get_masks_scores_and_a_place_in_the_list_of_doubts(marked: Served, truths: list[LabelMap]) -> None:
    with marked.listening() as wait:
        started = marked.script.post("/api/propagate", json={"what": "all"})
        assert (started.status_code, started.json()["kind"]) == (202, "propagate")
        told = wait("progress")
        done = wait("done")

    assert {"done", "expected", "frames_per_second", "seconds_left", "frame", "frames", "direction", "revision"} <= set(
        told
    )
    assert told["frames"][0] <= told["frame"] <= told["frames"][1]
    assert done == {"kind": "propagate", "cancelled": False, "changed": [[0, COUNT - 1]]}
    assert min(agreement(marked, truths, frame) for frame in (0, 2, 3, 5, 8)) > 0.8
    state = marked.get("/api/state")
    assert (state["propagated"], state["job"]) == (True, None)
    lanes = marked.get("/api/lanes")["scores"]["1"]
    assert len(lanes) == COUNT
    assert None not in lanes
    assert lanes[3] == 1
    doubts = marked.get("/api/doubtful?count=3")
    assert {"frame", "object", "reason", "doubt"} == set(doubts[0])
    assert doubts[0]["doubt"] >= doubts[-1]["doubt"]


@pytest.mark.parametrize(
    ("what", "frame", "known"),
    [
        ("forward", 3, range(3, COUNT)),
        ("backward", 3, range(4)),
        ("to_next", 3, range(3, 8)),
        ("to_next", 7, range(7, COUNT)),
    ],
)
def test_a_part_of_the_frames_gets_masks(
    marked: Served, truths: list[LabelMap], what: str, frame: int, known: range
) -> None:
    marked.post("/api/objects")
    marked.draw(2, 7, truths[7] == 2)

    with marked.listening() as wait:
        marked.post("/api/propagate", {"what": what, "frame": frame})
        wait("done")

    lane = marked.get("/api/lanes")["scores"]["1"]
    assert None not in [lane[each] for each in known]
    assert None in lane


def test_lanes_are_given_in_parts(marked: Served) -> None:
    part = marked.get("/api/lanes?start=2&stop=5")

    assert (part["start"], part["stop"], part["step"]) == (2, 5, 1)
    assert part["scores"] == {"1": [None, 1, None]}
    assert marked.get("/api/lanes?start=50&stop=60")["scores"] == {}


def test_a_correction_changes_its_stretch_alone(marked: Served, truths: list[LabelMap]) -> None:
    marked.draw(1, 9, truths[9] == 1)
    with marked.listening() as wait:
        marked.post("/api/propagate")
        wait("done")
        marked.draw(1, 6, truths[6] == 1)
        marked.post("/api/propagate")
        changed = wait("done")["changed"]

    # The stretches beyond learn from the frame as well, as the second nearest one.
    assert changed == [[0, 2], [4, 8], [10, 11]]


def test_a_second_job_waits_for_the_first_one(marked: Served, gate: threading.Event) -> None:
    with marked.listening() as wait:
        marked.post("/api/propagate")
        refused = [marked.script.post(path, json=body) for path, body in JOBS]
        assert marked.get("/api/state")["job"]["kind"] == "propagate"
        gate.set()
        wait("done")

    assert [each.status_code for each in refused] == [409, 409]
    assert "masks are being propagated; wait for the end, or cancel" in refused[0].json()["error"]


JOBS = [("/api/propagate", {}), ("/api/export", {"exports": ["masks"]})]


def test_what_is_done_stays_when_a_propagation_is_cancelled(marked: Served, gate: threading.Event) -> None:
    with marked.listening() as wait:
        marked.post("/api/propagate", {"what": "forward", "frame": 3})
        assert marked.script.delete("/api/export").status_code == 202  # of another kind: nothing happens
        assert marked.script.delete("/api/propagate").status_code == 202
        gate.set()
        done = wait("done")

    assert done == {"kind": "propagate", "cancelled": True, "changed": [[4, 4]]}
    lane = marked.get("/api/lanes")["scores"]["1"]
    assert (lane[4] is not None, lane[5]) == (True, None)


def test_changes_are_made_while_masks_are_propagated(
    marked: Served, gate: threading.Event, truths: list[LabelMap]
) -> None:
    with marked.listening() as wait:
        marked.post("/api/propagate")
        marked.post("/api/objects")
        state = marked.draw(2, 0, truths[0] == 2)
        gate.set()
        wait("done")

    assert state["job"]["kind"] == "propagate"
    assert marked.get("/api/state")["propagated"]
    assert min(agreement(marked, truths, frame, number) for frame in (0, 5, 8) for number in (1, 2)) > 0.8


def test_two_pages_see_each_others_changes(marked: Served, truths: list[LabelMap]) -> None:
    with marked.listening() as one, marked.listening() as other:
        answered = marked.draw(1, 5, truths[5] == 1)
        told = one("state")
        assert told == other("state")
        assert told == {**answered, "serial": told["serial"]}


def test_two_pages_that_say_something_at_once_lose_nothing(marked: Served, truths: list[LabelMap]) -> None:
    marked.post("/api/objects")
    threads = [
        threading.Thread(target=marked.draw, args=(number, frame, truths[frame] == number))
        for frame in range(4, 10)
        for number in (1, 2)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    state = marked.get("/api/state")

    assert [len(each["keyframes"]) for each in state["objects"]] == [7, 6]
    assert state["revision"] == 15


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/api/propagate", {"what": "sideways"}, "what is"),
        ("/api/propagate", {"what": "forward"}, "0 to 11"),
        ("/api/propagate", {"what": "forward", "frame": 12}, "0 to 11"),
        ("/api/export", {}, "exports"),
        ("/api/export", {"exports": []}, "exports is"),
        ("/api/export", {"exports": ["mask"]}, "allowed: masks"),
        ("/api/export", {"exports": ["masks"], "options": {"grow": 999}}, "from -200 to 200"),
        ("/api/export", {"exports": ["masks"], "options": {"path": "x"}}, "unknown setting"),
        ("/api/export", {"exports": ["masks"], "options": {"device": "cuda"}}, "unknown setting"),
        ("/api/export", {"exports": ["masks"], "options": {"background": 7}}, "must be a colour"),
    ],
)
def test_work_that_cannot_be_is_told_before_it_begins(
    marked: Served, path: str, body: dict[str, object], words: str
) -> None:
    answer = marked.script.post(path, json=body)

    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert marked.get("/api/state")["job"] is None


@pytest.mark.parametrize(("path", "body"), JOBS)
def test_without_an_object_there_is_nothing_to_do(studio: Served, path: str, body: dict[str, object]) -> None:
    studio.post("/api/objects")

    answer = studio.script.post(path, json=body)

    assert (answer.status_code, "no object" in answer.json()["error"]) == (422, True)


def test_a_bug_in_one_request_is_told_and_ends_nothing(studio: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.get("/api/state")  # the session is open
    with monkeypatch.context() as broken:
        broken.setattr(Session, "can_undo", property(lambda _: [][0]))
        answer = studio.script.get("/api/state")
        assert answer.status_code == 500
        assert "this should not happen: IndexError: list index out of range (" in answer.text

    assert studio.get("/api/state")["objects"] == []


def test_a_propagation_that_fails_is_another_revision(marked: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise VideoError("frame 4 is broken")

    before = marked.get("/api/state")["revision"]
    with monkeypatch.context() as broken, marked.listening() as wait:
        broken.setattr(Session, "propagate", fail)
        marked.post("/api/propagate")
        assert wait("failed") == {"kind": "propagate", "error": "frame 4 is broken"}

    # Some masks may be gone.
    assert marked.get("/api/state")["revision"] > before


def test_a_model_that_cannot_be_loaded_fails_the_job_alone(marked: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken, marked.listening() as wait:
        broken.setattr(Session, "is_propagated", property(missing_model))
        broken.setattr(Session, "propagate", missing_model)
        assert marked.script.put("/api/objects/1/prompts/5", json={"absent": True}).status_code == 422
        for _ in range(2):
            assert marked.script.post("/api/propagate").status_code == 202
            assert wait("failed")["error"] == "checkpoint x.pt does not exist"

    assert [each["frame"] for each in marked.get("/api/state")["objects"][0]["keyframes"]] == [3, 5]


def missing_model(*_: object, **__: object) -> None:
    raise CheckpointError("checkpoint x.pt does not exist")


def test_a_change_is_made_and_saved_whether_it_can_be_told_or_not(
    studio: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "is_propagated", property(missing_model))

    assert studio.studio.workspace.add("dog", "") == 1


def test_stretches_are_told_by_their_ends() -> None:
    assert stretches([], 1) == []
    assert stretches([4], 1) == [[4, 4]]
    assert stretches([0, 1, 2, 5, 6], 1) == [[0, 2], [5, 6]]
    assert stretches(list(np.arange(0, 12, 3)), 3) == [[0, 9]]


def test_the_time_that_is_left_is_told_anew_where_a_job_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 10.0, 100.0, 101.0])
    monkeypatch.setattr(jobs.time, "perf_counter", lambda: next(now))
    job = jobs.Job("propagate")

    job.advance(5, 20)
    assert job.record()["frames_per_second"] == 0.5
    job.advance(2, 4)

    assert job.record() | {"kind": ""} == {
        "kind": "", "done": 2, "expected": 4, "frames_per_second": 2, "seconds_left": 1,
    }  # fmt: skip
