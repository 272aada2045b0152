"""A session is exported as a run writes its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import read_all, write_clip
from moving import film
from PIL import Image
from sessions import COUNT, SQUARES, prepared, saved_film, true_labels

from persam_vos.errors import OutputError, SettingsError
from persam_vos.masks import LabelMap
from persam_vos.video.session.session import Session


@pytest.fixture
def truths() -> list[LabelMap]:
    return true_labels()


@pytest.fixture
def session(tmp_path: Path, truths: list[LabelMap]) -> Iterator[Session]:
    with prepared(Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache")) as opened:
        opened.add(0, mask=truths[0] == 1)
        yield opened


def record_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def test_a_session_is_exported_like_a_run(tmp_path: Path, truths: list[LabelMap]) -> None:
    with prepared(Session(saved_film(tmp_path / "film"), start=2, cache=tmp_path / "cache")) as session:
        session.add(5, mask=truths[5] == 1, name="red", id=3)

        outcome = session.export(tmp_path / "out", ["masks"])

        names = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert names == ["masks", "prompts", "prompts.json", "run.json", "tracks.jsonl"]
        assert outcome.frames == COUNT - 2
        written = np.asarray(Image.open(tmp_path / "out" / "masks" / "00007.png"))
        assert (written == session[7].label_map).all()
        assert set(np.unique(written)) == {0, 3}
        with pytest.raises(OutputError, match="is not empty"):
            session.export(tmp_path / "out", ["masks"])
    tracks = [json.loads(line) for line in (tmp_path / "out" / "tracks.jsonl").read_text().splitlines()]
    assert [each["frame"] for each in tracks] == list(range(2, COUNT))
    assert {each["name"] for each in tracks} == {"red"}
    assert [each["frame"] for each in tracks if each.get("keyframe")] == [5]


def test_the_folder_of_an_unfinished_run_is_refused(session: Session, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".masks.partial").mkdir(parents=True)
    (out / ".masks.partial" / "00000.png").write_bytes(b"the work of an hour")
    (out / ".run.partial").write_bytes(b"checkpoint")

    with pytest.raises(OutputError, match="holds an unfinished run"):
        session.export(out, ["masks"])
    assert (out / ".masks.partial" / "00000.png").exists()

    session.export(out, ["masks"], overwrite=True)
    assert not (out / ".run.partial").exists()
    assert len(list((out / "masks").iterdir())) == COUNT


def test_no_earlier_export_stays_beside_a_later_one(session: Session, truths: list[LabelMap], tmp_path: Path) -> None:
    out, told = tmp_path / "out", []
    session.add(0, mask=truths[0] == 2, id=255)
    session.export(out, "masks,overlay")
    session.export(out, "masks", lambda done, expected: told.append((done, expected)), overwrite=True)

    assert not (out / "overlay.mp4").exists()
    assert told == [(done, COUNT) for done in range(1, COUNT + 1)]
    record = record_of(out)
    assert (record["settings"]["export"], record["frames_encoded"], record["complete"]) == (["masks"], COUNT, True)
    assert any(each.startswith("object 255: many programs") for each in record["warnings"])
    with pytest.raises(SettingsError, match="export"):
        session.export(tmp_path / "other", "mask")
    assert not (tmp_path / "other").exists()


def test_the_record_of_an_earlier_run_does_not_describe_a_later_one(session: Session, tmp_path: Path) -> None:
    out = tmp_path / "out"
    session.export(out, ["masks", "cutout"])

    def fail(done: int, expected: int | None) -> None:
        raise OutputError("disk full")

    with pytest.raises(OutputError, match="disk full"):
        session.export(out, ["masks"], fail, overwrite=True)

    assert record_of(out)["complete"] is False
    session.export(out, ["masks"], overwrite=True)
    assert not (out / "cutout.mp4").exists()


def test_a_whole_video_keeps_its_times(tmp_path: Path, truths: list[LabelMap]) -> None:
    pts = [25 + index for index in range(COUNT)]
    late = write_clip(tmp_path / "late.mkv", film(SQUARES, COUNT)[0], pts=pts)
    starts = []
    for start in (None, 2):
        with prepared(Session(late, start=start, cache=tmp_path / "cache")) as session:
            session.add(3, mask=truths[3] == 1)
            session.export(tmp_path / f"out{start}", "overlay")
        starts.append(read_all(tmp_path / f"out{start}" / "overlay.mp4")[1][0].time)
        fingerprint = record_of(tmp_path / f"out{start}")["fingerprint"]
        assert fingerprint["range"] == (None if start is None else [2, COUNT, 1])

    assert starts == [1, 0]
