"""Masks as files: formats, names, and what of them a killed run leaves."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import moving_square, save
from PIL import Image

from persam_vos.errors import OutputError, SettingsError
from persam_vos.exports.frame_names import FrameNames
from persam_vos.exports.masks import BinaryMaskWriter, MaskWriter
from persam_vos.exports.select import open_writers, remove_exports
from persam_vos.exports.styles import ObjectStyles
from persam_vos.media import Frame, FramesDone, StreamInfo, open_video
from persam_vos.prompts import NamedObject
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.settings.output import ExportOptions

INFO = StreamInfo(Path("a.mp4"), 8, 6, Fraction(25), Fraction(1, 25), None, False)
OBJECTS = (NamedObject(1, "dog"), NamedObject(3, "Käfer/rot"))


def frame_of(index: int) -> tuple[Frame, FrameResult]:
    """Object 1 moves right; object 3 is absent in odd frames."""
    label_map = np.zeros((6, 8), np.uint8)
    label_map[1:3, index : index + 2] = 1
    if index % 2 == 0:
        label_map[4, 2:5] = 3
    found = tuple(
        ObjectResult(each, bool((label_map == each).any()), 0.5, None, int((label_map == each).sum()), None)
        for each in (1, 3)
    )
    frame = Frame(index, index, Fraction(1, 25), np.zeros((6, 8, 3), np.uint8))
    return frame, FrameResult(index, index, frame.time_base, label_map, found)


def export(output: Path, indices: Sequence[int], info: StreamInfo = INFO, **options: object) -> list[str]:
    """Write the masks of frames, and return the names of the files."""
    writer = open_writers(output, ["masks"], info=info, options=ExportOptions(**options), objects=OBJECTS)[1]
    for index in indices:
        writer.write(*frame_of(index))
    assert writer.close() == (output / "masks",)
    return names_in(output / "masks")


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def values_of(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.mode == "L"
        return np.asarray(picture)


def test_binary_masks_have_a_folder_for_each_object_and_no_gaps(tmp_path: Path) -> None:
    names = export(tmp_path, range(3), masks_format="binary")

    assert names == [f"{folder}/{index:05d}.png" for folder in ("1_dog", "3_Käfer_rot") for index in range(3)]
    for index in range(3):
        label_map = frame_of(index)[1].label_map
        for object_id, folder in ((1, "1_dog"), (3, "3_Käfer_rot")):
            values = values_of(tmp_path / "masks" / folder / f"{index:05d}.png")
            assert np.array_equal(values, np.where(label_map == object_id, 255, 0))


def test_the_first_number_is_chosen_and_no_number_is_left_out(tmp_path: Path) -> None:
    assert export(tmp_path / "a", (0, 1, 2), start_number=1001) == ["01001.png", "01002.png", "01003.png"]
    assert export(tmp_path / "b", (4, 6, 7), start_number=0) == ["00000.png", "00001.png", "00002.png"]
    assert export(tmp_path / "c", (4, 6, 7)) == ["00004.png", "00006.png", "00007.png"]


def test_names_of_images_are_kept(tmp_path: Path) -> None:
    shots = [
        save(tmp_path / "shots" / f"shot.{number}.jpg", rgb)
        for number, rgb in zip((9, 10, 12), moving_square(3, width=8, height=6), strict=True)
    ]
    with open_video(tmp_path / "shots") as reader:
        info = reader.info

    assert info.images == tuple(shots)
    assert export(tmp_path / "a", range(3), info, keep_names=True) == ["shot.10.png", "shot.12.png", "shot.9.png"]
    assert export(tmp_path / "b", range(3), info) == ["00000.png", "00001.png", "00002.png"]
    for name, index in (("shot.9.png", 0), ("shot.12.png", 2)):
        with Image.open(tmp_path / "a" / "masks" / name) as picture:
            assert np.array_equal(np.asarray(picture), frame_of(index)[1].label_map)
    remove_exports(tmp_path / "a", ["masks"], info, keep=())
    assert not (tmp_path / "a" / "masks").exists()


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        ((), {"keep_names": True}, "keep_names is given, and the video is no image sequence; leave it out"),
        (("a/1.png", "b/1.png", "b/2.png"), {"keep_names": True}, "keep_names is given, and 2 images are called 1"),
        (("a/1.png",), {"keep_names": True, "start_number": 1}, "start_number 1 are given; leave out one of the two"),
    ],
)
def test_names_that_cannot_be_kept(tmp_path: Path, images: tuple[str, ...], options: dict, message: str) -> None:
    info = replace(INFO, images=tuple(map(Path, images)))

    with pytest.raises(SettingsError, match=message):
        open_writers(tmp_path, ["masks"], info=info, options=ExportOptions(**options))


@pytest.mark.parametrize("kind", [MaskWriter, BinaryMaskWriter])
@pytest.mark.parametrize(
    "names",
    [
        FrameNames(),
        FrameNames(start_number=1001),
        FrameNames(tuple(Path(f"z{9 - index}.png") for index in range(9)), keep=True),
    ],
    ids=["index", "number", "kept"],
)
@pytest.mark.parametrize("ended", [False, True], ids=["killed", "closed"])
def test_a_run_goes_on_to_the_same_files(tmp_path: Path, kind: type, names: FrameNames, ended: bool) -> None:
    styles, indices = ObjectStyles(OBJECTS), (0, 2, 3, 5)
    whole, first = kind(tmp_path / "whole", names, styles), kind(tmp_path / "out", names, styles)
    for index in indices:
        whole.write(*frame_of(index))
    whole.close()
    for position, index in enumerate(indices[:3]):
        first.write(*frame_of(index))
        if position == 1:
            first.checkpoint()
    first.close() if ended else first.suspend()

    second = kind(tmp_path / "out", names, styles)
    second.resume(FramesDone(count=2, first_index=0, first_pts=0, last_index=2, last_pts=2))
    for index in indices[2:]:
        second.write(*frame_of(index))
    second.close()

    assert names_in(tmp_path / "out") == names_in(tmp_path / "whole")
    for name in names_in(tmp_path / "out"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_lost_picture_of_one_object_is_noticed(tmp_path: Path) -> None:
    writer = BinaryMaskWriter(tmp_path / "out")
    for index in range(3):
        writer.write(*frame_of(index))
    writer.suspend()
    (tmp_path / ".out.partial" / "3" / "00001.png").unlink()

    with pytest.raises(OutputError, match="1 of the 2 frames done are left"):
        BinaryMaskWriter(tmp_path / "out").resume(
            FramesDone(count=2, first_index=0, first_pts=0, last_index=1, last_pts=1)
        )


def test_folders_of_another_format_are_replaced_and_other_files_are_not(tmp_path: Path) -> None:
    export(tmp_path, range(2), masks_format="binary")
    writer = open_writers(tmp_path, ["masks"], info=INFO, overwrite=True)[1]
    writer.write(*frame_of(0))
    writer.close()
    assert names_in(tmp_path / "masks") == ["00000.png"]

    (tmp_path / "masks" / "mine").mkdir()
    shutil.copy(tmp_path / "masks" / "00000.png", tmp_path / "masks" / "mine" / "best.png")
    with pytest.raises(OutputError, match=r"holds mine/best\.png, which no run has written"):
        open_writers(tmp_path, ["masks"], info=INFO, overwrite=True)
    remove_exports(tmp_path, ["masks"], INFO, keep=())
    assert (tmp_path / "masks" / "mine" / "best.png").exists()
