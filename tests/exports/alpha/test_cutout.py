"""Objects on another background, and each in files of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clips import read_all, write_clip
from PIL import Image

from persam_vos.errors import OutputError, PhotoError, SettingsError, VideoError
from persam_vos.exports.alpha.backgrounds import background_of, covering, laid_on
from persam_vos.exports.alpha.per_object import is_of_one_object
from persam_vos.exports.select import open_writers, remove_exports
from persam_vos.media import Frame, FramesDone, StreamInfo
from persam_vos.prompts import NamedObject
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.settings.output import ExportOptions

WIDTH, HEIGHT, SECOND = 64, 48, Fraction(1, 25)
INFO = StreamInfo(Path("a.mp4"), WIDTH, HEIGHT, 1 / SECOND, SECOND, frame_count=None, has_audio=False)
OBJECTS = (NamedObject(2, "dog"),)


def frame_at(index: int, pts: int | None = None) -> Frame:
    return Frame(index, index if pts is None else pts, SECOND, np.full((HEIGHT, WIDTH, 3), 200, np.uint8))


def result_at(frame: Frame) -> FrameResult:
    """Object 1 on the left and object 2 on the right, which is absent at first."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[10:40, 8:30] = 1
    if frame.index:
        labels[10:40, 30:56] = 2
    objects = tuple(
        ObjectResult(number, bool((labels == number).any()), 0.5, 0.25, int((labels == number).sum()), None)
        for number in (1, 2)
    )
    return FrameResult(frame.index, frame.pts, SECOND, labels, objects)


def write(writers: Sequence[Any], frames: Sequence[Frame]) -> list[str]:
    for frame in frames:
        for writer in writers:
            writer.write(frame, result_at(frame))
    return [path.name for writer in writers for path in writer.close()]


def film(folder: Path) -> Path:
    """A background of three frames: red, green and blue, 0.08 s each."""
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    pictures = [np.full((HEIGHT, WIDTH, 3), colour, np.uint8) for colour in colours]
    return write_clip(folder / "behind.mp4", pictures, pts=[0, 2, 4], time_base=SECOND)


def test_soft_edges_mix_with_what_lies_behind() -> None:
    rgb, behind = (np.full((4, 5, 3), value, np.uint8) for value in (200, 100))
    alpha = np.zeros((4, 5), np.uint8)
    alpha[1:3, 1:4] = [255, 128, 51]

    laid = laid_on(rgb, alpha, behind)

    assert laid[1, :, 0].tolist() == [100, 200, 150, 120, 100]
    assert (laid[[0, 3]] == 100).all()


@pytest.mark.parametrize("shape", [(10, 100), (100, 10), (48, 64), (70, 50)])
def test_a_picture_covers_the_frame(shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    picture[shape[0] // 2 :, :, 0] = 250

    found = covering(picture, HEIGHT, WIDTH)

    assert found.shape == (HEIGHT, WIDTH, 3)
    assert not found[: HEIGHT // 2 - 8, :, 0].any()
    assert (found[HEIGHT // 2 + 8 :, :, 0] > 240).all()


def test_a_background_may_be_a_colour_a_picture_or_the_blurred_frame(tmp_path: Path) -> None:
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[..., 0] = 90
    cv2.imwrite(str(tmp_path / "p.png"), picture[..., ::-1])
    striped = Frame(0, 0, SECOND, np.tile(np.array([0, 200], np.uint8), (HEIGHT, WIDTH // 2))[..., None].repeat(3, 2))

    found = [
        background_of(ExportOptions(background=text), INFO).of(striped)
        for text in ("lime", str(tmp_path / "p.png"), "blur")
    ]

    assert (found[0] == (0, 255, 0)).all()
    assert (found[1] == (90, 0, 0)).all()
    assert np.abs(found[2].astype(int) - 100).max() < 12


def test_a_film_is_shown_at_its_own_times_and_begins_again(tmp_path: Path) -> None:
    behind = background_of(ExportOptions(background=str(film(tmp_path))), INFO)

    shown = [int(behind.of(frame_at(index, 10 + index))[0, 0].argmax()) for index in range(9)]

    assert shown == [0, 0, 1, 1, 2, 2, 0, 0, 1]
    behind.close()


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_an_animation_is_a_film_whatever_its_suffix(tmp_path: Path, name: str) -> None:
    pictures = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=80)
    behind = background_of(ExportOptions(background=str(tmp_path / name)), INFO)

    shown = [int(behind.of(frame_at(index))[0, 0].argmax()) for index in range(6)]

    assert shown == [0, 0, 1, 1, 2, 2]
    behind.close()


def test_a_cutout_on_a_film_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    options = ExportOptions(background=str(film(tmp_path)), per_object=True)
    frames = [frame_at(index) for index in range(8)]
    whole = open_writers(tmp_path / "whole", ["cutout", "rgba"], info=INFO, options=options, objects=OBJECTS)
    assert write(whole, frames)[1:] == ["cutout_1.mp4", "cutout_2_dog.mp4", "rgba_1", "rgba_2_dog"]

    stopped = open_writers(tmp_path / "out", ["cutout", "rgba"], info=INFO, options=options, objects=OBJECTS)
    for frame in frames[:5]:
        for writer in stopped:
            writer.write(frame, result_at(frame))
            if frame.index == 2:
                writer.checkpoint()
    shutil.copytree(tmp_path / "out", tmp_path / "killed")
    for writer in stopped:
        writer.abort()
    goes_on = open_writers(
        tmp_path / "killed", ["cutout", "rgba"], info=INFO, options=options, objects=OBJECTS, resume=True
    )
    for writer in goes_on:
        writer.resume(FramesDone(count=3, first_index=0, first_pts=0, last_index=2, last_pts=2))
    write(goes_on, frames[3:])

    for name in ("cutout_1.mp4", "cutout_2_dog.mp4"):
        found, expected = (read_all(tmp_path / folder / name)[1] for folder in ("killed", "whole"))
        assert len(found) == 8
        assert all(np.abs(a.rgb.astype(int) - b.rgb).mean() < 3 for a, b in zip(found, expected, strict=True))
    for path in (tmp_path / "whole").glob("rgba_*/*.png"):
        assert path.read_bytes() == (tmp_path / "killed" / path.parent.name / path.name).read_bytes()


def test_each_object_has_its_own_pixels_also_where_two_touch(tmp_path: Path) -> None:
    options = ExportOptions(per_object=True)

    write(open_writers(tmp_path, ["rgba"], info=INFO, options=options, objects=OBJECTS), [frame_at(0), frame_at(1)])

    first, second = (
        cv2.imread(str(tmp_path / name / "00001.png"), cv2.IMREAD_UNCHANGED)[..., 3]
        for name in ("rgba_1", "rgba_2_dog")
    )
    assert (first[12:38, 10:30] == 255).all()
    assert not first[:, 30:].any()
    assert (second[12:38, 30:54] == 255).all()
    assert not second[:, :30].any()
    assert not cv2.imread(str(tmp_path / "rgba_2_dog" / "00000.png"), cv2.IMREAD_UNCHANGED).any()


@pytest.mark.parametrize("name", ["prores_1.mov", "prores_2_dog.mov"])
def test_what_stands_in_the_way_of_any_object_is_said_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    with pytest.raises(OutputError, match=name.replace(".", r"\.")):
        open_writers(
            tmp_path, ["prores"], info=INFO, options=ExportOptions(per_object=True), objects=OBJECTS, overwrite=True
        )


def test_files_of_objects_that_are_not_exported_any_more_go(tmp_path: Path) -> None:
    for name in ("prores_1_dog.mov", "prores.mov", "prores_notes.mov", "matte_2.mp4"):
        (tmp_path / name).write_bytes(b"")

    remove_exports(tmp_path, ["prores"], INFO, ())

    assert sorted(path.name for path in tmp_path.iterdir()) == ["matte_2.mp4", "prores_notes.mov"]
    assert is_of_one_object("exr_12_a_b", "exr")
    assert not is_of_one_object("exr_x", "exr")


def test_what_is_no_background_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"did you mean blur\?.* or blur, or a file"):
        ExportOptions(background="blurr")
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "a.mp4").write_text("no video")
    for name, error in (("a.png", PhotoError), ("a.mp4", VideoError)):
        chosen = ExportOptions(background=str(tmp_path / name))
        with pytest.raises(error, match=name.replace(".", r"\.")):
            open_writers(tmp_path / "out", ["cutout"], info=INFO, options=chosen)
