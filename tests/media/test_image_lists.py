"""Sequences of images as people have them: with masks among them, in two kinds, with numbers missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import moving_square, read_all, save

from persam_vos.errors import VideoError
from persam_vos.media.image_lists import gap_warnings
from persam_vos.media.readers import open_random_access


def sequence(folder: Path, *names: str) -> Path:
    for name, rgb in zip(names, moving_square(len(names)), strict=True):
        save(folder / name, rgb)
    return folder


@pytest.mark.parametrize("source", ["{}", "{}/*"])
def test_a_mask_among_the_frames_is_no_frame(tmp_path: Path, source: str) -> None:
    sequence(tmp_path, "0.jpg", "1.jpg", "2.jpg")
    mask = save(tmp_path / "0.png", np.eye(48, 64, dtype=np.uint8))

    info, frames, warnings = read_all(source.format(tmp_path), masks=[mask])

    assert [path.name for path in info.images] == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(frames) == 3
    assert warnings == ["0.png is given as a mask, and not read as a frame; 3 images are"]
    with open_random_access(tmp_path, masks=[tmp_path / "." / "0.png"]) as video:
        assert (len(video), video.warnings) == (3, warnings)


def test_a_folder_of_nothing_but_the_mask_has_no_frames(tmp_path: Path) -> None:
    sequence(tmp_path, "0.png")

    with pytest.raises(VideoError, match="no image besides what is given as a mask"):
        read_all(tmp_path, masks=[tmp_path / "0.png"])


def test_two_images_of_one_name_are_refused_with_the_way_out(tmp_path: Path) -> None:
    sequence(tmp_path, "0.jpg", "0.png", "1.jpg", "1.png")

    with pytest.raises(VideoError, match=r"holds both 0.jpg and 0.png; give the frames alone, such as '.*/\*.jpg'"):
        read_all(tmp_path)
    assert len(read_all(f"{tmp_path}/*.jpg")[1]) == 2


def test_a_gap_is_told_with_its_ends(tmp_path: Path) -> None:
    sequence(tmp_path, *(f"shot.{number}.png" for number in (1001, 1002, 1003, 1007)))

    info, frames, (warning,) = read_all(tmp_path)

    assert len(frames) == 4
    assert warning.startswith("3 image(s) are missing, from shot.1003.png to shot.1007.png: frames are counted")
    assert [path.name for path in info.images][-1] == "shot.1007.png"


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["a1", "a2", "a3", "a4"], 0),
        (["a2", "a4", "a6", "a10"], 1),
        (["a1", "a2", "b7", "b9"], 0),
        (["left", "right", "up"], 0),
        (["a1", "a5"], 0),
        (["1_x", "2_x", "4_x"], 1),
        (["f01", "f02", "f05", "f06", "f09", "f10", "f13", "f14", "f17", "f18"], 8),
    ],
)
def test_gaps_are_counted_in_steps(names: list[str], missing: int) -> None:
    found = gap_warnings([Path(f"{name}.png") for name in names])

    assert [warning.split(" ")[0] for warning in found] == [str(missing)] * bool(missing)
