"""Links and names that lead elsewhere than they seem to."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from clips import moving_square, write_clip
from command_line import call, one_line, save

from persam_vos.files import real_path, write_lines

SQUARE = np.zeros((48, 64), np.uint8)
SQUARE[16:32, :16] = 255


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a command that renders into ``out``."""
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", moving_square(2))
    for index in range(2):
        save(tmp_path / "masks" / f"{index:05d}.png", SQUARE)
    return ["render", "clip.mp4", "masks", "-o", "out", "--export", "overlay,masks,coco,report", "--overwrite"]


@pytest.mark.parametrize(
    "name", [".overlay.mp4.partial", ".masks.partial", ".coco.json.frames.partial", ".run.json.partial"]
)
@pytest.mark.parametrize("target", ["private.txt", "new.txt", "folder"])
def test_nothing_is_written_through_a_link_under_a_temporary_name(
    render: list[object], tmp_path: Path, name: str, target: str
) -> None:
    (tmp_path / "private.txt").write_text("private")
    (tmp_path / "folder").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).symlink_to(tmp_path / target)

    assert call(*render).status == 0

    assert (tmp_path / "private.txt").read_text() == "private"
    assert not (tmp_path / "new.txt").exists()
    assert list((tmp_path / "folder").iterdir()) == []
    assert (tmp_path / "out" / "overlay.mp4").is_file()


def test_links_that_lead_in_a_circle_are_refused_in_one_line(render: list[object], tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("out")

    one_line(call(*render), "out")
    assert real_path(tmp_path / "out").name == "out"


@pytest.mark.skipif(os.name == "nt", reason="names are text on this system")
def test_a_name_that_is_no_text_is_written_with_question_marks(render: list[object], tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.mp4")
    (tmp_path / "clip.mp4").rename(tmp_path / name)

    assert call("render", name, *render[2:]).status == 0
    assert "??.mp4" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_lines_hold_no_half_of_a_character(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.txt", "a\udcffb")

    assert (tmp_path / "a.txt").read_bytes() == b"a?b\n"


def test_control_characters_of_a_videos_name_are_escapes_beside_the_bar(render: list[object], tmp_path: Path) -> None:
    name = "a\x1b[31m.mp4"
    (tmp_path / "clip.mp4").rename(tmp_path / name)

    answer = call("render", name, *render[2:])

    assert (answer.status, "\x1b" in answer.err, "a\\x1b[31m.mp4" in answer.err) == (0, False, True)
