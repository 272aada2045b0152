"""``track`` as a user has it: paths, arrays and generators, loops that are left, folders that are written."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from fakes import FakeEngine
from PIL import Image

import persam_vos
from persam_vos import (
    Frame,
    FrameResult,
    MaskError,
    MaskSizeError,
    OutputError,
    PhotoFinder,
    PromptError,
    Settings,
    SettingsError,
    TrackedFrame,
    VideoError,
    open_video,
    track,
)
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.reference_files import ReferenceFile
from persam_vos.prompts import ObjectPrompt, Point, Prompt, VideoPrompts
from persam_vos.video import tracking

HEIGHT, WIDTH = 36, 64


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("persam-vos")]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    assert not our_threads()
    yield
    deadline = time.monotonic() + 30  # the warm-up ends by itself
    while our_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not our_threads()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[FakeEngine]:
    """Networks are faked; the engines that were made."""
    made: list[FakeEngine] = []

    def engine(settings: Settings) -> FakeEngine:
        made.append(FakeEngine(settings=settings))
        return made[-1]

    monkeypatch.setattr(tracking, "Engine", engine)
    return made


def left_half() -> npt.NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, : WIDTH // 2] = True
    return mask


def numbered(count: int) -> list[Rgb]:
    """Frames that can be told apart by their first value."""
    return [np.full((HEIGHT, WIDTH, 3), index, np.uint8) for index in range(count)]


def written(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index, rgb in enumerate(numbered(count)):
        Image.fromarray(rgb).save(folder / f"{index:03d}.png")
    return folder


def photo_and_mask(folder: Path) -> tuple[Path, str]:
    Image.fromarray(numbered(1)[0]).save(folder / "photo.png")
    Image.fromarray(left_half()).save(folder / "mask.png")
    return folder / "photo.png", str(folder / "mask.png")


@pytest.mark.parametrize("prompt", [{"box": (2, 2, 30, 30)}, {"points": [(5, 5)]}, {"box": [(2, 2, 30, 30)]}])
def test_boxes_and_points_in_place_of_a_mask(fake: list[FakeEngine], prompt: dict[str, Any]) -> None:
    frames = list(track(numbered(3), **prompt))

    assert [frame.ids for frame in frames] == [(1,)] * 3
    assert frames[0][1].present


def test_only_one_way_to_say_what_to_track() -> None:
    for given in ({}, {"mask": left_half(), "box": (2, 2, 30, 30)}, {"points": [(5, 5)], "references": [("a", "b")]}):
        with pytest.raises(SettingsError, match="one of mask=, box= or points=, prompts=, and references="):
            track(numbered(3), **given)  # type: ignore[arg-type]
    with pytest.raises(PromptError, match="lies outside the video"):
        track(np.stack(numbered(2)), box=(70, 2, 90, 30))


def test_prompts_are_those_of_the_command_line(tmp_path: Path, fake: list[FakeEngine]) -> None:
    Image.fromarray(left_half().astype(np.uint8) * 255).save(tmp_path / "m.png")
    (tmp_path / "p.json").write_text(
        '{"version": 1, "range": [1, 5], "objects": [{"id": 255, "name": "half", "color": "#ff0000"}],'
        ' "prompts": [{"frame": 1, "object": 255, "mask": "m.png"}]}'
    )
    tracked = track(numbered(9), prompts=tmp_path / "p.json", stride=2)
    outcome = tracked.save(tmp_path / "out", export=["masks"])

    assert [path.name for path in sorted((tmp_path / "out" / "masks").iterdir())] == ["00001.png", "00003.png"]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "masks" / "00001.png")) == 255, left_half())
    lines = [json.loads(line) for line in (tmp_path / "out" / "tracks.jsonl").read_text().splitlines()]
    assert [(line["frame"], line["object"], line["name"]) for line in lines] == [(1, 255, "half"), (3, 255, "half")]
    assert any(warning.startswith("object 255: many programs") for warning in outcome.warnings)
    assert [frame.index for frame in track(iter(numbered(9)), mask=left_half(), start="0.1s", end=6)] == [3, 4, 5]


def test_prompts_of_later_frames_need_frames_in_any_order(tmp_path: Path) -> None:
    prompts = VideoPrompts((Prompt(2, 1, ObjectPrompt(points=(Point(3, 4),))),))
    with pytest.raises(VideoError, match="need a video whose frames can be read in any order"):
        track(iter(numbered(3)), prompts=prompts).save(tmp_path / "out")
    with pytest.raises(PromptError, match="frame 2 lies outside the video, which has 2 frames"):
        track(numbered(2), prompts=prompts).save(tmp_path / "out")


def test_a_frame_has_everything(fake: list[FakeEngine]) -> None:
    frames = list(track(numbered(3), mask=left_half(), frame_rate=30000 / 1001))

    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.time for frame in frames] == [Fraction(1001 * n, 30000) for n in range(3)]
    for number, frame in enumerate(frames):
        assert isinstance(frame, TrackedFrame)
        assert np.array_equal(frame.image, numbered(3)[number])
        assert frame.label_map.dtype == np.uint8
        assert frame.ids == (1,)
        (only,) = frame
        assert only.mask.dtype == bool
        assert only.mask.shape == (HEIGHT, WIDTH)
        assert np.array_equal(only.mask, frame.label_map == 1)
        assert only.present
        assert 0 <= only.score <= 1
        assert only.area == only.mask.sum()
        assert only.box is not None
        with pytest.raises(KeyError, match="no object 2"):
            frame[2]
    assert np.array_equal(frames[0][1].mask, left_half())
    assert "label_map=<uint8 36 x 64>" in repr(frames[0])
    assert "image=<uint8 36 x 64 x 3>" in repr(frames[0])


def test_every_form_of_a_video_gives_the_same(tmp_path: Path, fake: list[FakeEngine]) -> None:
    folder = written(tmp_path / "clip", 4)
    forms: list[Any] = [
        folder,
        str(folder),
        str(folder / "*.png"),
        np.stack(numbered(4)),
        numbered(4),
        tuple(numbered(4)),
        iter(numbered(4)),
        (rgb for rgb in numbered(4)),
        open_video(folder),
        np.stack(numbered(4))[:, :, ::-1],  # not contiguous
    ]
    for form in forms:
        frames = list(track(form, mask=left_half()))

        assert [int(frame.image[0, 0, 0]) for frame in frames] == [0, 1, 2, 3], form
        assert [frame.time for frame in frames] == [Fraction(n, 24) for n in range(4)]


def test_every_form_of_a_mask_gives_the_same(tmp_path: Path, fake: list[FakeEngine]) -> None:
    mask = left_half()
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    forms: list[Any] = [tmp_path / "mask.png", str(tmp_path / "mask.png"), mask, mask * 255, mask.astype(np.int64)]
    for form in forms:
        first = next(iter(track(numbered(2), form)))

        assert np.array_equal(first[1].mask, mask)


def test_references_find_the_objects_of_the_first_frame(tmp_path: Path, fake: list[FakeEngine]) -> None:
    pairs = [photo_and_mask(tmp_path)]

    frames = list(track(iter(numbered(3)), references=pairs, method="persam"))  # which takes some mask in any photo

    assert [frame.index for frame in frames] == [0, 1, 2]
    assert frames[0][1].present


def test_a_label_map_keeps_its_ids_and_void_is_background(fake: list[FakeEngine]) -> None:
    label_map = np.zeros((HEIGHT, WIDTH), np.int32)
    label_map[:, :20], label_map[:, 40:], label_map[:, 30:32] = 3, 254, 255

    first = next(iter(track(numbered(2), mask=label_map)))

    assert first.ids == (3, 254)
    assert not first.label_map[:, 30:32].any()


def test_an_iterable_is_read_lazily_and_may_use_its_memory_again(fake: list[FakeEngine]) -> None:
    given = []

    def camera() -> Iterator[Rgb]:
        rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        while True:  # no end
            rgb[:] = len(given) % 256
            given.append(len(given))
            yield rgb

    tracked = track(camera(), mask=left_half())
    assert not given
    values = []
    for frame in tracked:
        values.append(int(frame.image[0, 0, 0]))
        if frame.index == 20:
            break

    assert values == list(range(21))
    assert len(given) < 40
    with pytest.raises(VideoError, match="an iterator or a reader can be tracked once"):
        list(tracked)


def test_a_reader_is_tracked_from_where_it_stands(tmp_path: Path, fake: list[FakeEngine]) -> None:
    with open_video(written(tmp_path / "clip", 5)) as reader:
        next(iter(reader))
        frames = list(track(reader, mask=left_half()))

    assert [frame.index for frame in frames] == [1, 2, 3, 4]
    assert np.array_equal(frames[0][1].mask, left_half())


def test_references_are_sought_in_the_frame_where_a_reader_stands(
    tmp_path: Path, fake: list[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []
    find = PhotoFinder.find

    def spy(finder: PhotoFinder, photo: Frame) -> FrameResult:
        searched.append(photo.index)
        return find(finder, photo)

    monkeypatch.setattr(PhotoFinder, "find", spy)
    with open_video(written(tmp_path / "clip", 4)) as reader:
        next(iter(reader))
        frames = list(track(reader, references=[photo_and_mask(tmp_path)], method="persam"))

    assert searched == [1]
    assert [frame.index for frame in frames] == [1, 2, 3]


def test_references_are_read_once_a_run(
    tmp_path: Path, fake: list[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []
    read = ReferenceFile.read

    def spy(reference: ReferenceFile, max_pixels: int) -> tuple[Rgb, LabelMap]:
        decoded.append(reference.photo)
        return read(reference, max_pixels)

    monkeypatch.setattr(ReferenceFile, "read", spy)
    pair = photo_and_mask(tmp_path)
    track(numbered(2), references=[pair], method="persam").save(tmp_path / "out", ["masks"])

    assert decoded == [pair[0]]


def test_progress_counts_the_frames_from_where_a_reader_stands(tmp_path: Path, fake: list[FakeEngine]) -> None:
    folder = written(tmp_path / "clip", 5)
    told: list[tuple[int, int | None]] = []
    for save in (False, True):
        told.clear()
        with open_video(folder) as reader:
            next(iter(reader))
            next(iter(reader))
            tracked = track(reader, mask=left_half(), on_progress=lambda *args: told.append(args))
            tracked.save(tmp_path / "out", ["masks"]) if save else list(tracked)

        assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_path_or_list_can_be_tracked_again_and_the_model_is_loaded_once(fake: list[FakeEngine]) -> None:
    tracked = track(numbered(3), mask=left_half())

    first, second = list(tracked), list(tracked)

    assert [frame.label_map.tolist() for frame in first] == [frame.label_map.tolist() for frame in second]
    assert len(fake) == 1


@pytest.mark.parametrize("leave", ["break", "close", "error", "never begun"])
def test_leaving_the_loop_ends_the_threads(leave: str, fake: list[FakeEngine]) -> None:
    tracked = track(iter(numbered(200)), mask=left_half())
    if leave == "break":
        for frame in tracked:
            if frame.index == 2:
                break
    elif leave == "close":
        frames = iter(tracked)
        next(frames)
        assert our_threads()
        frames.close()
    elif leave == "error":
        with pytest.raises(ZeroDivisionError):
            [1 / frame.index for frame in tracked]
    else:
        iter(tracked)

    assert set(our_threads()) <= {"persam-vos warm-up"}


def test_two_videos_are_tracked_at_once(fake: list[FakeEngine]) -> None:
    one, other = track(numbered(6), mask=left_half()), track(numbered(6), mask=~left_half())

    for left, right in zip(one, other, strict=True):
        assert left.index == right.index
        assert np.array_equal(left.image, right.image)
    assert len(fake) == 2


def test_one_tracking_is_iterated_twice_at_once(fake: list[FakeEngine]) -> None:
    tracked = track(numbered(5), mask=left_half())

    assert all(one.index == other.index for one, other in zip(tracked, tracked, strict=True))


def test_progress_is_told(tmp_path: Path, fake: list[FakeEngine]) -> None:
    told: list[tuple[int, int | None]] = []
    list(track(numbered(3), mask=left_half(), on_progress=lambda *args: told.append(args)))
    list(track(iter(numbered(2)), mask=left_half(), on_progress=lambda *args: told.append(args)))
    assert told == [(1, 3), (2, 3), (3, 3), (1, None), (2, None)]

    told.clear()
    track(numbered(3), mask=left_half(), on_progress=lambda *args: told.append(args)).save(tmp_path / "out", ["masks"])
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_progress_that_raises_cancels_the_run(tmp_path: Path, fake: list[FakeEngine]) -> None:
    def cancel(done: int, expected: int | None) -> None:
        if done == 2:
            raise RuntimeError("enough")

    tracked = track(numbered(9), mask=left_half(), on_progress=cancel)
    with pytest.raises(RuntimeError, match="enough"):
        tracked.save(tmp_path / "out")

    assert not list((tmp_path / "out").glob("*"))


def test_a_saved_folder_is_that_of_the_command_line(tmp_path: Path, fake: list[FakeEngine]) -> None:
    tracked = track(numbered(3), mask=left_half(), frame_rate=Fraction(25))
    outcome = tracked.save(tmp_path / "out", export=["masks", "overlay"])
    masks = [frame.label_map for frame in tracked]

    names = sorted(path.name for path in outcome.written)
    assert names == ["masks", "overlay.mp4", "prompts.json", "run.json", "tracks.jsonl"]
    assert (outcome.frames, outcome.interrupted) == (3, False)
    for index, mask in enumerate(masks):
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "masks" / f"{index:05d}.png")), mask)
    lines = (tmp_path / "out" / "tracks.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1, 2]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["settings"]["export"] == ["masks", "overlay"]
    assert (record["frames"], record["complete"], record["objects"]) == (3, True, [1])
    with open_video(tmp_path / "out" / "overlay.mp4") as made:
        assert [frame.time for frame in made] == [Fraction(n, 25) for n in range(3)]
    with pytest.raises(OutputError, match=r"is not empty .* in Python overwrite=True"):
        tracked.save(tmp_path / "out")
    tracked.save(tmp_path / "out", "masks", overwrite=True)
    assert not (tmp_path / "out" / "overlay.mp4").exists()
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["settings"]["export"] == ["masks"]
    assert (record["source"], record["first_mask"]) == ("arrays", "array")
    assert len(fake) == 1


def wrong_videos() -> list[tuple[Any, str]]:
    return [
        ("no such.mp4", "no such file or folder"),
        (Path("nowhere"), "no such file or folder"),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), "video is an array 36 x 64 x 3; allowed: a path"),
        (np.zeros((2, HEIGHT, WIDTH, 4), np.uint8), "frame 0 is uint8, 36 x 64 x 4; allowed"),
        (np.zeros((2, HEIGHT, WIDTH, 3)), "frame 0 is float64, 36 x 64 x 3; allowed: a NumPy array of uint8"),
        (5, "video is of type int; allowed: a path"),
        (None, "video is of type NoneType; allowed: a path"),
        ([], "give at least one"),
        ([None], "frame 0 is of type NoneType; allowed"),
        (["a.png"], "frame 0 is of type str; allowed"),
    ]


@pytest.mark.parametrize(("video", "message"), wrong_videos())
def test_what_is_no_video_is_refused_by_name(video: Any, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        track(video, mask=left_half())


def test_frames_of_another_size_are_refused(fake: list[FakeEngine]) -> None:
    frames = [*numbered(2), np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8)]
    with pytest.raises(VideoError, match="frame 2 is 36 x 65, the first was 36 x 64"):
        list(track(frames, mask=left_half()))


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (np.ones((4, 5), bool), MaskSizeError, "mask is 4 x 5, video is 36 x 64"),
        (np.ones((HEIGHT, WIDTH, 3), np.uint8), MaskSizeError, "mask is 36 x 64 x 3, video is 36 x 64"),
        (np.ones((HEIGHT, WIDTH)), MaskError, "mask is float64; allowed: bool, or integers"),
        (np.full((HEIGHT, WIDTH), 300), MaskError, "mask holds 300; allowed: 0 background"),
        (np.zeros((HEIGHT, WIDTH), bool), MaskError, "mask is empty"),
        ("missing.png", MaskError, "missing.png: no such file"),
    ],
)
def test_what_is_no_mask_is_refused_by_name(mask: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        track(numbered(2), mask=mask)
    with pytest.raises(error, match=message):
        next(iter(track(iter(numbered(2)), mask=mask)))


def test_what_is_no_setting_is_refused_by_name(tmp_path: Path, fake: list[FakeEngine]) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"method": "PerSAM"}, "method is 'PerSAM'.*memory.*persam"),
        ({"metod": "persam"}, "unknown setting 'metod'"),
        ({"settings": Settings(), "method": "persam"}, "method is given beside settings"),
        ({"settings": {}}, r"settings is of type dict; it must be persam_vos\.Settings"),
        ({"frame_rate": 0}, "frame rate is 0; it must be frames per second, above 0"),
        ({"frame_rate": float("nan")}, "frame rate is nan"),
        ({"mask": None}, "^give one of mask=, box= or points=, prompts=, and references="),
        ({"references": [("a.jpg", "a.png")]}, "^give one of mask=, box= or points=, prompts=, and references="),
    ]
    for arguments, message in wrong:
        with pytest.raises(SettingsError, match=message):
            track(numbered(1), **{"mask": left_half(), **arguments})
    with pytest.raises(SettingsError, match="export"):
        track(numbered(1), mask=left_half()).save(tmp_path / "out", ["gif"])
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("networks_are_shared")
def test_the_real_model_gives_the_masks_of_the_command_line(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from persam_vos.cli.app import app

    clip, mask = persam_vos.demo_clip()
    with open_video(clip) as reader:
        images = [frame.rgb for frame, _ in zip(reader, range(3), strict=False)]
    folder = tmp_path / "clip"
    folder.mkdir()
    for index, rgb in enumerate(images):
        Image.fromarray(rgb).save(folder / f"{index}.png")

    frames = list(track(images, mask=mask))
    arguments = [
        "run",
        str(folder),
        "--first-mask",
        str(mask),
        "-o",
        str(tmp_path / "out"),
        "--export",
        "masks",
        "--quiet",
    ]
    assert CliRunner().invoke(app, arguments).exit_code == 0

    for frame in frames:
        assert frame[1].present
        saved = np.asarray(Image.open(tmp_path / "out" / "masks" / f"{frame.index:05d}.png"))
        assert np.array_equal(saved, frame.label_map)


def test_doubts_about_the_first_mask_are_told_after_the_last_frame(
    fake: list[FakeEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("persam_vos.methods.memory.video.snap_first_masks", lambda *args: (args[3], ("odd mask",)))
    tracking = track(numbered(2), mask=left_half())

    list(tracking)

    assert tracking.warnings == ("odd mask",)
    assert track(numbered(2), mask=left_half()).save(tmp_path / "out", ["masks"]).warnings == ("odd mask",)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["warnings"] == ["odd mask"]
    kept = track(numbered(2), mask=left_half(), keep_first_mask=True)
    list(kept)
    assert kept.warnings == ()
    assert len(fake) == 3
