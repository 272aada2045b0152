"""What runs leave in their folders, changed by hand."""

from __future__ import annotations

import json
import pickle
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest

from persam_vos.errors import CheckpointError, OutputError, SettingsError
from persam_vos.exports.annotations.journal import journal_of
from persam_vos.exports.report.series import read_series
from persam_vos.media.frame import FramesDone
from persam_vos.sam.checkpoints.state_dict import load_state_dict
from persam_vos.sam.regions import Region
from persam_vos.video.propagation.embedding_cache import EmbeddingCache
from persam_vos.video.propagation.found import Found
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.resuming.resume import Earlier
from persam_vos.video.session.session_file import read_saved

DONE = FramesDone(count=1, first_index=0, first_pts=0, last_index=0, last_pts=0)


@pytest.mark.parametrize("line", ['{"frame": "0"}', "[0]", "[" * 100_000, '{"frame": 0', '{"frame": true}'])
def test_notes_of_an_export_that_are_none_are_refused(tmp_path: Path, line: str) -> None:
    notes = journal_of(tmp_path / "coco.json")
    notes.path.write_text(f"{line}\n")

    with pytest.raises(OutputError, match=r"coco\.json"):
        notes.resume(DONE)
    with pytest.raises(OutputError, match=r"coco\.json.*changed"):
        list(notes)


@pytest.mark.parametrize("change", [{"object": [1]}, {"area": 10**400}, {"object": None}, {"box_xyxy": [1]}])
def test_tracks_that_are_none_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    record = {
        "frame": 0,
        "time": 0,
        "object": 1,
        "name": "",
        "present": True,
        "score": 1,
        "similarity": None,
        "area": 1,
    }
    record |= {"box_xyxy": [0, 0, 1, 1], "keyframe": False}
    tracks = tmp_path / "tracks.jsonl"
    tracks.write_text(f"{json.dumps(record)}\n{json.dumps(record | change)}\n")

    with pytest.raises(OutputError, match="cannot be read for the report"):
        read_series(tracks)


@pytest.mark.parametrize("change", [{"settings": "ab"}, {"backend": 1.5}, {"precision": ["float32"]}])
def test_a_record_of_another_program_is_no_run_to_go_on_with(tmp_path: Path, change: dict[str, object]) -> None:
    record = {
        "versions": {},
        "settings": {},
        "checkpoint": {"sha256": ""},
        "fingerprint": dict.fromkeys(("range", "video", "keyframes_sha256", "objects", "background")),
        "source": "clip.mp4",
        "backend": "torch",
        "precision": "float32",
    }
    earlier = Earlier({**record, **change})

    try:
        told = earlier.check(tmp_path, record, redoes=False)
    except OutputError as error:
        assert "no record of an earlier run" in str(error)  # noqa: PT017
    else:
        assert "the others by torch float32" in told[0]


def test_masks_that_lack_a_number_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "masks.sqlite"
    store = FoundStore(path, 6, 9)
    store.put(1, 0, [Found(1, np.ones((6, 9), np.bool_), 0.5, None, Region.at(0, 0, 6, 9))])
    store.close()
    data = sqlite3.connect(path, isolation_level=None)
    data.execute("update found set score=null, area=null")
    data.execute("insert into keyframe values (1, 0, 'digest', null, null, null, null)")
    data.close()

    store = FoundStore(path, 6, 9)
    for read in (
        lambda: store.get(1, 0),
        lambda: store.outlines(0),
        lambda: store.scores(range(1)),
        lambda: store.other_keyframes([]),
    ):
        with pytest.raises(OutputError, match="is damaged; remove it"):
            read()
    store.close()


def test_an_embedding_with_a_header_that_is_no_python_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "identity" / "000000.npz"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sizes.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': ((((\n\n")

    assert EmbeddingCache(tmp_path, "identity").get(0) is None
    assert not path.exists()


class _RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1",)


def test_weights_that_would_run_a_function_of_python_itself_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(pickle.dumps({"a": _RunsCode()}, 2))

    with pytest.raises(CheckpointError, match="it asks for eval, and loading it could run code"):
        load_state_dict(path)


@pytest.mark.parametrize(
    "made", ["create view stretch as select 1", "create trigger t after insert on size begin select 1; end"]
)
def test_a_store_in_which_more_than_tables_stand_is_refused(tmp_path: Path, made: str) -> None:
    path = tmp_path / "masks.sqlite"
    FoundStore(path, 6, 9).close()
    data = sqlite3.connect(path, isolation_level=None)
    if "view" in made:
        data.execute("drop table stretch")
    data.execute(made)
    data.close()

    with pytest.raises(OutputError, match="is damaged; remove it"):
        FoundStore(path, 6, 9)


def test_a_session_without_a_rate_of_its_frames_is_refused(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.json"
    prompts.write_text(
        '{"version": 1, "video": "clip.mp4", "prompts": [{"frame": 0, "object": 1, "box": [0, 0, 5, 5]}]}'
    )
    settings = tmp_path / "prompts.masks" / "session.json"
    settings.parent.mkdir()

    for rate in ("Infinity", '"1/0"', "NaN", "[]"):
        settings.write_text(f'{{"frame_rate": {rate}, "settings": {{}}}}')
        with pytest.raises(SettingsError, match=r"session\.json: cannot be read"):
            read_saved(prompts, {})


def test_weights_that_are_larger_where_they_are_unpacked_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(100_000))

    with pytest.raises(CheckpointError, match="it is compressed"):
        load_state_dict(path)


def test_an_embedding_that_is_larger_where_it_is_unpacked_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persam_vos.video.propagation.embedding_cache._LARGEST_BYTES", 1000)
    monkeypatch.setattr("persam_vos.video.propagation.embedding_cache._restore", lambda *_: pytest.fail("it is read"))
    path = tmp_path / "identity" / "000000.npz"
    path.parent.mkdir()
    np.savez_compressed(path, features=np.zeros(10_000))

    assert EmbeddingCache(tmp_path, "identity").get(0) is None
    assert not path.exists()
