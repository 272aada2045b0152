"""Files are written whole or not at all, and leftovers are recognised."""

from __future__ import annotations

from pathlib import Path

import pytest

from persam_vos.errors import OutputError
from persam_vos.files import PartialFolder, content_of_folder, is_clutter, list_files, whole_file


def test_a_file_gets_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as partial:
        partial.write_text("whole")
        assert [file.name for file in path.parent.iterdir()] == [".a.txt.partial"]
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]
    assert path.read_text() == "whole"


@pytest.mark.parametrize("shared", [False, True])
def test_a_failed_file_leaves_the_old_one(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with whole_file(path, shared=shared) as partial:
            partial.write_text("half")
            raise OSError("full")

    with pytest.raises(OutputError, match=r"a\.txt: cannot be written \(full\)"):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_two_processes_write_a_shared_file_under_two_names(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole_file(path, shared=True) as first, whole_file(path, shared=True) as second:
        assert first != second
        assert is_clutter(first.name)
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"


def test_a_folder_replaces_the_old_one_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "old.png").touch()
    folder = PartialFolder(tmp_path / "masks")
    folder.begin()
    (folder.partial / "new.png").touch()
    folder.finish()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["masks", "masks/new.png"]


def test_a_folder_that_cannot_be_renamed_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "old.png").touch()
    folder = PartialFolder(tmp_path / "masks")
    with pytest.raises(FileNotFoundError):
        folder.finish()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["masks", "masks/old.png"]


@pytest.mark.parametrize(
    "name",
    [".a.mp4.partial", ".a.txt.1f2e3d4c.partial", ".DS_Store", "._a.png", "Thumbs.db", "desktop.ini", ".directory"],
)
def test_clutter_is_no_content(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert content_of_folder(tmp_path) == []


@pytest.mark.parametrize("name", ["a.partial", ".partial", ".git", ".hidden", "thumbs.png", "DS_Store"])
def test_other_names_are_content(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert content_of_folder(tmp_path) == [name]


def test_files_are_listed_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.png", "9.png", "b2.png", "a10.png", ".hidden.png", "c.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in list_files(tmp_path, ".png")] == ["9.png", "10.png", "a10.png", "b2.png"]
