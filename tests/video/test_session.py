"""A session: prompts on any frame, propagation, doubts, corrections, undo."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from moving import HEIGHT, WIDTH, film, mask_at
from pictures import iou
from PIL import Image
from sessions import COUNT, prepared, saved_film

from persam_vos.errors import FrameIndexError, MaskError, NotStartedError, PromptError, SettingsError
from persam_vos.masks import LabelMap
from persam_vos.video.propagation.walked import Walked
from persam_vos.video.session.session import Session


def test_objects_are_added_propagated_and_read_in_any_order(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(4, mask=truths[4] == 1, name="red", color="red")
    yellow = session.add(9, mask=truths[9] == 2)
    walked: list[Walked] = []

    changed = session.propagate(walked.append)

    assert (red.id, red.name, red.color, yellow.id, len(session)) == (1, "red", "#ff0000", 2, COUNT)
    assert changed == list(range(COUNT))
    assert [step.done for step in walked] == list(range(1, len(walked) + 1))
    assert walked[-1].done == walked[-1].expected
    for index in (11, 0, 6):
        assert iou(session[index].label_map == 1, truths[index] == 1) > 0.8
        assert iou(session[index].label_map == 2, truths[index] == 2) > 0.8
    assert [result.index for result in session] == list(range(COUNT))
    assert session.is_propagated
    assert session.image(3).shape == (HEIGHT, WIDTH, 3)


def test_a_correction_is_kept_to_the_pixel_and_can_be_undone(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1)
    session.propagate()
    before = [result.label_map for result in session]
    drawn = mask_at(1, 60)

    red.correct(6, mask=drawn)

    assert (session[6].label_map.astype(bool) == drawn).all()
    assert not session.is_propagated
    assert session.propagate() == list(range(1, COUNT))
    assert list(red.keyframes) == [0, 6]
    assert session.undo()
    assert (session[6].label_map == before[6]).all()
    session.propagate()
    assert all((one == result.label_map).all() for one, result in zip(before, session, strict=True))
    assert session.redo()
    assert list(red.keyframes) == [0, 6]
    assert not session.redo()


def test_absence_and_what_was_said_are_taken_back(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1)
    red.absent(5)
    session.propagate()
    assert not session[5].objects[0].present

    with pytest.raises(PromptError, match="frame 0 is the only one that shows object 1"):
        red.forget(0)
    with pytest.raises(PromptError, match="no keyframe on frame 3; it has: 0, 5"):
        red.forget(3)
    red.forget(5)
    session.propagate()

    assert session[5].objects[0].present
    session.remove(red.id)
    assert session.objects == ()
    with pytest.raises(PromptError, match="there is no object yet"):
        session.propagate()


def test_a_pixel_of_two_keyframes_goes_to_the_later_word(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1)
    session.add(0, mask=(truths[0] == 2) | mask_at(1, 8, 20))

    assert not (red.keyframes[0] & mask_at(1, 8, 20)).any()
    assert red.keyframes[0].any()


def test_a_part_of_a_session_is_propagated_first(session: Session, truths: list[LabelMap]) -> None:
    session.add(2, mask=truths[2] == 1)

    assert session.propagate(frames=range(4), direction="forward") == [2, 3]
    assert session[3][1].present
    assert not session.is_propagated

    assert session.propagate() == list(range(COUNT))
    assert session.is_propagated


def test_a_session_that_is_cancelled_goes_on(session: Session, truths: list[LabelMap]) -> None:
    session.add(0, mask=truths[0] == 1)
    seen: list[Walked] = []

    assert session.propagate(seen.append, cancelled=lambda: len(seen) == 3) == []

    assert len(seen) == 3
    assert not session.is_propagated
    session.propagate()
    assert session.is_propagated


def test_masks_are_read_from_files(session: Session, truths: list[LabelMap], tmp_path: Path) -> None:
    Image.fromarray(truths[2]).save(tmp_path / "labels.png")

    yellow = session.add(2, mask=tmp_path / "labels.png", id=2)

    assert (yellow.keyframes[2] == (truths[2] == 2)).all()


def test_what_is_wrong_is_said_and_changes_nothing(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1)
    wrong = [
        (
            FrameIndexError,
            "frame 12 is not one of the session's, which are 0 to 11",
            lambda: session.add(12, mask=truths[0]),
        ),
        (PromptError, "object 1 is there already", lambda: session.add(3, mask=truths[0] == 1, id=1)),
        (PromptError, "color is 'rde'", lambda: session.add(3, mask=truths[0] == 1, color="rde")),
        (MaskError, "is empty", lambda: red.correct(3, mask=np.zeros((HEIGHT, WIDTH), np.bool_))),
        (PromptError, "give a mask, or a box and points", lambda: red.correct(3, mask=truths[3], points=[(1, 1)])),
        (PromptError, "lies outside the video", lambda: red.correct(3, points=[(999, 1)])),
        (PromptError, "a prompt says nothing", lambda: red.correct(3)),
        (PromptError, "there is no object 7; the ids are 1", lambda: session.remove(7)),
    ]
    for kind, text, act in wrong:
        with pytest.raises(kind, match=text):
            act()
        assert list(red.keyframes) == [0]
    with pytest.raises(SettingsError, match="method is given beside settings"):
        Session(np.zeros((2, 8, 8, 3), np.uint8), settings=session.settings, method="persam")


def test_doubt_falls_on_the_frame_where_the_mask_is_wrong(session: Session, truths: list[LabelMap]) -> None:
    """A wrong keyframe: what is found around it jumps there and back."""
    red = session.add(0, mask=truths[0] == 1)
    red.correct(11, mask=truths[11] == 1)
    session.propagate()
    calm = session.doubtful(3)
    red.correct(6, mask=mask_at(1, 200, 90))
    session.propagate()

    named = session.doubtful(3)

    assert len(calm) == len(named) == 3
    assert abs(named[0].frame - 6) <= 3
    assert named[0].doubt > calm[0].doubt
    assert all(each.object_id == 1 and each.reason for each in named)
    assert len({each.frame for each in named}) == 3


def test_only_the_frames_of_a_range_belong_to_a_session(tmp_path: Path, truths: list[LabelMap]) -> None:
    frames, _ = film({1: lambda i: 8 + 8 * i}, COUNT)
    with prepared(Session(frames, frame_rate=25, start=2, end=9, stride=2)) as session:
        session.add(4, mask=truths[4] == 1)

        assert session.propagate() == [2, 4, 6, 8]

        assert [result.index for result in session] == [2, 4, 6, 8]
        with pytest.raises(FrameIndexError, match="which are 2 to 8, every 2 frames"):
            session[3]


def test_masks_and_embeddings_are_kept_from_one_session_to_the_next(tmp_path: Path, truths: list[LabelMap]) -> None:
    for index, rgb in enumerate(film({1: lambda i: 8 + 8 * i}, COUNT)[0]):
        Image.fromarray(rgb).save(tmp_path / f"{index:05d}.png")
    encoded, walked = [], []
    for _ in range(2):
        kept = {"cache": tmp_path / "cache", "masks": tmp_path / "masks.sqlite"}
        with prepared(Session(tmp_path / "*.png", **kept)) as session:
            session.add(0, mask=truths[0] == 1)
            steps: list[Walked] = []
            session.propagate(steps.append)
            walked.append(len(steps))
            encoded.append(session._ready().encoded)

    assert walked == [COUNT - 1, 0]
    assert encoded == [COUNT, 0]


def test_a_session_is_saved_and_gone_on_with(tmp_path: Path, truths: list[LabelMap]) -> None:
    with prepared(Session(saved_film(tmp_path / "film"), start=1, cache=tmp_path / "cache")) as session:
        red = session.add(3, mask=truths[3] == 1, name="red", color="#e6194b", id=4)
        red.absent(9)
        session.propagate()
        session.save(tmp_path / "red.json")
        before = [result.label_map for result in session]

    with prepared(Session.open(tmp_path / "red.json", cache=tmp_path / "cache")) as again:
        assert [(each.id, each.name, each.color, list(each.keyframes)) for each in again.objects] == [
            (4, "red", "#e6194b", [3, 9])
        ]
        assert list(again.frames) == list(range(1, COUNT))
        assert again.is_propagated
        assert all((one == result.label_map).all() for one, result in zip(before, again, strict=True))
        assert not again.undo()
        again.objects[0].correct(6, mask=truths[6] == 1)
        again.propagate()
        again.save(tmp_path / "red.json")

    names = sorted(path.name for path in (tmp_path / "red.masks").iterdir())
    assert [name.split(".")[0] for name in names] == ["00003_4", "00006_4", "propagated", "session"]


def test_damaged_masks_of_a_saved_session_are_made_anew(tmp_path: Path, truths: list[LabelMap]) -> None:
    with prepared(Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache")) as session:
        session.add(3, mask=truths[3] == 1)
        session.save(tmp_path / "red.json")
    (tmp_path / "red.masks" / "propagated.sqlite").write_bytes(b"damaged" * 1000)

    with prepared(Session.open(tmp_path / "red.json", cache=tmp_path / "cache")) as again:
        assert not again.is_propagated
        again.propagate()
        assert again.is_propagated


def test_a_session_needs_a_video_that_can_be_opened_again(session: Session, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a session of arrays cannot be saved"):
        session.save(tmp_path / "red.json")
    (tmp_path / "prompts.json").write_text('{"version": 1, "prompts": [{"frame": 0, "object": 1, "absent": true}]}')
    with pytest.raises(PromptError, match=r"prompts\.json"):
        Session.open(tmp_path / "prompts.json")


def test_nobody_makes_an_object_vanish_by_accident(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1)
    with pytest.raises(PromptError, match="object 2 covers all of object 1 on frame 0"):
        session.add(0, mask=np.ones((HEIGHT, WIDTH), np.bool_))
    with pytest.raises(PromptError, match="object 1 would be absent wherever it is mentioned"):
        red.absent(0)

    assert [each.id for each in session.objects] == [1]
    assert (red.keyframes[0] == (truths[0] == 1)).all()


def test_what_shows_an_object_may_come_after_its_absence_in_a_file(tmp_path: Path, truths: list[LabelMap]) -> None:
    video = saved_film(tmp_path / "film")
    Image.fromarray((truths[6] == 1).astype(np.uint8) * 255).save(tmp_path / "red.png")
    said = [{"frame": 0, "object": 1, "absent": True}, {"frame": 6, "object": 1, "mask": "red.png"}]
    (tmp_path / "red.json").write_text(json.dumps({"version": 1, "video": video, "prompts": said}))

    with prepared(Session.open(tmp_path / "red.json", cache=tmp_path / "cache")) as session:
        assert list(session.objects[0].keyframes) == [0, 6]


def test_a_closed_session_says_so_and_an_id_is_a_number(session: Session, truths: list[LabelMap]) -> None:
    with pytest.raises(PromptError, match="id is 'a'; it must be a whole number"):
        session.add(0, mask=truths[0] == 1, id="a")  # type: ignore[arg-type]
    red = session.add(0, mask=truths[0] == 1)
    session.close()
    for act in (session.propagate, lambda: session[3], lambda: red.correct(3, points=[(5, 5)])):
        with pytest.raises(NotStartedError, match="the session is closed"):
            act()
