"""What runs and sessions leave in their folders, each kind with the program's own reader of it."""

from __future__ import annotations

import json
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

from fuzzing import seeds
from fuzzing.changes import damage_bytes, damage_json, damage_lines
from fuzzing.films_and_pictures import HEIGHT, WIDTH, Seed, film, labels
from fuzzing.kinds import Kind, each_of
from persam_vos.errors import OutputError
from persam_vos.exports.annotations.journal import journal_of
from persam_vos.exports.photos import PhotoWriter
from persam_vos.exports.report.pictures import Pictures
from persam_vos.exports.report.series import read_series
from persam_vos.media.frame import FramesDone
from persam_vos.media.identity import source_identity
from persam_vos.rendering.earlier_run import EarlierTracks, read_earlier_run
from persam_vos.sam.regions import Region
from persam_vos.studio.session.project import Project
from persam_vos.video.propagation.embedding_cache import EmbeddingCache
from persam_vos.video.propagation.found import Found
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.resuming.resume import find_earlier
from persam_vos.video.session.edition import Edition
from persam_vos.video.session.session_file import read_saved, with_said

_IDENTITY = "0" * 64
_ODD = {
    "INTEGER": (0, -1, 2**31, 2**62, -(2**63), 255),
    "REAL": (0.0, -1e308, float("inf"), 1e308),
    "TEXT": ("", "0 0 0 0", "0 1 0", "-5 5 9 9", "1e3 1 1", "0 99999999999 1", "\0", "0 4 -1", "é"),
    "BLOB": (b"", bytes(16), struct.pack("<4i", 0, 0, -1, 5), struct.pack("<4i", 0, 0, 48, 64), bytes(2000), None),
}


def _read_tracks(path: Path) -> None:
    def in_step() -> None:
        found = EarlierTracks(path)
        for index in range(10):
            found.of_frame(index)

    each_of(in_step, lambda: read_series(path))


def _read_run(path: Path) -> None:
    def resumed() -> None:
        earlier = find_earlier(path.parent, overwrite=False, resume=True)
        earlier.check(path.parent, seeds.run_record(), redoes=False)

    each_of(lambda: read_earlier_run(path.parent), resumed)


def _run() -> None:
    Path("run/masks").mkdir(parents=True)


def _runs() -> Sequence[Seed]:
    data = json.dumps(seeds.run_record()).encode()
    return [(data, damage_json), (data, damage_json), (data, damage_bytes)]


def _read_results(_path: Path) -> None:
    with PhotoWriter(Path(), resume=True) as writer:
        writer.names_of([Path("a/b.jpg"), Path("c.jpg")])


def _photos() -> None:
    Path("run.json").write_text('{"references": []}')


def _read_notes(_path: Path) -> None:
    notes = journal_of(Path("coco.json"))
    notes.resume(FramesDone(count=6, first_index=0, first_pts=0, last_index=5, last_pts=5))
    list(notes)
    notes.close()


def _notes() -> Sequence[Seed]:
    lines = "".join(f'{{"frame": {index}, "ids": [1], "area": 3}}\n' for index in range(6)).encode()
    return [(lines, damage_lines), (lines, damage_bytes)]


def _read_store(path: Path) -> None:
    store = FoundStore(None, HEIGHT, WIDTH)
    store.load(path)
    ways: list[Callable[[], object]] = [store.stretches, store.object_ids, store.warnings]
    ways += [lambda: [store.reaches(each) for each in store.stretches()]]
    ways += [lambda: store.other_keyframes([]), lambda: store.scores(range(6)), lambda: store.walks("work")]
    for frame in range(4):
        ways += [lambda frame=frame: store.get(1, frame), lambda frame=frame: store.outlines(frame)]  # type: ignore[misc]
    each_of(*ways)
    store.close()


@cache
def _stores() -> Sequence[Seed]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "masks.sqlite"
        store, region = FoundStore(None, HEIGHT, WIDTH), Region.at(10, 0, 30, 40)
        alpha = (labels() == 1).astype(np.uint8) * 200
        dog, cat = Found(1, labels() == 1, 0.9, 0.8, region, alpha), Found(2, labels() == 2, 0.5, None, region, None)
        for frame in range(4):
            store.put(1, frame, [dog, cat])
        with store._file.transaction():
            store._file.change("insert into stretch values (1, 1, 0, '0 4 1', 'signature')")
            store._file.change("insert into keyframe values (1, 0, 'digest', 16, 4, 16, 16)")
            store._file.change("insert into walk values ('work', 'sweep', 2, x'00')")
        store.save(path)
        store.close()
        data = path.read_bytes()
    return [(data, _damage_rows), (data, damage_bytes)]


def _damage_rows(chance: Random, data: bytes) -> bytes:
    """Change values of a database, of the types that its columns have."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "masks.sqlite"
        path.write_bytes(data)
        found = sqlite3.connect(path, isolation_level=None)
        for _ in range(chance.choice((1, 2, 4))):
            table = chance.choice(("found", "found", "stretch", "keyframe", "size", "walk"))
            columns = found.execute(f"pragma table_info({table})").fetchall()
            _, name, kind, *_ = chance.choice(columns)
            try:
                found.execute(f"update {table} set {name}=?", (chance.choice(_ODD[kind.upper()]),))
            except sqlite3.Error:
                continue
        found.close()
        return path.read_bytes()


def _read_embedding(_path: Path) -> None:
    EmbeddingCache(Path(), _IDENTITY).get(0)


def _read_facts(path: Path) -> None:
    Project(path.parent, Path("clip.mp4")).close()


def _facts() -> Sequence[Seed]:
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        clip.write_bytes(film())
        identity = json.dumps(source_identity(clip))
    listed = '[{"id": 1, "name": "dog", "color": "#e6194b"}]'
    text = (
        f'{{"version": 1, "video": "a", "identity": {identity}, "range": [0, 6, 1], "objects": {listed}, "last_id": 1}}'
    )
    return [(text.encode(), damage_json), (text.encode(), damage_bytes)]


def _clip() -> None:
    Path("clip.mp4").write_bytes(film())


def _read_session(_path: Path) -> None:
    asked, _ = read_saved(Path("prompts.json"), {})
    with_said(Edition(asked.objects, {}, {}), Path("prompts.json"), asked)


def _prompts() -> None:
    Path("prompts.json").write_bytes(seeds.prompts()[0][0])


def _sessions() -> Sequence[Seed]:
    said = '{"mask.png": {"box": [4, 16, 19, 31], "points": [[10, 20, 1]]}}'
    text = f'{{"settings": {{"method": "memory"}}, "frame_rate": "30000/1001", "said": {said}}}'.encode()
    return [(text, damage_json), (text, damage_bytes)]


def _read_pictures(path: Path) -> None:
    try:
        Pictures.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:  # as the report takes it
        raise OutputError(str(error)) from error


def _pictures() -> Sequence[Seed]:
    empty = Pictures().to_json().encode()
    shown = b'{"frame": 0, "time": 0.1, "doubt": 0.9, "jpeg": "aGVsbG8="}'
    kept = b'{"count": 1, "step": 1, "present": [1], "stretches": [[%s]]}' % shown
    return [(each, damage) for each in (empty, kept) for damage in (damage_json, damage_bytes)]


RECORDS = (
    Kind("run.json", "run/run.json", _runs, _read_run, _run, share=2),
    Kind("tracks.jsonl", "tracks.jsonl", seeds.tracks, _read_tracks, share=2),
    Kind("results.jsonl", "results.jsonl", seeds.results, _read_results, _photos, share=2),
    Kind("notes of exports", ".coco.json.frames.partial", _notes, _read_notes),
    Kind("pictures of reports", "pictures.json", _pictures, _read_pictures),
    Kind("masks.sqlite", "masks.sqlite", _stores, _read_store, share=2),
    Kind("embeddings", f"{_IDENTITY}/000000.npz", seeds.arrays, _read_embedding),
    Kind("studio.json", "session/studio.json", _facts, _read_facts, _clip),
    Kind("session.json", "prompts.masks/session.json", _sessions, _read_session, _prompts),
)
