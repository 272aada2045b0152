"""Exports over HTTP: each in a folder of its own, whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moving import HEIGHT, WIDTH
from sessions import COUNT
from studios import Served

from persam_vos.errors import OutputError
from persam_vos.video.session.session import Session


def test_exports_are_written_into_folders_of_their_own(marked: Served) -> None:
    folder = marked.studio.project.folder
    with marked.listening() as wait:
        marked.post("/api/export", {"exports": ["masks", "coco"], "options": {"masks_format": "binary", "grow": 1}})
        walked, first = wait("progress"), wait("done")
        marked.post("/api/export", {"exports": ["cutout"], "options": {"background": "blur"}})
        written, second = wait("progress"), wait("done")

    assert (written["kind"], written["expected"], "frame" in written) == ("export", COUNT, False)
    # What is not there yet is propagated first.
    assert (walked["kind"], "frame" in walked) == ("export", True)
    assert (first["folder"], second["folder"]) == (str(folder / "export-1"), str(folder / "export-2"))
    assert (folder / "export-1" / "masks" / "1_red" / "00000.png").is_file()
    assert {"masks", "coco.json", "run.json", "tracks.jsonl", "prompts.json"} <= set(first["files"])
    assert all((folder / "export-1" / name).exists() for name in first["files"])
    assert (folder / "export-2" / "cutout.mp4").is_file()
    assert not list(folder.glob(".export*"))


def test_nothing_is_left_of_an_export_that_is_cancelled(marked: Served, gate: threading.Event) -> None:
    folder = marked.studio.project.folder
    with marked.listening() as wait:
        marked.post("/api/export", {"exports": ["masks"]})
        marked.script.delete("/api/export")
        gate.set()
        done = wait("done")

    assert (done["cancelled"], done["folder"]) == (True, None)
    assert not [path for path in folder.iterdir() if "export" in path.name]


@pytest.mark.parametrize(
    "error", [OutputError("prores.mov: cannot be written (No space left on device)"), MemoryError()]
)
def test_an_export_that_fails_is_told_in_words_and_leaves_nothing(
    marked: Served, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    folder = marked.studio.project.folder

    def fail(_: Session, into: Path, *__: object, **___: object) -> None:
        (into / "prores.mov").write_bytes(b"half")
        raise error

    with monkeypatch.context() as disk, marked.listening() as wait:
        disk.setattr(Session, "export", fail)
        marked.post("/api/export", {"exports": ["prores"]})
        failed = wait("failed")

    assert failed["kind"] == "export"
    assert (str(error) or "MemoryError") in failed["error"]
    assert not [path for path in folder.iterdir() if "export" in path.name]
    assert marked.get("/api/state")["job"] is None


def test_what_is_said_beside_an_export_is_another_revision_once_it_is_propagated(
    marked: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    export, revisions = Session.export, []

    def corrected(session: Session, *given: Any, **options: Any) -> Any:
        marked.draw(1, 9, np.ones((HEIGHT, WIDTH), np.bool_))
        found = export(session, *given, **options)
        revisions.append(marked.studio.workspace.revision)
        return found

    monkeypatch.setattr(Session, "export", corrected)
    with marked.listening() as wait:
        marked.post("/api/export", {"exports": ["masks"]})
        wait("done")

    assert marked.get("/api/state")["revision"] > revisions[0]
