"""Folders that the servers of benchmarks take, read back by the layouts that these describe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from clips import moving_square, save, write_clip
from PIL import Image

from persam_vos.exports.palettes import davis_palette
from persam_vos.exports.select import open_writers
from persam_vos.media import open_video
from persam_vos.prompts import NamedObject
from persam_vos.results import FrameResult, ObjectResult

BENCHMARKS = ["davis", "mose", "youtube-vos", "sa-v"]


def export(
    source: Path | str,
    output: Path,
    names: Sequence[str] = BENCHMARKS,
    objects: Sequence = (),
    warnings: list[str] | None = None,
) -> list:
    """Write a square that moves as object 1, and object 2 in the frames of even index; return the label maps."""
    label_maps, told = [], [] if warnings is None else warnings
    with open_video(source) as reader:
        writers = open_writers(output, names, info=reader.info, objects=objects)
        for frame in reader:
            label_map = np.zeros(frame.rgb.shape[:2], np.uint8)
            label_map[4:12, frame.index : frame.index + 8] = 1
            label_map[20:30, 5:9] = 2 * (frame.index % 2 == 0)
            found = tuple(ObjectResult(each, True, 0.5, None, 1, None) for each in (1, 2))
            label_maps.append(label_map)
            for writer in writers:
                writer.write(frame, FrameResult(frame.index, frame.pts, frame.time_base, label_map, found))
        for writer in writers:
            writer.close()
            told += writer.warnings
    return label_maps


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_names_are_those_of_the_sequence_and_its_frames(tmp_path: Path) -> None:
    frames = ("00005", "00010", "00015")
    for name, rgb in zip(frames, moving_square(3), strict=True):
        save(tmp_path / "JPEGImages" / "goldfish" / f"{name}.jpg", rgb)

    for source in (tmp_path / "JPEGImages" / "goldfish", str(tmp_path / "JPEGImages" / "gold*" / "*.jpg")):
        output = tmp_path / f"out{len(str(source))}"
        export(source, output)

        assert files_in(output / "davis") == [f"goldfish/{frame}.png" for frame in frames]
        assert files_in(output / "mose") == files_in(output / "davis")
        assert files_in(output / "youtube-vos") == [f"Annotations/goldfish/{frame}.png" for frame in frames]
        assert files_in(output / "sa-v") == [
            f"goldfish/{each}/{frame}.png" for each in ("000", "001") for frame in frames
        ]


def test_files_of_a_video_have_five_digits(tmp_path: Path) -> None:
    export(write_clip(tmp_path / "Häuser.v2.mp4", moving_square(2)), tmp_path / "out", ["davis"])

    assert files_in(tmp_path / "out" / "davis") == ["Häuser.v2/00000.png", "Häuser.v2/00001.png"]


@pytest.mark.parametrize("name", ["davis", "mose", "youtube-vos"])
def test_label_maps_have_the_palette_of_davis_whatever_is_chosen(tmp_path: Path, name: str) -> None:
    source = write_clip(tmp_path / "a.mp4", moving_square(3))
    label_maps = export(source, tmp_path / "out", [name], [NamedObject(1, "dog", "#ffffff")])

    for path, label_map in zip(sorted((tmp_path / "out" / name).rglob("*.png")), label_maps, strict=True):
        with Image.open(path) as picture:
            assert picture.mode == "P"
            assert picture.getpalette() == davis_palette().ravel().tolist()
            assert np.array_equal(np.asarray(picture), label_map)


def test_objects_of_sa_v_have_their_own_folders_and_all_frames(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "sav_1.mp4", moving_square(3))
    label_maps = export(source, tmp_path / "out", ["sa-v"], [NamedObject(2, "dog")])

    for folder, object_id in (("000", 1), ("001", 2)):
        for index, label_map in enumerate(label_maps):
            with Image.open(tmp_path / "out" / "sa-v" / "sav_1" / folder / f"{index:05d}.png") as picture:
                assert picture.mode == "L"
                assert np.array_equal(np.asarray(picture) > 0, label_map == object_id)
    assert len(files_in(tmp_path / "out")) == 6


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        ({1: "003", 2: "007"}, ("003", "007")),
        ({1: "001"}, ("000", "001")),
        ({1: "dog", 2: "000"}, ("000", "001")),
        ({1: "005", 2: "005"}, ("000", "001")),
    ],
)
def test_no_object_of_sa_v_replaces_another(tmp_path: Path, names: dict[int, str], folders: tuple[str, ...]) -> None:
    source = write_clip(tmp_path / "sav_1.mp4", moving_square(1))
    objects, warnings = [NamedObject(each, name) for each, name in names.items()], list[str]()

    (label_map,) = export(source, tmp_path / "out", ["sa-v"], objects, warnings)

    for object_id, folder in enumerate(folders, 1):
        with Image.open(tmp_path / "out" / "sa-v" / "sav_1" / folder / "00000.png") as picture:
            assert np.array_equal(np.asarray(picture) > 0, label_map == object_id)
    assert len(files_in(tmp_path / "out")) == 2
    assert len(warnings) == (set(folders) != set(names.values()))
