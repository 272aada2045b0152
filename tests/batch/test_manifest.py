"""Manifests: JSONL, CSV and folders become clips, and every wrong line is told with its number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import save
from hypothesis import given
from hypothesis import strategies as st

from persam_vos.batch.clips import fault_of_id
from persam_vos.batch.manifest import MAX_LINE_BYTES, MOST_FAULTS, Manifest, clips_with_masks, read_manifest
from persam_vos.errors import ManifestError, SettingsError
from persam_vos.prompts import Box, Point, Span


def read(path: Path, config: Path | None = None, **flags: object) -> Manifest:
    return read_manifest(path, config=config, flags=flags)


def written(folder: Path, *lines: object, name: str = "clips.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def faults(path: Path) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as raised:
        read(path)
    return raised.value.faults


def test_a_line_says_what_a_run_is_told(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"id": "dog", "video": "in/dog.mp4", "mask": "dog.png", "preset": "best"},
        "",
        {"video": "cat.mp4", "box": [1, 2, 30, 40], "points": [[5, 6], [7, 8, 0]], "start": 3, "end": "12.5s"},
        {"id": "two", "video": "/abs.mp4", "box": "1,2,30,40;3,4,50,60", "backward": False, "stride": 2},
        {"id": "said", "video": "shots/*.png", "prompts": "said.json"},
    )
    dog, cat, two, said = read(path, export="masks").clips

    assert (dog.id, dog.video, dog.said.mask) == ("dog", str(tmp_path / "in" / "dog.mp4"), tmp_path / "dog.png")
    assert (dog.settings.preset, dog.settings.closer_look, dog.settings.export) == ("best", 0.5, ("masks",))
    assert (cat.id, cat.place) == ("cat", f"{path}, line 3")
    (shown,) = cat.said.shown
    assert (shown.box, shown.points) == (Box(1, 2, 30, 40), (Point(5, 6), Point(7, 8, positive=False)))
    assert cat.span(None) == Span(3, "12.5s", 1)
    assert cat.settings is two.settings
    assert ([each.box for each in two.said.shown], two.backward) == ([Box(1, 2, 30, 40), Box(3, 4, 50, 60)], False)
    assert two.span(Span(5, 9, 1)) == Span(5, 9, 2)
    assert (said.video, said.said.prompts) == (str(tmp_path / "shots/*.png"), tmp_path / "said.json")


def test_csv_says_the_same(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "\ufeffvideo;box;points;stride;fill_holes;grow",
        "a.mp4;1,2,30,40;5,6;3;TRUE;-2",
        "b.mp4;;5,6;;;",
        name="clips.CSV",
    )
    first, second = read(path).clips

    (shown,) = first.said.shown
    assert (shown.box, shown.points, first.stride) == (Box(1, 2, 30, 40), (Point(5, 6),), 3)
    assert (first.settings.fill_holes, first.settings.grow) == (True, -2)
    assert (second.id, second.stride, second.settings.fill_holes) == ("b", None, False)


def test_what_a_line_says_wins_over_flags_and_flags_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("preset: quick\nmin_area: 9\n")
    path = written(tmp_path, {"video": "a.mp4", "mask": "m", "grow": 3}, {"video": "b.mp4", "mask": "m"})
    first, second = read(path, tmp_path / "c.yaml", preset="best", grow="5").clips

    assert [(each.settings.preset, each.settings.grow, each.settings.min_area) for each in (first, second)] == [
        ("best", 3, 9),
        ("best", 5, 9),
    ]


def test_files_in_settings_begin_where_the_manifest_lies(tmp_path: Path) -> None:
    behind = save(tmp_path / "behind.png", np.zeros((4, 4, 3), np.uint8))
    path = written(
        tmp_path,
        {"video": "a.mp4", "mask": "m", "background": "behind.png", "checkpoint": "w.pth"},
        {"video": "b.mp4", "mask": "m", "background": "lime"},
    )
    first, second = read(path).clips

    assert (first.settings.background, first.settings.checkpoint) == (str(behind), tmp_path / "w.pth")
    assert second.settings.background == "#00ff00"


def test_every_wrong_line_is_told_with_its_number(tmp_path: Path) -> None:
    good = {"video": "a.mp4", "mask": "m.png"}
    wrong = {
        '{"video": ': "is not JSON",
        "[1]": "holds list; a line is an object",
        '{"video": "a", "video": "b"}': "'video' is given twice",
        '{"video": "a", "mask": "m", "grow": NaN}': "NaN is no number",
        "9" * 5000: "is not usable JSON",
        "[" * 20000: "JSON",
        '{"mask": "m"}': "video is missing",
        '{"video": "a"}': "nothing says where its objects are; give one of mask, prompts, or box and points",
        '{"video": "a", "mask": "m", "box": [0, 0, 9, 9]}': "mask and box are given",
        '{"video": "a", "maks": "m"}': 'unknown key "maks": did you mean mask?',
        '{"video": "a", "mask": 7}': "mask is 7; allowed: the path",
        '{"video": "a", "box": [0, 0, 9]}': "box is",
        '{"video": "a", "box": [9, 9, 0, 0]}': "box 9,9,0,0 is empty",
        '{"video": "a", "box": [0, 0, 1e999, 9]}': "box is",
        '{"video": "a", "box": []}': "box is empty",
        '{"video": "a", "points": "5,5,x"}': "ends in 'x'",
        '{"video": "a", "mask": "m", "start": true}': "start is true; allowed",
        '{"video": "a", "mask": "m", "start": "soon"}': "'soon'",
        '{"video": "a", "mask": "m", "stride": 0}': "stride is 0",
        '{"video": "a", "mask": "m", "preset": "bets"}': "preset is 'bets': did you mean best?",
        '{"video": "a", "mask": "m", "guidance": "both"}': "guidance is a setting of persam",
        '{"video": "a", "mask": "m", "grow": true}': "grow is True",
        '{"video": "a", "mask": "m", "grow": [[[[1]]]]}': "grow is",
        '{"video": "a", "mask": "m", "allow_playlists": true}': "--allow-playlists",
        '{"video": "http://x/a.mp4", "mask": "m"}': "an address",
        '{"video": "a\\u0000b", "mask": "m"}': "is no text",
        '{"video": "a", "mask": "m\\ud800"}': "is no text",
        '{"id": "../a", "video": "a", "mask": "m"}': "holds a separator of folders",
        '{"id": "A", "video": "a", "mask": "m"}': "id 'A' is, but for upper and lower case, 'a', that of",
    }
    path = written(tmp_path, good, *wrong)
    found = faults(path)

    expected = {f"{path}, line {number}": text for number, text in enumerate(wrong.values(), 2)}
    assert {line.partition(": ")[0] for line in found} == set(expected)
    for line in found:
        assert expected[line.partition(": ")[0]] in line
    assert all("\n" not in line and len(line) < 3000 for line in found)


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ("video,mask\na.mp4\n", ["nothing says"]),
        ("video,mask\na.mp4,m.png,b,c\n", ["line 2: has 4 cells for 2 columns"]),
        ('video,mask\n"a.mp4,m.png\n', ["line 2: is no row of CSV"]),
        ("video,mask,fill_holes\na.mp4,m.png,yes\n", ["line 2: fill_holes is 'yes'; allowed: true or false"]),
        ("video,mask\na.mp4,m.png\nx/a.mp4,m.png\n", ["line 3: id 'a' is that of"]),
    ],
)
def test_wrong_rows_of_csv(tmp_path: Path, lines: str, parts: list[str]) -> None:
    path = tmp_path / "c.csv"
    path.write_text(lines)
    (line,) = faults(path)

    for part in parts:
        assert part in line


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    for name, content, message in (
        ("none.jsonl", None, "cannot be read"),
        ("empty.jsonl", b"\n \n", "has no clip"),
        ("long.jsonl", b" " * (MAX_LINE_BYTES + 1), "line 1: has more than 1 MiB"),
        ("twice.csv", b"video,video\n", "names a column twice"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ManifestError, match=message):
            read(tmp_path / name)
    with pytest.raises(ManifestError, match="--masks-from"):
        read(tmp_path)
    with pytest.raises(SettingsError, match="--preset is 'b'"):
        read(tmp_path / "empty.jsonl", preset="b")
    assert "is no UTF-8" in faults(written_bytes(tmp_path / "latin.jsonl", b'{"video": "\xe9"}\n'))[0]


def written_bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_of_very_many_faults_the_first_are_told(tmp_path: Path) -> None:
    found = faults(written(tmp_path, *["{"] * (MOST_FAULTS + 50)))

    assert len(found) == MOST_FAULTS + 1
    assert found[-1].endswith("50 more clips are wrong")


def test_a_folder_of_clips_with_masks_of_the_same_names(tmp_path: Path) -> None:
    clips, masks = tmp_path / "clips", tmp_path / "clips" / "masks"
    for name in ("a.mp4", "b.mov", ".hidden.mp4"):
        (clips / "c.d").mkdir(parents=True, exist_ok=True)
        (clips / name).touch()
    for name in ("a.png", "b.JPG", "c.d.png", "unused.png", "notes.txt"):
        masks.mkdir(exist_ok=True)
        (masks / name).touch()
    found = clips_with_masks(clips, masks, config=None, flags={})

    assert [(each.id, each.video, each.said.mask) for each in found.clips] == [
        ("a", str(clips / "a.mp4"), masks / "a.png"),
        ("b", str(clips / "b.mov"), masks / "b.JPG"),
        ("c.d", str(clips / "c.d"), masks / "c.d.png"),
    ]
    assert found.warnings == (f"1 mask(s) of {masks} have no clip, such as unused.png",)
    (masks / "a.png").unlink()
    with pytest.raises(ManifestError) as raised:
        clips_with_masks(clips, masks, config=None, flags={})
    assert raised.value.faults == (f"{clips / 'a.mp4'}: has no mask {masks / 'a'}.png, nor one of another suffix",)
    with pytest.raises(ManifestError, match="cannot be listed"):
        clips_with_masks(tmp_path / "none", masks, config=None, flags={})


@pytest.mark.parametrize("name", ["dog", "Löffel 1", "a..b", "-x", "index", "dog.json", "x" * 200, "犬"])
def test_ids(name: str) -> None:
    assert fault_of_id(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", ".a", "a/b", "a\\b", "a\nb", "a\x7fb", "a\u202eb", "a\ud800", "a.partial", "A.PARTIAL",
        "x" * 201, "ö" * 101, " a", "a ", "a.", "index.jsonl", "batch.1-of-3.json", "Index.jsonl", "a:b", "con?",
    ],
)  # fmt: skip
def test_what_is_no_id(name: str) -> None:
    assert fault_of_id(name) != ""


@given(st.text(max_size=30))
def test_an_id_names_a_file_in_its_folder_and_no_other(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    if not fault_of_id(name):
        assert Path("out", name).name == name
        assert len(Path("out", name).parts) == 2
