"""A session on disk: nothing is lost by a save that dies, and settings are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from moving import mask_at
from PIL import Image
from sessions import prepared, saved_film, true_labels

from persam_vos.errors import OutputError, PromptError, SettingsError
from persam_vos.masks import LabelMap
from persam_vos.settings.video import Settings
from persam_vos.video.session import session_file
from persam_vos.video.session.session import Session


@pytest.fixture
def truths() -> list[LabelMap]:
    return true_labels()


def test_a_save_that_dies_leaves_the_one_before(
    tmp_path: Path, truths: list[LabelMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    with prepared(Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache")) as session:
        red = session.add(0, mask=truths[0] == 1)
        session.save(tmp_path / "red.json")
        red.correct(0, mask=mask_at(1, 0))

        def die(*_: object) -> None:
            raise OutputError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(session_file, "write_prompts", die)
            with pytest.raises(OutputError, match="disk full"):
                session.save(tmp_path / "red.json")
        with prepared(Session.open(tmp_path / "red.json", cache=tmp_path / "cache")) as again:
            assert (again.objects[0].keyframes[0] == (truths[0] == 1)).all()

        session.save(tmp_path / "red.json")
    assert len(list((tmp_path / "red.masks").glob("*.png"))) == 1
    with prepared(Session.open(tmp_path / "red.json", cache=tmp_path / "cache")) as again:
        assert (again.objects[0].keyframes[0] == mask_at(1, 0)).all()


def test_masks_are_saved_as_they_were_given(tmp_path: Path, truths: list[LabelMap]) -> None:
    with prepared(Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache")) as session:
        session.add(0, mask=truths[0] == 1, id=3)
        session.add(0, mask=mask_at(1, 8, 20) | (truths[0] == 2), id=2)
        session.save(tmp_path / "both.json")
        before = session[0].label_map

    with prepared(Session.open(tmp_path / "both.json", cache=tmp_path / "cache")) as again:
        assert (again[0].label_map == before).all()
        again.remove(2)
        assert (again.objects[0].keyframes[0] == (truths[0] == 1)).all()


def test_settings_and_frame_rate_are_kept(tmp_path: Path, truths: list[LabelMap]) -> None:
    chosen = {"preset": "best", "memory_rate": 0.2, "device": "cpu"}
    with Session(saved_film(tmp_path / "film"), frame_rate=50, cache=tmp_path / "cache", **chosen) as session:
        session.add(0, mask=truths[0] == 1)
        session.save(tmp_path / "red.json")
        settings = session.settings

    kept = json.loads((tmp_path / "red.masks" / "session.json").read_text())
    assert kept["settings"] == {"method": "memory", "preset": "best", "memory_rate": 0.2}
    assert "range" not in json.loads((tmp_path / "red.json").read_text())
    with Session.open(tmp_path / "red.json", device="cpu") as again:
        assert again.settings == settings
        assert again.info.frame_rate == 50
    with Session.open(tmp_path / "red.json", frame_rate=30, preset="quick") as other:
        assert (other.settings.memory_rate, other.settings.encode_every, other.info.frame_rate) == (0.2, 4, 30)
        assert other.settings.closer_look == 0
    with Session.open(tmp_path / "red.json", settings=Settings()) as usual:
        assert (usual.settings, usual.info.frame_rate) == (Settings(), 50)


def test_damaged_settings_and_a_range_are_refused(tmp_path: Path, truths: list[LabelMap]) -> None:
    with Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache") as session:
        session.add(0, mask=truths[0] == 1)
        session.save(tmp_path / "red.json")

    with pytest.raises(SettingsError, match=r"start is given, and .*red\.json says which frames there are"):
        Session.open(tmp_path / "red.json", start=3)
    (tmp_path / "red.masks" / "session.json").write_text('{"settings": [1]}')
    with pytest.raises(SettingsError, match=r"session\.json: cannot be read"):
        Session.open(tmp_path / "red.json")


def test_a_session_of_nothing_is_not_saved(tmp_path: Path) -> None:
    with (
        Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache") as session,
        pytest.raises(PromptError, match="there is no object yet"),
    ):
        session.save(tmp_path / "empty.json")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("empty")] == []


def test_other_files_beside_the_masks_stay(tmp_path: Path, truths: list[LabelMap]) -> None:
    (tmp_path / "red.masks").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "red.masks" / "mine.png")
    Image.new("L", (4, 4)).save(tmp_path / "red.masks" / "00000_1.png")
    with Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache") as session:
        session.add(0, mask=truths[0] == 1)
        session.save(tmp_path / "red.json")

    names = {path.name.split(".")[0] for path in (tmp_path / "red.masks").iterdir()}
    assert names == {"mine", "00000_1", "propagated", "session"}
    assert not (tmp_path / "red.masks" / "00000_1.png").exists()


def test_the_clicks_that_have_mended_a_mask_are_kept_for_people_to_see(tmp_path: Path, truths: list[LabelMap]) -> None:
    with prepared(Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache")) as session:
        red = session.add(0, mask=truths[0] == 1)
        red.click(0, 3, 4)
        red.click(0, 5, 6, positive=False)
        session.add(1, points=[(20, 20)])
        session.save(tmp_path / "red.json")

        def clicks_of(of: Session) -> list[tuple[float, float, bool]]:
            return [tuple(each) for each in of.edition.keyframes[0, 1].clicks]

        assert clicks_of(session) == [(3, 4, True), (5, 6, False)]
        session.undo()
        session.undo()
        assert clicks_of(session) == [(3, 4, True)]

    with prepared(Session.open(tmp_path / "red.json", cache=tmp_path / "cache")) as again:
        assert clicks_of(again) == [(3, 4, True), (5, 6, False)]
        assert again.edition.says(0, 1) is None
        assert again.edition.says(1, 2) is not None
        again.objects[0].correct(0, mask=truths[0] == 1)
        assert clicks_of(again) == []
