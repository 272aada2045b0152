"""Runs on a video that go on where an earlier one was stopped, killed, or ran out of room."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clips import moving_square, write_clip
from fakes import FakeEngine, Watch
from PIL import Image

from persam_vos.errors import OutputError, SettingsError
from persam_vos.media.readers import open_video
from persam_vos.pipeline.progress import NoProgress, Progress
from persam_vos.pipeline.writing import Outcome
from persam_vos.prompts import ObjectPrompt, Prompt, VideoPrompts
from persam_vos.results import FrameResult
from persam_vos.sam import Decoder, SamEncoder
from persam_vos.sam.engine import Engine, EngineParts
from persam_vos.settings.video import Settings
from persam_vos.video import run
from persam_vos.video.prompting.given_prompts import GivenPrompts
from persam_vos.video.prompting.label_maps import AnnotationFile
from persam_vos.video.prompting.prompting import Prompting
from persam_vos.video.resuming.checkpoint import CHECKPOINT

FRAMES = 11
EVERY = 4


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip_of(FRAMES, tmp_path_factory.mktemp("clip"))


def clip_of(count: int, folder: Path) -> Path:
    """Write a clip and the mask of its first frame."""
    labels = np.zeros((48, 64), np.uint8)
    labels[16:32, 0:16] = 1
    Image.fromarray(labels).save(folder / "mask.png")
    return write_clip(folder / "clip.mp4", moving_square(count), audio="aac", audio_seconds=0.5)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persam_vos.video.resuming.checkpoint.EVERY", EVERY)


@pytest.fixture
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Engine", lambda settings: FakeEngine(settings=settings))


with_fakes = pytest.mark.usefixtures("_fakes", "no_thread_is_left")


def tracked(
    clip: Path,
    output: Path,
    progress: Progress | None = None,
    *,
    mask: Path | None = None,
    said: Prompting | None = None,
    **options: Any,
) -> Outcome:
    asked = {name: options.pop(name) for name in ("overwrite", "resume") if name in options}
    settings = Settings(**{"export": ("masks", "overlay", "cutout"), **options})
    said = said or Prompting((AnnotationFile(mask or clip.with_name("mask.png")),))
    return run.run_video(str(clip), said, output, settings, progress or NoProgress(), **asked)


class StopError(Exception):
    """Stands in for whatever ends a run."""


def stopping_at(index: int) -> Progress:
    def stop(result: FrameResult) -> None:
        if result.index == index:
            raise StopError

    return Watch(stop)


def interrupting_at(index: int) -> Progress:
    return Watch(lambda result: signal.raise_signal(signal.SIGINT) if result.index == index else None)


def results(folder: Path) -> dict[str, bytes]:
    """Return all files but run.json."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "run.json"
    }


def pixels(video: Path) -> list[bytes]:
    with open_video(video) as reader:
        return [bytes(frame.rgb) + str(frame.time).encode() for frame in reader]


@with_fakes
@pytest.mark.parametrize("stop", [4, 6, 8, 10])
def test_a_run_that_ended_by_an_error_goes_on(clip: Path, tmp_path: Path, stop: int) -> None:
    tracked(clip, tmp_path / "whole")
    with pytest.raises(StopError):
        tracked(clip, tmp_path / "out", stopping_at(stop))
    assert all(path.name.startswith(".") for path in (tmp_path / "out").iterdir())
    seen: list[int] = []

    outcome = tracked(clip, tmp_path / "out", Watch(lambda result: seen.append(result.index)), resume=True)

    assert seen == list(range(4 if stop < 8 else 8, FRAMES))
    assert outcome.frames == FRAMES
    assert results(tmp_path / "out") == results(tmp_path / "whole")
    before, after = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("whole", "out"))
    for key in ("frames", "frames_encoded", "complete", "settings", "fingerprint", "warnings", "objects"):
        assert before[key] == after[key], key
    assert after["frames_of_earlier_runs"] == seen[0]


@with_fakes
def test_a_run_that_was_interrupted_goes_on_where_it_was(clip: Path, tmp_path: Path) -> None:
    tracked(clip, tmp_path / "whole")
    outcome = tracked(clip, tmp_path / "out", interrupting_at(5))
    done = outcome.frames
    assert outcome.interrupted
    assert len(list((tmp_path / "out" / "masks").iterdir())) == done == len(pixels(tmp_path / "out" / "overlay.mp4"))
    seen: list[int] = []

    outcome = tracked(clip, tmp_path / "out", Watch(lambda result: seen.append(result.index)), resume=True)

    assert seen == list(range(done, FRAMES))
    assert (outcome.interrupted, outcome.frames) == (False, FRAMES)
    whole, out = results(tmp_path / "whole"), results(tmp_path / "out")
    assert whole.keys() == out.keys()
    assert [name for name in whole if whole[name] != out[name] and not name.endswith(".mp4")] == []
    for name in ("overlay.mp4", "cutout.mp4"):
        assert len(pixels(tmp_path / "out" / name)) == FRAMES


@with_fakes
def test_an_interrupt_ends_waiting_for_frames(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[Any] = []
    monkeypatch.setattr("persam_vos.media.decoding.pyav_reader.VideoReader.stop", lambda reader: stopped.append(reader))

    tracked(clip, tmp_path / "out", interrupting_at(5))

    assert len(stopped) == 1


@with_fakes
def test_an_interrupt_at_the_last_frame_comes_too_late(clip: Path, tmp_path: Path) -> None:
    outcome = tracked(clip, tmp_path, interrupting_at(FRAMES - 1))

    assert (outcome.interrupted, outcome.frames) == (False, FRAMES)
    assert not (tmp_path / CHECKPOINT).exists()


@with_fakes
def test_a_run_may_be_stopped_again_and_again(clip: Path, tmp_path: Path) -> None:
    tracked(clip, tmp_path / "whole")
    for stop, begins in ((5, 0), (6, 4), (7, 4), (9, 8)):
        seen: list[int] = []

        def watch(result: FrameResult, stop: int = stop, seen: list[int] = seen) -> None:
            seen.append(result.index)
            if result.index == stop:
                raise StopError

        with pytest.raises(StopError):
            tracked(clip, tmp_path / "out", Watch(watch), resume=True)
        assert seen[0] == begins

    tracked(clip, tmp_path / "out", resume=True)

    assert results(tmp_path / "out") == results(tmp_path / "whole")


@with_fakes
def test_nothing_is_left_to_do_and_nothing_to_go_on_with(clip: Path, tmp_path: Path) -> None:
    assert tracked(clip, tmp_path / "out", resume=True).frames == FRAMES  # where nothing was begun, it begins
    before = results(tmp_path / "out")

    outcome = tracked(clip, tmp_path / "out", resume=True)

    assert (outcome.frames, outcome.written) == (FRAMES, ())
    assert results(tmp_path / "out") == before
    with pytest.raises(SettingsError, match="both --overwrite and --resume"):
        tracked(clip, tmp_path / "out", overwrite=True, resume=True)


@with_fakes
def test_an_unfinished_run_is_not_begun_anew_by_mistake(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(StopError):
        tracked(clip, tmp_path, stopping_at(6))

    with pytest.raises(OutputError, match="holds an unfinished run; pass --resume to go on with it, or --overwrite"):
        tracked(clip, tmp_path)
    assert tracked(clip, tmp_path, overwrite=True).frames == FRAMES
    assert not (tmp_path / CHECKPOINT).exists()


@with_fakes
@pytest.mark.parametrize("finished", [False, True])
def test_other_settings_videos_and_prompts_are_named(clip: Path, tmp_path: Path, finished: bool) -> None:
    output, other = tmp_path / "out", tmp_path / "other.mp4"
    if finished:
        tracked(clip, output)
    else:
        with pytest.raises(StopError):
            tracked(clip, output, stopping_at(6))
    before = results(output)
    write_clip(other, moving_square(FRAMES)[::-1])
    mask = tmp_path / "mask.png"
    Image.fromarray(np.eye(48, 64, dtype=np.uint8)).save(mask)
    clip_mask = clip.with_name("mask.png")

    for options, named in (
        ({"preset": "quick"}, "was made with preset fast, this run has quick"),
        ({"export": ("masks",)}, "was made with export masks,overlay,cutout, this run has masks"),
        ({"gate": 0.5, "learn_every": 4}, r"was made with gate 0\.2, this run has 0\.5 \(and 1 more\)"),
        ({"mask": mask}, "was made with other prompts"),
        ({"clip": other, "mask": clip_mask}, f"was made with another video, {clip}"),
    ):
        given = {"clip": clip, **options}
        with pytest.raises(OutputError, match=named) as told:
            tracked(given.pop("clip"), output, resume=True, **given)
        assert "resume with the same, or pass --overwrite or another --output" in str(told.value)
    assert results(output) == before


@with_fakes
def test_another_picture_behind_the_objects_is_named(clip: Path, tmp_path: Path) -> None:
    behind, output = tmp_path / "behind.png", tmp_path / "out"
    given: dict[str, Any] = {"background": str(behind), "export": ("masks", "cutout")}
    Image.new("RGB", (64, 48), "red").save(behind)
    with pytest.raises(StopError):
        tracked(clip, output, stopping_at(6), **given)
    red = behind.read_bytes()
    Image.new("RGB", (64, 48), "blue").save(behind)

    with pytest.raises(OutputError, match="was made with another picture or video as the background; resume with"):
        tracked(clip, output, resume=True, **given)
    behind.write_bytes(red)
    assert tracked(clip, output, resume=True, **given).frames == FRAMES


@with_fakes
def test_a_moved_video_and_another_batch_size_are_no_difference(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(StopError):
        tracked(clip, tmp_path / "out", stopping_at(6))
    moved = tmp_path / "moved.mp4"
    moved.write_bytes(clip.read_bytes())

    mask = clip.with_name("mask.png")
    assert tracked(moved, tmp_path / "out", mask=mask, resume=True, batch_size=2).frames == FRAMES


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def replaced(path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (path.with_name("touched"),))

    torch.save({"format": 1, "run": "{}", "done": {}, "state": Hostile()}, path)


def emptied(path: Path) -> None:
    found = torch.load(path, weights_only=True)
    torch.save({**found, "state": ["tuple"]}, path)


@with_fakes
@pytest.mark.parametrize("spoil", [cut, replaced, emptied])
def test_a_damaged_checkpoint_is_refused_and_runs_no_code(
    clip: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    with pytest.raises(StopError):
        tracked(clip, tmp_path, stopping_at(6))
    spoil(tmp_path / CHECKPOINT)

    with pytest.raises(OutputError, match=r"damaged.*nothing can be resumed; pass --overwrite"):
        tracked(clip, tmp_path, resume=True)
    assert not (tmp_path / "touched").exists()
    assert tracked(clip, tmp_path, overwrite=True).frames == FRAMES


@with_fakes
def test_a_missing_part_is_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(StopError):
        tracked(clip, tmp_path, stopping_at(9))
    (tmp_path / ".overlay.mp4.parts.partial" / "00004.mp4").unlink()

    with pytest.raises(OutputError, match=r"overlay\.mp4: 4 of the 8 frames done are left"):
        tracked(clip, tmp_path, resume=True)


@with_fakes
@pytest.mark.parametrize("reached", [2, 6])
def test_a_full_disk_keeps_what_is_complete_and_says_how_far_it_got(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: int
) -> None:
    tracked(clip, tmp_path / "whole")

    def full(_: object, path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    def watch(result: FrameResult) -> None:
        if result.index == reached:
            monkeypatch.setattr("PIL.Image.Image.save", full)

    kept = "; frames up to 3 are kept, and --resume goes on after them" if reached > EVERY else ""
    with pytest.raises(OutputError, match=rf"masks: cannot be written \(No space left on device\){kept}$"):
        tracked(clip, tmp_path / "out", Watch(watch))
    monkeypatch.undo()
    monkeypatch.setattr("persam_vos.video.resuming.checkpoint.EVERY", EVERY)
    monkeypatch.setattr(run, "Engine", lambda settings: FakeEngine(settings=settings))

    tracked(clip, tmp_path / "out", resume=True)

    assert results(tmp_path / "out") == results(tmp_path / "whole")


@pytest.mark.parametrize(
    "options",
    [{"preset": "best"}, {"preset": "quick"}, {"method": "persam-f", "finetune_steps": 10}],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_masks_are_those_of_one_run_to_the_pixel(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoder: SamEncoder,
    decoder: Decoder,
    options: dict[str, Any],
) -> None:
    def engine_of(settings: Settings) -> Engine[Settings]:
        parts = EngineParts(
            encoder=encoder,
            batch_encoder=encoder,
            decoder=decoder,
            another_encoder=lambda _: encoder,
            batch_size=1,
            side_by_side=False,
            checkpoint=Path(__file__),
        )
        return Engine(settings, parts=parts)

    monkeypatch.setattr(run, "Engine", engine_of)
    clip = clip_of(8, tmp_path)
    tracked(clip, tmp_path / "whole", **options)
    with pytest.raises(StopError):
        tracked(clip, tmp_path / "out", stopping_at(6), **options)

    outcome = tracked(clip, tmp_path / "out", resume=True, **options)

    assert (outcome.frames, outcome.encoded >= 3) == (8, True)
    whole, out = results(tmp_path / "whole"), results(tmp_path / "out")
    assert whole.keys() == out.keys()
    assert [name for name in whole if whole[name] != out[name]] == []


def said_of_two_frames(clip: Path, folder: Path, frame: int = 6) -> Prompting:
    """Return the first mask, and the same one again on a later frame."""
    mask = folder / "white.png"
    with Image.open(clip.with_name("mask.png")) as picture:
        Image.fromarray(np.asarray(picture) * np.uint8(255)).save(mask)
    later = Prompt(frame, 1, ObjectPrompt(mask=mask))
    return Prompting((AnnotationFile(clip.with_name("mask.png")), GivenPrompts(VideoPrompts(prompts=(later,)))))


@with_fakes
def test_a_run_with_later_keyframes_goes_on_with_what_was_encoded(clip: Path, tmp_path: Path) -> None:
    class Stopping(NoProgress):
        def prepare(self, done: int, expected: int) -> None:
            if done == 8:
                raise StopError

    said = said_of_two_frames(clip, tmp_path)
    whole = tracked(clip, tmp_path / "whole", said=said)
    with pytest.raises(StopError):
        tracked(clip, tmp_path / "out", Stopping(), said=said)
    with pytest.raises(OutputError, match="holds an unfinished run; pass --resume"):
        tracked(clip, tmp_path / "out", said=said)

    outcome = tracked(clip, tmp_path / "out", said=said, resume=True)

    assert (outcome.frames, whole.encoded) == (FRAMES, FRAMES)
    assert outcome.encoded < 5
    assert seen_files(tmp_path / "out") == seen_files(tmp_path / "whole")
    assert tracked(clip, tmp_path / "out", said=said, resume=True).written == ()


@with_fakes
@pytest.mark.parametrize(("before", "again"), [(None, "0 to 10"), (4, "1 to 10")])
def test_other_prompts_are_done_again_where_they_change_something(
    clip: Path, tmp_path: Path, before: int | None, again: str
) -> None:
    said = said_of_two_frames(clip, tmp_path)
    earlier = None if before is None else said_of_two_frames(clip, tmp_path, before)
    tracked(clip, tmp_path / "whole", said=said)
    tracked(clip, tmp_path / "out", said=earlier)

    outcome = tracked(clip, tmp_path / "out", said=said, resume=True)

    assert f"the prompts are other ones than in the earlier run; frames done again: {again}" in outcome.warnings
    assert seen_files(tmp_path / "out") == seen_files(tmp_path / "whole")


def seen_files(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in results(folder).items() if not name.startswith(".")}


_SLOWLY = """
import sys, time
from fakes import FakeEncoder, FakeEngine
from persam_vos.cli.app import main
from persam_vos.video import run
from persam_vos.video.resuming import checkpoint

class SlowEncoder(FakeEncoder):
    def encode(self, frames):
        time.sleep(0.1)
        return super().encode(frames)

checkpoint.EVERY = 2
run.Engine = lambda settings: FakeEngine(settings=settings, encoder=SlowEncoder())
sys.exit(main(sys.argv[1:]))
"""


@with_fakes
def test_a_killed_process_leaves_what_goes_on(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill a run, and each run that resumes it, some time after it has written another checkpoint."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]))
    monkeypatch.setattr("persam_vos.video.resuming.checkpoint.EVERY", 2)
    words = ["run", str(clip), "--first-mask", str(clip.with_name("mask.png")), "--export", "masks,overlay", "-q"]
    command = [sys.executable, "-c", _SLOWLY, *words, "--resume", "-o", str(tmp_path / "out")]
    checkpoint, seen = tmp_path / "out" / CHECKPOINT, 0
    for pause in (0.0, 0.15, 0.05):
        process = subprocess.Popen(command)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns != seen:
                break
            time.sleep(0.01)
        time.sleep(pause)
        process.kill()
        process.wait()
        seen = checkpoint.stat().st_mtime_ns
        assert torch.load(checkpoint, weights_only=True)["done"]["count"] % 2 == 0
        for part in (tmp_path / "out").rglob("[0-9]*.mp4"):
            assert len(pixels(part)) == 2

    assert subprocess.run(command, check=False).returncode == 0
    tracked(clip, tmp_path / "whole", export=("masks", "overlay"))

    assert results(tmp_path / "out") == results(tmp_path / "whole")
