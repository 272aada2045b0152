"""A session that threads share: one propagates, others look and mark meanwhile."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeEngine
from moving import HEIGHT, WIDTH, mask_at
from PIL import Image
from sessions import COUNT, prepared, saved_film, two_squares

from persam_vos.errors import PromptError
from persam_vos.masks import LabelMap
from persam_vos.video.propagation.walked import Walked
from persam_vos.video.session.session import Session


def in_thread(work: object) -> None:
    """Do something in another thread, and wait for it."""
    thread = threading.Thread(target=work)  # type: ignore[arg-type]
    thread.start()
    thread.join()


def test_what_is_said_during_a_propagation_is_propagated_by_it(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1)
    walked: list[Walked] = []

    def at_frame_three(step: Walked) -> None:
        walked.append(step)
        if len(walked) == 3:
            in_thread(lambda: red.correct(6, mask=mask_at(1, 60)))
            in_thread(lambda: session.add(2, mask=truths[2] == 2))

    changed = session.propagate(at_frame_three)

    assert session.is_propagated
    assert changed == list(range(COUNT))
    assert (session[6][1].mask == mask_at(1, 60)).all()
    assert session[9][2].present
    with two_squares(Path(session._parts._folder()) / "other") as at_once:
        at_once.add(0, mask=truths[0] == 1).correct(6, mask=mask_at(1, 60))
        at_once.add(2, mask=truths[2] == 2)
        at_once.propagate()
        assert all((one.label_map == other.label_map).all() for one, other in zip(session, at_once, strict=True))


def test_a_propagation_ends_when_nothing_is_left_to_propagate(session: Session, truths: list[LabelMap]) -> None:
    session.add(0, mask=truths[0] == 1)

    assert session.propagate(lambda _: in_thread(lambda: session.undo()) if session.can_undo else None) == []
    assert session.objects == ()


def test_masks_are_looked_at_while_others_are_made(session: Session, truths: list[LabelMap]) -> None:
    session.add(0, mask=truths[0] == 1)
    seen: list[bool] = []

    session.propagate(lambda step: in_thread(lambda: seen.append(session[step.frame][1].present)))

    assert seen == [True] * (COUNT - 1)


def test_lanes_have_the_score_of_each_frame(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(4, mask=truths[4] == 1)
    red.absent(9)
    assert session.lanes() == {1: [None] * 4 + [1.0] + [None] * 4 + [0.0, None, None]}

    session.propagate(frames=range(7), direction="forward")
    session.add(0, mask=truths[0] == 2)
    lanes = session.lanes(range(3, 9))

    assert list(lanes) == [1, 2]
    assert lanes[1][:2] == [None, 1.0]
    assert [score for score in lanes[1][2:4] if score is not None] == [session[5][1].score, session[6][1].score]
    assert lanes[1][4:] == [None, None]
    assert lanes[2] == [None] * 6


def test_lanes_do_not_show_the_scores_of_an_earlier_object(session: Session, truths: list[LabelMap]) -> None:
    session.add(0, mask=truths[0] == 1)
    session.propagate()
    session.remove(1)
    session.add(0, mask=truths[0] == 2, id=1)

    assert session.lanes() == {1: [1.0] + [None] * (COUNT - 1)}


def test_an_export_shows_what_was_said_when_it_began(session: Session, truths: list[LabelMap], tmp_path: Path) -> None:
    red = session.add(0, mask=truths[0] == 1)

    outcome = session.export(
        tmp_path / "out", "masks", lambda done, _: in_thread(lambda: red.absent(9)) if done == 1 else None
    )

    assert outcome.frames == COUNT
    assert np.asarray(session[9].label_map).max() == 0
    assert (tmp_path / "out" / "masks" / "00009.png").stat().st_size > 0
    assert np.asarray(Image.open(tmp_path / "out" / "masks" / "00009.png")).max() == 1


def test_an_export_that_is_cancelled_leaves_nothing(session: Session, truths: list[LabelMap], tmp_path: Path) -> None:
    session.add(0, mask=truths[0] == 1)
    session.propagate()
    done: list[int] = []

    outcome = session.export(
        tmp_path / "out", "masks,matte", lambda count, _: done.append(count), cancelled=lambda: len(done) == 3
    )

    assert outcome.interrupted
    assert outcome.written == ()
    assert not [path for path in tmp_path.joinpath("out").rglob("*") if path.is_file()]


def test_an_export_has_options(session: Session, truths: list[LabelMap], tmp_path: Path) -> None:
    session.add(0, mask=truths[0] == 1, name="red")
    session.add(0, mask=truths[0] == 2)

    session.export(tmp_path / "out", "masks", masks_format="binary", start_number=1001)

    assert (tmp_path / "out" / "masks" / "1_red" / "01001.png").is_file()
    assert session.settings.masks_format == "label"


def test_clicks_add_up_and_mend_what_is_there(tmp_path: Path, truths: list[LabelMap]) -> None:
    """The fake decoder finds the left half, whatever is said."""
    with Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache", nearer_view=0) as session:
        session._parts._engine = FakeEngine(settings=session.settings)
        assert not session.is_prepared(3)
        session.prepare(3)
        assert session.is_prepared(3)
        encoded = session._ready().encoded

        preview = session.preview(3, points=[(5, 5)])
        left = session.add(3, points=[(5, 5)])
        left.click(3, 9, 9)
        left.click(3, 200, 9, positive=False)

        assert (preview == (np.arange(WIDTH) < WIDTH // 2)).all()
        assert (left.keyframes[3] == preview).all()
        says = session.edition.says(3, left.id)
        assert says is not None
        assert [tuple(point) for point in says.points] == [(5, 5, True), (9, 9, True), (200, 9, False)]
        assert session._ready().encoded == encoded
        left.correct(3, mask=mask_at(1, 40))
        mended = session.preview(3, left.id, points=[(5, 5)])
        assert mended.sum() > mask_at(1, 40).sum()
        assert (left.click(3, 5, 5) == mended).all()
        assert session.edition.says(3, left.id) is None
        assert (session.preview(3, left.id, box=(0, 0, 60, 140)) != mended).any()
        with pytest.raises(PromptError, match="there is no object 9"):
            session.preview(3, 9, points=[(5, 5)])
        with pytest.raises(PromptError, match="every point lies beside the object"):
            session.preview(5, points=[(5, 5, 0)])


def test_an_object_gets_another_name_and_colour(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1, name="red", color="red")

    red.rename(name="ball")
    assert (red.name, red.color) == ("ball", "#ff0000")
    red.rename(color="blue")
    assert (red.name, red.color) == ("ball", "#0000ff")
    with pytest.raises(PromptError, match="color is 'rde'"):
        red.rename(color="rde")
    assert session.can_undo
    assert not session.can_redo
    session.undo()
    assert session.can_redo
    assert red.color == "#ff0000"


def test_what_was_said_is_saved_without_all_masks(tmp_path: Path, truths: list[LabelMap]) -> None:
    film, kept = saved_film(tmp_path / "film"), {"cache": tmp_path / "cache", "masks": tmp_path / "all.sqlite"}
    with prepared(Session(film, **kept)) as session:
        session.add(0, mask=truths[0] == 1)
        session.propagate()
        session.save(tmp_path / "red.json", propagated=False)

    assert not (tmp_path / "red.masks" / "propagated.sqlite").exists()
    with prepared(Session.open(tmp_path / "red.json", **kept)) as again:
        assert again.is_propagated


def test_clicks_and_boxes_outlive_a_session(tmp_path: Path, truths: list[LabelMap]) -> None:
    with Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache", nearer_view=0) as session:
        session._parts._engine = FakeEngine(settings=session.settings)
        session.add(3, points=[(5, 5)]).click(3, 200, 9, positive=False)
        session.add(4, box=(0, 0, 120, 140))
        session.add(5, mask=truths[5] == 1)
        session.save(tmp_path / "left.json", propagated=False)
        said = dict(session.edition.said)

    with Session.open(tmp_path / "left.json", cache=tmp_path / "cache") as again:
        assert dict(again.edition.said) == said
    assert sorted(said) == [(3, 1), (4, 2)]


@pytest.mark.parametrize("damage", ["nothing", "a list", "a number", "half a box"])
def test_what_masks_were_made_of_may_be_damaged(tmp_path: Path, damage: str) -> None:
    with Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache", nearer_view=0) as session:
        session._parts._engine = FakeEngine(settings=session.settings)
        session.add(3, points=[(5, 5)])
        session.save(tmp_path / "left.json", propagated=False)
    (mask,) = (tmp_path / "left.masks").glob("*.png")
    settings = tmp_path / "left.masks" / "session.json"
    known = json.loads(settings.read_text())
    assert list(known["said"]) == [mask.name]
    wrong = {"nothing": {}, "a list": [mask.name], "a number": {mask.name: 3}, "half a box": {mask.name: {"box": [1]}}}
    settings.write_text(json.dumps({**known, "said": wrong[damage]}))

    with Session.open(tmp_path / "left.json", cache=tmp_path / "cache") as again:
        assert dict(again.edition.said) == {}
        assert again.objects[0].keyframes[3].shape == (HEIGHT, WIDTH)


def test_a_mask_that_is_saved_is_not_written_again(tmp_path: Path, truths: list[LabelMap]) -> None:
    with prepared(Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache")) as session:
        red = session.add(0, mask=truths[0] == 1)
        session.save(tmp_path / "red.json", propagated=False)
        (first,) = (tmp_path / "red.masks").glob("*.png")
        written = first.stat().st_ino, first.stat().st_mtime_ns
        red.correct(3, mask=truths[3] == 1)
        session.save(tmp_path / "red.json", propagated=False)

    assert (first.stat().st_ino, first.stat().st_mtime_ns) == written
    assert len(list((tmp_path / "red.masks").glob("*.png"))) == 2


def test_nothing_of_earlier_objects_is_shown_of_a_new_one(tmp_path: Path, truths: list[LabelMap]) -> None:
    """The masks were made in another session, or by a propagation that was cancelled."""
    film, kept = saved_film(tmp_path / "film"), {"cache": tmp_path / "cache", "masks": tmp_path / "all.sqlite"}
    for stop_after in (COUNT, 3):
        with prepared(Session(film, **kept)) as session:
            session.add(0, mask=truths[0] == 1, id=1)
            walked: list[Walked] = []
            session.propagate(walked.append, cancelled=lambda: len(walked) == stop_after)  # noqa: B023
        with prepared(Session(film, **kept)) as again:
            again.add(0, mask=truths[0] == 2, id=1)

            assert again.lanes() == {1: [1.0] + [None] * (COUNT - 1)}
            assert not any(again[frame].label_map.any() for frame in range(1, COUNT))
            again.propagate()
            assert (again[2].label_map == 1).any()
        (tmp_path / "all.sqlite").unlink()


def test_what_clicks_have_said_outlives_a_death_between_two_files(
    tmp_path: Path, truths: list[LabelMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache", nearer_view=0) as session:
        session._parts._engine = FakeEngine(settings=session.settings)
        left = session.add(3, box=(0, 0, 120, 140))
        session.save(tmp_path / "left.json", propagated=False)
        said = dict(session.edition.said)
        left.correct(3, mask=mask_at(1, 40))

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("persam_vos.video.session.session_file.write_prompts", die)
            with pytest.raises(KeyboardInterrupt):
                session.save(tmp_path / "left.json", propagated=False)

        with Session.open(tmp_path / "left.json", cache=tmp_path / "cache") as again:
            assert dict(again.edition.said) == said
        for _ in range(2):
            session.save(tmp_path / "left.json", propagated=False)

    assert json.loads((tmp_path / "left.masks" / "session.json").read_text())["said"] == {}


def test_only_the_last_changes_of_a_large_video_can_be_taken_back(
    session: Session, truths: list[LabelMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    red = session.add(0, mask=truths[0] == 1)
    history = session._history.begin(session.edition)
    assert history._keeps == 200_000_000 // (HEIGHT * WIDTH)
    monkeypatch.setattr("persam_vos.video.session.marked._BYTES_OF_CHANGES", 0)
    with Session(np.zeros((2, 8, 8, 3), np.uint8)) as other:
        square = other.add(0, mask=np.ones((8, 8), np.bool_))
        for turn in range(30):
            square.rename(name=str(turn))
        assert sum(iter(other.undo, False)) == 20
        assert square.name == "9"
    assert red.id == 1


def test_old_masks_are_shown_until_there_are_new_ones(session: Session, truths: list[LabelMap]) -> None:
    red = session.add(0, mask=truths[0] == 1)
    session.propagate()
    before = [result.label_map for result in session]
    red.correct(COUNT - 1, mask=mask_at(1, 120))
    store, redone, old = session._parts.store, set[int](), set[int]()
    put = store.put

    def put_two(direction: Any, frame: int, found: Any) -> None:
        if len(redone) < 2:
            redone.add(frame)
            put(direction, frame, found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "put", put_two)
        session.propagate(cancelled=lambda: len(redone) == 2)
    for frame in range(COUNT - 1):
        if frame not in redone:
            assert (session[frame].label_map == before[frame]).all()
            assert session.lanes()[1][frame]
            old.add(frame)

    assert len(old) >= COUNT - 3
    assert not session.is_propagated
    session.propagate()
    # What lies under the keyframe is shown again should that be taken back.
    assert [frame for frame in range(COUNT) if store.get(1, frame, former=True)] == [COUNT - 1]
    session.undo()
    assert (session[COUNT - 1].label_map == before[COUNT - 1]).all()


def test_old_masks_of_another_object_are_not_shown(session: Session, truths: list[LabelMap]) -> None:
    session.add(0, mask=truths[0] == 1, id=1)
    session.propagate()
    session.remove(1)
    session.add(6, mask=truths[6] == 2, id=1)
    walked: list[Walked] = []

    session.propagate(walked.append, cancelled=lambda: bool(walked))

    assert not any((session[frame].label_map[truths[frame] == 1]).any() for frame in range(COUNT))
    assert [score for score in session.lanes()[1] if score is not None]
