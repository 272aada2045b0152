"""What a person says in a session: of whom a pixel is, which ids objects get, what is doubtful."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeEngine
from moving import HEIGHT, WIDTH, mask_at
from PIL import Image
from sessions import prepared, saved_film

from persam_vos.errors import FrameIndexError, MaskError, NotStartedError, PromptError
from persam_vos.masks import LabelMap, Mask
from persam_vos.video.session.session import Session


def save(path: Path, mask: Mask) -> str:
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    return path.name


def test_a_keyframe_is_whole_again_once_nobody_covers_it(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1)
    cover = session.add(0, mask=(truths[0] == 2) | mask_at(1, 8, 20))

    assert 0 < red.keyframes[0].sum() < (truths[0] == 1).sum()
    assert "objects 1 and 2 share 1344 pixels of frame 0; they go to object 2" in "".join(session.warnings)

    session.remove(cover.id)

    assert (red.keyframes[0] == (truths[0] == 1)).all()
    assert session.warnings == ()


def test_what_is_forgotten_or_said_anew_gives_pixels_back(session: Session, truths: list[LabelMap]) -> None:
    red, yellow = session.add(0, mask=truths[0] == 1), session.add(0, mask=truths[0] == 2)
    yellow.correct(5, mask=truths[5] == 2)
    red.correct(5, mask=(truths[5] == 1) | (mask_at(2, 90) & (np.arange(WIDTH) < 130)))
    assert yellow.keyframes[5].sum() < (truths[5] == 2).sum()

    yellow.correct(5, mask=truths[5] == 2)
    assert (yellow.keyframes[5] == (truths[5] == 2)).all()
    session.undo()
    red.forget(5)
    assert (yellow.keyframes[5] == (truths[5] == 2)).all()


def test_nobody_covers_an_object_bit_by_bit(session: Session, truths: list[LabelMap]) -> None:
    left = np.arange(WIDTH) < WIDTH // 2
    session.add(0, mask=np.broadcast_to(np.arange(HEIGHT)[:, None] < 20, (HEIGHT, WIDTH)))
    session.add(0, mask=np.broadcast_to(left, (HEIGHT, WIDTH)))

    with pytest.raises(PromptError, match="object 3 covers all of object 1 on frame 0"):
        session.add(0, mask=np.broadcast_to(~left, (HEIGHT, WIDTH)))
    assert [each.id for each in session.objects] == [1, 2]


def test_a_file_of_prompts_gives_the_keyframes_of_a_run(tmp_path: Path) -> None:
    """Drawn masks are in front of boxes, and two boxes compete; see the fake decoder, which finds the left half."""
    video = saved_film(tmp_path / "film")
    name = save(tmp_path / "drawn.png", mask_at(1, 8))
    said: list[dict[str, Any]] = [
        {"frame": 0, "object": 1, "mask": name},
        {"frame": 0, "object": 2, "box": [0, 0, 400, 400]},
        {"frame": 3, "object": 1, "absent": True},
    ]
    (tmp_path / "said.json").write_text(json.dumps({"version": 1, "video": video, "prompts": said}))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("persam_vos.video.session.session_parts.Engine", lambda settings: FakeEngine(settings=settings))
        with Session.open(tmp_path / "said.json", cache=tmp_path / "cache", nearer_view=0) as session:
            red, left = session.objects
            assert (red.keyframes[0] == mask_at(1, 8)).all()
            assert (left.keyframes[0] == ((np.arange(WIDTH) < WIDTH // 2) & ~mask_at(1, 8))).all()
            assert list(red.keyframes) == [0, 3]
            assert any("share 2304 pixels of frame 0; they go to object 1" in each for each in session.warnings)
            assert any("the box of object 2 in frame 0 reaches out" in each for each in session.warnings)
            session.remove(red.id)
            assert (left.keyframes[0] == (np.arange(WIDTH) < WIDTH // 2)).all()


def test_a_session_tells_what_is_doubtful_in_masks(session: Session, truths: list[LabelMap]) -> None:
    session.add(0, mask=mask_at(1, 8) & mask_at(1, 55, 47))
    session.add(1, mask=np.where(truths[1] == 2, 255, truths[1]).astype(np.uint8))
    session.add(2, mask=truths[2] == 2, id=255)

    told = "\n".join(session.warnings)

    assert "object 1 has 1 of frame 0's 36864 pixels: too few" in told
    assert "white, 255, is void beside other values" in told
    assert "object 255: many programs" in told
    session.undo()
    assert "object 255" not in "\n".join(session.warnings)


def test_of_a_label_map_as_an_array_the_object_is_taken(session: Session, truths: list[LabelMap]) -> None:
    yellow = session.add(0, mask=truths[0], id=2)

    assert (yellow.keyframes[0] == (truths[0] == 2)).all()
    assert (session.add(3, mask=(truths[3] == 1) * 9).keyframes[3] == (truths[3] == 1)).all()
    with pytest.raises(MaskError, match="mask: shows the objects 1, 2, and not 7"):
        session.add(0, mask=truths[0], id=7)


def test_frames_are_whole_numbers_of_any_kind(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(np.int64(3), mask=truths[3] == 1)  # type: ignore[arg-type]

    assert [type(each) for each in red.keyframes] == [int]
    session.propagate()
    for wrong in (True, 3.0, "3", None):
        with pytest.raises(FrameIndexError, match=r"it must be the index|is not one of the session's"):
            red.correct(wrong, mask=truths[3] == 1)  # type: ignore[arg-type]


def test_a_new_object_gets_a_new_id(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1)
    session.propagate()
    session.remove(red.id)

    assert session.add(0, mask=truths[0] == 2).id == 2
    session.undo()
    assert session.add(0, mask=truths[0] == 2).id == 3
    assert session.add(0, mask=truths[0] == 1, id=255).id == 255
    assert session.add(1, mask=truths[1] == 1).id == 1


def test_an_id_that_is_used_again_shows_nothing_of_its_earlier_object(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1)
    session.propagate()
    session.remove(red.id)
    yellow = session.add(0, mask=truths[0] == 2, id=1)

    assert not session[6][1].present
    assert session[0][1].present
    session.propagate()
    assert not (session[6][1].mask & (truths[6] == 1)).any()
    assert session[6][1].present
    assert yellow.id == 1


def test_points_mend_the_mask_that_is_shown(
    session: Session, truths: list[LabelMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On frame 6 both objects claim the same pixels; each shows its own part."""
    red = session.add(0, mask=truths[0] == 1)
    session.add(0, mask=truths[0] == 2)
    session.propagate()
    shown = mask_at(1, 56) & (np.arange(WIDTH) < 80)
    known: list[Mask | None] = []

    def given(edition: Any, *_: Any, **how: Any) -> Any:
        known.append(how["known"])
        return edition

    monkeypatch.setattr(session.marks, "given", given)
    result = session[6]
    monkeypatch.setattr(type(result[1]), "mask", property(lambda _: shown))
    with pytest.raises(KeyError):
        red.correct(6, points=[(60, 20)])

    assert (known[0] == shown).all()


def test_a_closed_session_takes_no_mask(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1)
    session.close()
    for act in (lambda: session.add(3, mask=truths[3] == 2), lambda: red.correct(3, mask=truths[3] == 1)):
        with pytest.raises(NotStartedError, match="the session is closed"):
            act()


def test_a_session_that_is_opened_knows_the_ids_of_objects_that_are_gone(
    tmp_path: Path, truths: list[LabelMap]
) -> None:
    with prepared(Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache")) as session:
        red = session.add(0, mask=truths[0] == 1)
        session.add(0, mask=truths[0] == 2, id=7)
        session.propagate()
        session.remove(7)
        session.save(tmp_path / "red.json")

    with prepared(Session.open(tmp_path / "red.json", cache=tmp_path / "cache")) as again:
        assert again.add(0, mask=truths[0] == 2).id == 8
        assert red.id == 1
