"""``Tracker`` and ``PhotoFinder`` as a user has them: made of settings, given arrays and paths. Networks are faked."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import HEIGHT, WIDTH, FakeEngine
from PIL import Image

from persam_vos import (
    EmptyMaskError,
    Frame,
    MaskError,
    MaskSizeError,
    NotStartedError,
    PersamVosError,
    PhotoError,
    PhotoFinder,
    PhotoSettings,
    Settings,
    SettingsError,
    Tracker,
    VideoError,
    find_photos,
    open_video,
    read_mask,
    read_photo,
)
from persam_vos.masks import LabelMap, Rgb
from persam_vos.photos import finder as finder_module
from persam_vos.video import tracker as tracker_module


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings of each engine that was made."""
    found: list[Any] = []

    def engine(settings: Any) -> FakeEngine:
        found.append(settings)
        return FakeEngine(settings=settings)

    monkeypatch.setattr(tracker_module, "Engine", engine)
    monkeypatch.setattr(finder_module, "Engine", engine)
    return found


def image(value: int = 0) -> Rgb:
    return np.full((HEIGHT, WIDTH, 3), value, np.uint8)


def mask() -> LabelMap:
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    label_map[:, : WIDTH // 2] = 1
    return label_map


def test_a_tracker_takes_arrays_and_counts_them(made: list[Any]) -> None:
    tracker = Tracker()
    assert not tracker.started

    results = [tracker.start(image(), mask() == 1), tracker.step(image(1)), tracker.step(image(2))]

    assert made == [Settings()]
    assert tracker.started
    assert [(result.index, result.time) for result in results] == [(0, 0), (1, 1), (2, 2)]
    assert np.array_equal(results[0][1].mask, mask() == 1)


def test_frames_keep_their_own_times(made: list[Any]) -> None:
    tracker = Tracker(Settings(preset="best"))
    tracker.start(Frame(5, 500, Fraction(1, 100), image()), mask())

    result = tracker.step(Frame(6, 510, Fraction(1, 100), image()))

    assert (result.index, result.time) == (6, Fraction(51, 10))
    assert tracker.step(image()).index == 7
    assert made == [Settings(preset="best")]


def test_a_tracker_refuses_wrong_arrays_by_name(made: list[Any]) -> None:
    tracker = Tracker()
    with pytest.raises(NotStartedError, match="call start with the annotated frame first"):
        tracker.step(image())
    with pytest.raises(VideoError, match="frame 0 is float64, 36 x 64 x 3; allowed"):
        tracker.start(image() / 255, mask())  # type: ignore[arg-type]
    with pytest.raises(MaskSizeError, match=r"mask is 36 x 64 x 3, video is 36 x 64 \(height x width\)"):
        tracker.start(image(), image())
    with pytest.raises(MaskError, match="mask is float64; allowed: bool, or integers"):
        tracker.start(image(), mask() / 1.0)
    tracker.start(image(), mask())
    with pytest.raises(VideoError, match="frame 1 is 20 x 64, the first was 36 x 64"):
        tracker.step(image()[:20])


def test_a_missing_first_call_is_no_fault_of_a_mask() -> None:
    assert issubclass(NotStartedError, PersamVosError)
    assert issubclass(NotStartedError, RuntimeError)
    assert not issubclass(NotStartedError, MaskError)


def test_a_tracker_begins_anew_and_leaves_the_mask_alone(made: list[Any]) -> None:
    tracker, annotation = Tracker(), mask() * 3
    kept = annotation.copy()
    tracker.start(image(), annotation)
    tracker.step(image())

    assert tracker.start(image(), mask()).ids == (1,)
    assert tracker.step(image()).index == 1
    assert np.array_equal(annotation, kept)


class SomePath:
    """A path of another library."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


def test_any_path_like_is_a_path(tmp_path: Path, made: list[Any]) -> None:
    photo, annotation = SomePath(tmp_path / "photo.png"), SomePath(tmp_path / "mask.png")
    Image.fromarray(image(9)).save(photo)
    Image.fromarray(mask() * 255).save(annotation)
    finder = PhotoFinder(PhotoSettings(passes=1, mask_token=False))

    finder.learn([(photo, annotation)])

    assert finder.find(photo).ids == (1,)
    assert np.array_equal(read_mask(annotation), mask() * 1)
    assert find_photos([photo]) == [tmp_path / "photo.png"]
    with open_video(photo) as reader:
        assert reader.peek().rgb.shape == (36, 64, 3)
    with pytest.raises(PhotoError, match=rf"^{tmp_path / 'photo.png'}: 64 x 36 pixels"):
        read_photo(photo, max_pixels=5)


def test_a_finder_takes_paths_and_arrays(tmp_path: Path, made: list[Any]) -> None:
    Image.fromarray(image(9)).save(tmp_path / "photo.png")
    Image.fromarray(mask() * 255).save(tmp_path / "mask.png")
    found = []
    for photo, annotation in [
        (image(9), mask()),
        (image(9), mask() == 1),
        (tmp_path / "photo.png", tmp_path / "mask.png"),
        (str(tmp_path / "photo.png"), mask().astype(np.int64)),
    ]:
        finder = PhotoFinder(PhotoSettings(passes=1, mask_token=False))
        finder.learn([(photo, annotation)])
        found += [finder.find(tmp_path / "photo.png"), finder.find(image(9))]

    assert made[0] == PhotoSettings(passes=1, mask_token=False)
    assert all(result.ids == (1,) for result in found)
    assert all(np.array_equal(result.label_map, found[0].label_map) for result in found)


def test_a_finder_refuses_wrong_photos_and_masks_by_name(made: list[Any]) -> None:
    finder = PhotoFinder()
    with pytest.raises(NotStartedError, match="call learn with annotated photos first"):
        finder.find(image())
    with pytest.raises(PhotoError, match=r"no\.jpg"):
        finder.learn([("no.jpg", mask())])
    with pytest.raises(MaskError, match=r"no\.png: no such file; give a mask, a PNG of the photo's size"):
        finder.learn([(image(), "no.png")])
    with pytest.raises(MaskSizeError, match="mask is 20 x 64, photo is 36 x 64"):
        finder.learn([(image(), mask()[:20])])
    with pytest.raises(MaskError, match="mask holds -1"):
        finder.learn([(image(), mask().astype(np.int16) * -1)])
    with pytest.raises(EmptyMaskError, match="show no object"):
        finder.learn([])
    with pytest.raises(SettingsError, match="presence is 2"):
        PhotoSettings(presence=2)
