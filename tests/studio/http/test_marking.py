"""Objects and what is said of them over HTTP: each change is answered with the state, saved, and can be taken back."""

from __future__ import annotations

import io
import json
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
from moving import HEIGHT, WIDTH
from PIL import Image
from studios import Served, png, served

from persam_vos.errors import EmptyMaskError, OutputError
from persam_vos.masks import LabelMap
from persam_vos.video.session.session import Session

LEFT = np.arange(WIDTH)[None].repeat(HEIGHT, 0) < WIDTH // 2
"""What stands for the network takes any click for the left half."""


def marked(studio: Served, truths: list[LabelMap]) -> Served:
    """Give object 1 its true mask on frame 0."""
    studio.post("/api/objects", {"name": "red"})
    studio.draw(1, 0, truths[0] == 1)
    return studio


def kinds(state: dict[str, list[dict[str, list[dict[str, object]]]]], number: int = 1) -> list[tuple[object, object]]:
    (found,) = [each for each in state["objects"] if each["id"] == number]
    return [(each["frame"], each["kind"]) for each in found["keyframes"]]


def error_of(studio: Served, method: str, path: str, status: int, **options: object) -> str:
    answer = studio.script.request(method, path, **options)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


def test_a_new_studio_is_empty(studio: Served) -> None:
    assert studio.get("/api/state") == {
        "run": studio.get("/api/video")["run"],
        "serial": ANY,
        "revision": 0,
        "objects": [],
        "can_undo": False,
        "can_redo": False,
        "propagated": False,
        "job": None,
        "warnings": [],
        "cache": {"bytes": 0, "limit": 4 * 10**9},
        "prepared": [],
    }
    assert not studio.mask(3).any()
    assert studio.get("/api/lanes")["scores"] == {}
    assert studio.get("/api/doubtful") == []


def test_objects_are_listed_before_anything_is_said_of_them(studio: Served) -> None:
    first = studio.post("/api/objects", {"name": "Hund", "color": "red"})
    second = studio.post("/api/objects")

    assert (first["id"], second["id"]) == (1, 2)
    assert [(each["name"], each["color"], each["keyframes"]) for each in second["objects"]] == [
        ("Hund", "#ff0000", []),
        ("", "#56b4e9", []),
    ]
    assert second["revision"] > first["revision"]


def test_a_click_makes_a_mask_and_another_one_is_one_more_point(studio: Served) -> None:
    studio.post("/api/objects", {"name": "half"})

    once = studio.post("/api/objects/1/clicks/4", {"x": 20, "y": 30.5})
    twice = studio.post("/api/objects/1/clicks/4", {"x": 90, "y": 3, "positive": False})

    assert once["objects"][0]["keyframes"] == [{"frame": 4, "kind": "points", "points": [[20, 30.5, 1]], "box": None}]
    assert twice["objects"][0]["keyframes"][0]["points"] == [[20, 30.5, 1], [90, 3, 0]]
    assert ((studio.mask(4) == 1) == LEFT).mean() > 0.98


def test_a_box_a_mask_and_absence_are_told_apart(studio: Served, truths: list[LabelMap]) -> None:
    marked(studio, truths)
    studio.put("/api/objects/1/prompts/3", {"box": [4, 4, 100, 100], "points": [[9, 9, 1]]})
    studio.put("/api/objects/1/prompts/5", {"box": [4, 4, 100, 100]})

    state = studio.put("/api/objects/1/prompts/11", {"absent": True})

    assert kinds(state) == [(0, "mask"), (3, "points"), (5, "box"), (11, "absent")]
    assert state["objects"][0]["keyframes"][2]["box"] == [4, 4, 100, 100]
    assert (studio.mask(0) == truths[0]).sum() > 0
    assert ((studio.mask(0) == 1) == (truths[0] == 1)).all()
    assert not studio.mask(11).any()


def test_what_is_said_can_be_taken_back_and_made_again(studio: Served, truths: list[LabelMap]) -> None:
    marked(studio, truths)
    changed = studio.draw(1, 6, truths[6] == 1)
    assert (changed["can_undo"], changed["can_redo"]) == (True, False)

    undone = studio.post("/api/undo")
    again = studio.post("/api/redo")

    assert kinds(undone) == [(0, "mask")]
    assert undone["can_redo"]
    assert kinds(again) == [(0, "mask"), (6, "mask")]
    assert "nothing to make again" in error_of(studio, "POST", "/api/redo", 409)
    for _ in range(2):
        studio.post("/api/undo")
    assert "nothing to take back" in error_of(studio, "POST", "/api/undo", 409)


def test_an_object_of_which_all_is_taken_back_stays_listed(studio: Served, truths: list[LabelMap]) -> None:
    marked(studio, truths)
    studio.put("/api/objects/1/prompts/9", {"absent": True})

    state = studio.script.delete("/api/objects/1/prompts/0").json()

    assert kinds(state) == []
    assert state["objects"][0]["name"] == "red"
    assert kinds(studio.post("/api/undo")) == [(0, "mask"), (9, "absent")]
    assert kinds(studio.script.delete("/api/objects/1/prompts/9").json()) == [(0, "mask")]


def test_names_and_colours_change_alone(studio: Served, truths: list[LabelMap]) -> None:
    marked(studio, truths)
    studio.post("/api/objects", {"name": "two"})

    studio.script.patch("/api/objects/1", json={"color": "#0f0"})
    studio.script.patch("/api/objects/2", json={"name": "dos"})
    state = studio.script.patch("/api/objects/1", json={"name": "rot"}).json()

    assert [(each["name"], each["color"]) for each in state["objects"]] == [("rot", "#00ff00"), ("dos", "#56b4e9")]
    assert "allowed" in error_of(studio, "PATCH", "/api/objects/1", 422, json={"color": "reddish"})


def test_an_object_that_is_removed_gives_its_number_to_nobody(studio: Served, truths: list[LabelMap]) -> None:
    marked(studio, truths)
    studio.post("/api/objects")

    assert studio.script.delete("/api/objects/2").json()["objects"][-1]["id"] == 1
    assert studio.script.delete("/api/objects/1").json()["objects"] == []

    assert studio.post("/api/objects")["id"] == 3
    assert [each["id"] for each in studio.post("/api/undo")["objects"]] == [1, 3]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/api/objects/7/clicks/0", {"x": 1, "y": 1}, 404, "there is no object 7"),
        ("PATCH", "/api/objects/7", {"name": "x"}, 404, "there is no object 7"),
        ("DELETE", "/api/objects/7", None, 404, "there is no object 7"),
        ("DELETE", "/api/objects/x", None, 404, "there is no object"),
        ("POST", "/api/objects/1/clicks/99", {"x": 1, "y": 1}, 404, "the session has 0 to 11"),
        ("POST", "/api/objects/1/clicks/0", {"x": 1, "y": 999}, 422, "outside"),
        ("POST", "/api/objects/2/clicks/0", {"x": 1, "y": 1, "positive": False}, 422, "click on it first"),
        ("PUT", "/api/objects/1/prompts/0", {"box": [9, 9, 3, 3]}, 422, "is empty"),
        ("PUT", "/api/objects/1/prompts/0", {}, 422, "says nothing"),
        ("PUT", "/api/objects/1/prompts/0", {"absent": True, "box": [1, 1, 9, 9]}, 422, "one of both"),
        ("PUT", "/api/objects/2/prompts/0", {"absent": True}, 422, "on one frame where it is"),
        ("DELETE", "/api/objects/1/prompts/4", None, 404, "nothing is said"),
        ("DELETE", "/api/objects/2/prompts/0", None, 404, "nothing is said"),
        ("POST", "/api/preview/0", {"object": None, "points": [[1, 1, 1]]}, 409, "not encoded yet"),
        ("POST", "/api/objects", {"name": "x" * 201}, 422, "name is"),
        ("PATCH", "/api/objects/1", {"name": "two\nlines"}, 422, "in one line"),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(
    studio: Served, truths: list[LabelMap], method: str, path: str, body: object, status: int, words: str
) -> None:
    marked(studio, truths).post("/api/objects")
    before = studio.get("/api/state")

    assert words in error_of(studio, method, path, status, json=body)

    assert studio.get("/api/state") == {**before, "serial": ANY}


def test_a_preview_shows_what_a_click_would_give_and_changes_nothing(studio: Served, truths: list[LabelMap]) -> None:
    marked(studio, truths)
    before = studio.get("/api/state")
    with studio.listening() as wait:
        assert studio.script.post("/api/prepare/5").status_code == 202
        assert wait("prepared") == {"frame": 5}

    shown = studio.script.post("/api/preview/5", json={"object": None, "points": [[20, 20, 1]]})

    assert ((np.asarray(Image.open(io.BytesIO(shown.content))) == 255) == LEFT).mean() > 0.98
    after = studio.get("/api/state")
    assert after == {**before, "serial": after["serial"], "prepared": [5], "cache": after["cache"]}


def test_a_preview_of_nothing_is_empty(studio: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise EmptyMaskError("nothing is found there")

    monkeypatch.setattr(Session, "is_prepared", lambda *_: True)
    monkeypatch.setattr(Session, "preview", nothing)

    shown = studio.script.post("/api/preview/5", json={"object": 1, "points": [[20, 20, 1]]})

    assert (shown.status_code, shown.content) == (204, b"")


def test_a_mask_may_be_kept_by_its_revision(studio: Served, truths: list[LabelMap]) -> None:
    marked(studio, truths)
    now = studio.get("/api/state")["revision"]

    kept = studio.script.get(f"/api/masks/0.png?r={now}").headers["cache-control"]
    old = studio.script.get(f"/api/masks/0.png?r={now - 1}").headers["cache-control"]

    assert "max-age" in kept
    assert old == "no-store"


def test_a_video_says_what_can_be_exported_and_how(studio: Served) -> None:
    video = studio.get("/api/video")

    assert (video["width"], video["height"], video["start"], video["stop"], video["step"]) == (WIDTH, HEIGHT, 0, 12, 1)
    assert len(studio.get("/api/times")) == 12
    options = {each["name"]: each for each in video["options"]}
    assert options["grow"] | {"about": ""} == {
        "name": "grow", "about": "", "type": "integer", "choices": None, "default": 0, "min": -200, "max": 200,
    }  # fmt: skip
    assert options["alpha"]["choices"] == ["straight", "premultiplied"]
    assert options["background"]["type"] == "color"
    assert options["start_number"]["default"] is None
    assert all(each["about"] and "``" not in each["about"] for each in video["options"])
    used = {name for each in video["exports"] for name in each["options"]}
    assert used == set(options)


def test_all_is_there_again_after_a_new_start(film: str, tmp_path: Path, truths: list[LabelMap]) -> None:
    with served(film, tmp_path / "session") as studio:
        marked(studio, truths).post("/api/objects", {"name": "later", "color": "blue"})
        studio.post("/api/objects/1/clicks/4", {"x": 20, "y": 20})
        before, mask = studio.get("/api/state"), studio.mask(0)

    with served(film, tmp_path / "session") as studio:
        after = studio.get("/api/state")
        assert after["objects"] == before["objects"]
        assert (studio.mask(0) == mask).all()
        studio.script.delete("/api/objects/1")
        assert studio.post("/api/objects")["id"] == 3

    with served(film, tmp_path / "session") as studio:
        assert [each["name"] for each in studio.get("/api/state")["objects"]] == ["later", ""]


def test_each_change_is_on_the_disk_when_it_is_answered(studio: Served, truths: list[LabelMap]) -> None:
    marked(studio, truths)
    studio.draw(1, 7, truths[7] == 1)

    saved = json.loads(studio.studio.project.prompts.read_text())

    assert [each["frame"] for each in saved["prompts"]] == [0, 7]


def test_a_disk_that_is_full_loses_nothing_that_is_open(
    studio: Served, truths: list[LabelMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    marked(studio, truths)
    saved = studio.studio.project.prompts.read_text()

    def full(*_: object, **__: object) -> None:
        raise OutputError("prompts.json: cannot be written (No space left on device)")

    with monkeypatch.context() as disk:
        disk.setattr(Session, "save", full)
        drawn = studio.script.put(
            "/api/objects/1/prompts/6", content=png(truths[6] == 1), headers={"content-type": "image/png"}
        )
        assert drawn.status_code == 507
        assert "No space left on device); the change is made, and is saved with the next" in drawn.json()["error"]
        state = studio.get("/api/state")

    assert kinds(state) == [(0, "mask"), (6, "mask")]
    assert "the latest changes are not saved" in state["warnings"][0]
    assert studio.studio.project.prompts.read_text() == saved
    assert studio.draw(1, 8, truths[8] == 1)["warnings"] == []
    assert len(json.loads(studio.studio.project.prompts.read_text())["prompts"]) == 3


def test_what_could_not_be_saved_is_saved_at_the_end(
    film: str, tmp_path: Path, truths: list[LabelMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(film, tmp_path / "session") as studio:
        with monkeypatch.context() as disk:
            disk.setattr(Session, "save", lambda *_, **__: (_ for _ in ()).throw(OutputError("full")))
            studio.post("/api/objects")
            assert studio.script.post("/api/objects/1/clicks/0", json={"x": 9, "y": 9}).status_code == 507
        prompts = studio.studio.project.prompts
        assert not prompts.exists()

    assert prompts.exists()
    assert studio.studio.workspace.unsaved == ""
