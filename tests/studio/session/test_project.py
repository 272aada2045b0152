"""The folder of a session: whose it is, who holds it, and what is wrong with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from clips import moving_square, write_clip

from persam_vos.errors import OutputError, PromptError, SettingsError
from persam_vos.prompts import NamedObject
from persam_vos.studio.session.project import Project, folder_for

FRAMES = range(10)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", moving_square(10))


def begun(folder: Path, clip: Path, frames: range = FRAMES, *, is_chosen: bool = False) -> Project:
    project = Project(folder, clip)
    try:
        project.begin(frames, is_chosen=is_chosen)
    except BaseException:
        project.close()
        raise
    return project


def test_a_folder_lies_beside_its_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shots.v2").mkdir()
    monkeypatch.chdir(tmp_path / "shots.v2")

    assert folder_for("a/clip.mp4") == Path("a/clip.persam")
    assert folder_for(str(tmp_path / "shots.v2")) == tmp_path / "shots.v2.persam"
    assert folder_for(str(tmp_path / "shots.v2/*.png")) == tmp_path / "shots.v2.persam"
    assert folder_for("*.png") == tmp_path / "shots.v2.persam"


def test_what_is_listed_is_there_again(clip: Path, tmp_path: Path) -> None:
    project = begun(tmp_path / "s", clip)
    project.list_objects([NamedObject(2, "Hund ü", "#ff0000"), NamedObject(7)], 9)
    project.close()

    again = begun(tmp_path / "s", clip, range(5))

    assert again.objects == {2: NamedObject(2, "Hund ü", "#ff0000"), 7: NamedObject(7)}
    assert (again.last_id, again.frames) == (9, FRAMES)
    again.close()


def test_a_session_keeps_its_frames_unless_others_are_asked_for(clip: Path, tmp_path: Path) -> None:
    begun(tmp_path / "s", clip, range(2, 9, 3)).close()

    begun(tmp_path / "s", clip, range(2, 9, 3), is_chosen=True).close()
    with pytest.raises(SettingsError, match="frames 2 to 8, every 3 frames, and 0 to 9 are asked for; leave out"):
        begun(tmp_path / "s", clip, FRAMES, is_chosen=True)


def test_two_studios_do_not_share_a_folder(clip: Path, tmp_path: Path) -> None:
    project = begun(tmp_path / "s", clip)
    opens = "import sys; from pathlib import Path; from persam_vos.studio.session.project import Project; Project("
    other = [sys.executable, "-c", f"{opens}*map(Path, sys.argv[1:]))", str(tmp_path / "s"), str(clip)]

    refused = subprocess.run(other, capture_output=True, text=True, check=False)

    assert refused.returncode == 1
    assert f"s: is open in another studio (process {os.getpid()}); end that one" in refused.stderr
    project.close()
    begun(tmp_path / "s", clip).close()


def test_a_folder_of_another_clip_is_refused_and_left_as_it_is(clip: Path, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "other.mp4", moving_square(7))
    begun(tmp_path / "s", clip).close()
    before = (tmp_path / "s" / "studio.json").read_text()

    with pytest.raises(PromptError, match=r"the session of another clip, clip\.mp4, and not of other\.mp4; give that"):
        begun(tmp_path / "s", other)

    assert (tmp_path / "s" / "studio.json").read_text() == before
    begun(tmp_path / "s", clip).close()


def test_the_same_clip_under_another_name_is_the_same(clip: Path, tmp_path: Path) -> None:
    project = begun(tmp_path / "s", clip)
    project.list_objects([NamedObject(2)], 2)
    project.close()

    again = begun(tmp_path / "s", clip.rename(tmp_path / "renamed.mp4"))

    assert list(again.objects) == [2]
    again.close()


def test_a_folder_with_other_files_is_no_session(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "thesis.txt").write_text("years of work")

    with pytest.raises(OutputError, match=r"holds thesis\.txt, and is no session of the studio; give another folder"):
        begun(tmp_path / "s", clip)


def test_a_file_is_no_folder(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"is a file; the output must be a folder; give another folder with -o"):
        begun(clip, clip)


def test_a_folder_that_cannot_be_written_to_is_told(
    clip: Path, tmp_path: Path, without_privileges: Callable[[], AbstractContextManager[None]]
) -> None:
    # pytest's own folders, of which one is the worker's where tests run in several processes
    for each in (tmp_path, *(p for p in tmp_path.parents if p.name.startswith(("pytest-", "popen-")))):
        each.chmod(0o755)
    (tmp_path / "s").mkdir()
    (tmp_path / "s").chmod(0o555)
    told = r"s: cannot be written \(Permission denied\); give another folder with -o"

    with without_privileges(), pytest.raises(OutputError, match=told):
        begun(tmp_path / "s", clip)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 2}',
        '{"version": 1, "video": "clip.mp4", "identity": {}, "range": [5, 5, 1]}',
        '{"version": 1, "video": "clip.mp4", "identity": {}, "range": [0, 5, 0]}',
        '{"version": 1, "video": "clip.mp4", "identity": {}, "range": [0, 5, 1], "objects": [{"id": 256}]}',
    ],
)
def test_a_damaged_session_is_told_in_one_line(clip: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "studio.json").write_text(text)

    with pytest.raises(
        OutputError, match=r"studio\.json: cannot be read \(it has been changed\); give another"
    ) as told:
        begun(tmp_path / "s", clip)

    assert "\n" not in str(told.value)


def test_exports_are_numbered_and_half_of_one_is_removed(clip: Path, tmp_path: Path) -> None:
    project = begun(tmp_path / "s", clip)
    for number in (1, 2):
        folder = project.new_export()
        folder.begin()
        assert folder.finish() == tmp_path / "s" / f"export-{number}"
    (tmp_path / "s" / "export-old").mkdir()
    half = project.new_export()
    half.begin()
    (half.partial / "prores.mov").write_bytes(b"half")
    project.close()

    again = begun(tmp_path / "s", clip)

    assert not half.partial.exists()
    assert again.new_export().path.name == "export-3"
    again.close()


def test_the_prompts_of_a_moved_clip_name_it_where_it_is(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    project = begun(tmp_path / "s", clip)
    assert not project.check_prompts()
    prompts = {"version": 1, "video": "../clip.mp4", "prompts": [{"frame": 0, "object": 1, "box": [1, 2, 9, 9]}]}
    project.prompts.write_text(json.dumps(prompts))
    project.close()
    (tmp_path / "new").mkdir()

    moved = begun(tmp_path / "s", clip.rename(tmp_path / "new" / "clip.mp4"))

    assert moved.check_prompts()
    assert json.loads(moved.prompts.read_text())["video"] == "../new/clip.mp4"
    moved.prompts.write_text("{")
    with pytest.raises(PromptError, match="line 1: not JSON"):
        moved.check_prompts()
    moved.close()


def test_a_name_that_no_file_of_the_session_could_hold_is_told(clip: Path, tmp_path: Path) -> None:
    odd = clip.rename(tmp_path / os.fsdecode(b"clip\xff.mp4"))

    with pytest.raises(OutputError, match=r"its name is no text in UTF-8, which no prompts\.json can hold; rename"):
        begun(tmp_path / "s", odd)

    assert not (tmp_path / "s").exists()


def test_a_folder_that_is_let_go_is_free_though_a_child_has_its_file(clip: Path, tmp_path: Path) -> None:
    project = begun(tmp_path / "s", clip)
    copy = os.dup(project._lock._file.fileno())
    try:
        project.close()
        begun(tmp_path / "s", clip).close()
    finally:
        os.close(copy)
