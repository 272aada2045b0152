"""What faults have found: each is struck again, without the network."""

from __future__ import annotations

import errno
import io
import json
import shutil
import signal
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import moving_square, write_clip
from command_line import call, one_line, save
from fakes import FakeEngine, Watch
from PIL import Image

from persam_vos.cli.app import main
from persam_vos.errors import OutputError, is_short_of_memory
from persam_vos.exports.photos import PhotoWriter
from persam_vos.exports.results_jsonl import RESULTS_JSONL, PhotoResult
from persam_vos.pipeline.progress import NoProgress, Progress
from persam_vos.rendering import render
from persam_vos.rendering.frames import RenderedVideo
from persam_vos.results import FrameResult
from persam_vos.settings.video import Settings
from persam_vos.video import results_folder, run
from persam_vos.video.prompting.label_maps import AnnotationFile
from persam_vos.video.prompting.prompting import Prompting
from persam_vos.video.resuming.checkpoint import CHECKPOINT, read_checkpoint

FRAMES = 6


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clip with its mask, and runs that save a checkpoint every two frames."""
    monkeypatch.setattr("persam_vos.video.resuming.checkpoint.EVERY", 2)
    monkeypatch.setattr(run, "Engine", lambda settings: FakeEngine(settings=settings))
    labels = np.zeros((48, 64), np.uint8)
    labels[16:32, 0:16] = 1
    Image.fromarray(labels).save(tmp_path / "mask.png")
    return write_clip(tmp_path / "clip.mp4", moving_square(FRAMES))


def tracked(clip: Path, output: Path, progress: Progress | None = None, **options: bool) -> object:
    settings = Settings(export=("masks", "overlay", "coco", "report"))
    said = Prompting((AnnotationFile(clip.with_name("mask.png")),))
    return run.run_video(str(clip), said, output, settings, progress or NoProgress(), **options)


class KilledError(BaseException):
    """Ends a run where a kill would."""


def killed(*_: object) -> None:
    raise KilledError


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def packets(film: Path) -> list[tuple[int | None, bytes]]:
    with av.open(str(film)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(video=0)]


def test_killed_after_its_results_were_complete_it_leaves_nothing(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint and the notes of exports stayed for good, and the next run was told of an unfinished one."""
    with monkeypatch.context() as patch:
        patch.setattr(results_folder.ResultsFolder, "forget_unfinished", killed)
        with pytest.raises(KilledError):
            tracked(clip, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "run.json").read_text())["complete"]
    assert CHECKPOINT in hidden(tmp_path / "out")

    tracked(clip, tmp_path / "out", resume=True)

    assert hidden(tmp_path / "out") == []


def test_killed_while_its_report_is_written_it_still_has_the_pictures(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pictures of a report were removed before the run was recorded as complete: a resumed run had none."""
    with monkeypatch.context() as patch:
        patch.setattr("persam_vos.exports.run_record.RunRecord.write", killed)
        with pytest.raises(KilledError):
            tracked(clip, tmp_path / "out")

    tracked(clip, tmp_path / "out", resume=True)
    tracked(clip, tmp_path / "whole")

    images = [(tmp_path / name / "report.html").read_text().count("<img") for name in ("out", "whole")]
    assert images[0] == images[1] > 0


def test_killed_while_the_parts_of_a_film_are_removed_it_goes_on(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of the parts were left, and counted as all that there were: the run could not be resumed."""
    remove = shutil.rmtree

    def remove_one(folder: Path, **options: bool) -> None:
        parts = sorted(Path(folder).glob("*.mp4"))
        if len(parts) > 1:
            parts[0].unlink()
            raise KilledError
        remove(folder, **options)

    with monkeypatch.context() as patch:
        patch.setattr("persam_vos.media.encoding.video_parts.shutil.rmtree", remove_one)
        with pytest.raises(KilledError):
            tracked(clip, tmp_path / "out")
    assert (tmp_path / "out" / "overlay.mp4").exists()

    tracked(clip, tmp_path / "out", resume=True)
    tracked(clip, tmp_path / "whole")

    assert hidden(tmp_path / "out") == []
    assert packets(tmp_path / "out" / "overlay.mp4") == packets(tmp_path / "whole" / "overlay.mp4")
    for name in ("tracks.jsonl", "masks/00005.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("more", [{}, {"overwrite": True}, {"resume": True}], ids=str)
def test_a_second_run_keeps_out_of_a_folder_that_is_being_written(
    clip: Path, tmp_path: Path, more: dict[str, bool]
) -> None:
    """Two runs wrote into the same unfinished files."""
    refused = []

    def begin_another(result: FrameResult) -> None:
        if result.index != FRAMES // 2:
            return
        with pytest.raises(OutputError, match="is being written by another run") as found:
            tracked(clip, tmp_path / "out", **more)
        refused.append(found)

    tracked(clip, tmp_path / "out", Watch(begin_another))
    tracked(clip, tmp_path / "whole")

    assert len(refused) == 1
    for name in ("masks/00003.png", "tracks.jsonl", "coco.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_results_that_vanish_are_not_called_complete(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder was made anew with a run.json that said complete, and without the masks."""
    run_stages = run.track_video

    def vanish(*arguments: object, **options: object) -> object:
        outcome = run_stages(*arguments, **options)  # type: ignore[arg-type]
        shutil.rmtree(tmp_path / "out")
        return outcome

    monkeypatch.setattr(run, "track_video", vanish)

    with pytest.raises(OutputError, match=r"out.tracks\.jsonl: was written, and is gone"):
        tracked(clip, tmp_path / "out")

    assert not (tmp_path / "out" / "run.json").exists()


def test_a_list_of_photos_that_vanishes_is_noticed(tmp_path: Path) -> None:
    """Lines went on into a file without a name, and the run ended well."""
    rgb, labels = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)
    photo = tmp_path / "a.png"
    Image.fromarray(rgb).save(photo)
    with PhotoWriter(tmp_path / "out", exports=["masks"]) as writer:
        writer.write(PhotoResult(photo, "a", labels, ()), rgb)
        shutil.rmtree(tmp_path / "out")

        with pytest.raises(OutputError, match=f"{RESULTS_JSONL}: is gone"):
            writer.write(PhotoResult(photo, "b", labels, ()), rgb)


def test_masks_for_which_the_video_has_no_frame_any_more_are_named(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A video that was replaced by a shorter one between two looks lost the last masks without a word."""
    open_part = RenderedVideo.open_part

    def replaced(*given: Any) -> Any:
        write_clip(clip, moving_square(FRAMES - 2))
        return open_part(*given)

    monkeypatch.setattr(RenderedVideo, "open_part", replaced)
    for index in range(FRAMES):
        save(tmp_path / "masks" / f"{index:05d}.png", np.full((48, 64), index > 2, np.uint8))

    outcome = render(clip, tmp_path / "masks", tmp_path / "out", ["masks"])

    assert outcome.frames == FRAMES - 2
    assert any("2 masks are not rendered: the video has ended before frame 4" in each for each in outcome.warnings)


class ClosedPipe(io.StringIO):
    """Standard output that nobody reads any more, and that waits with nothing, as with PYTHONUNBUFFERED."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_reader_who_has_seen_enough_changes_no_status(clip: Path) -> None:
    """Typer made the status 1, though all results were written."""
    words = ["run", clip, "--first-mask", clip.with_name("mask.png"), "-o", clip.with_name("out")]

    with redirect_stdout(ClosedPipe()):
        status = main([*map(str, words)])

    assert status == 0
    assert (clip.with_name("out") / "run.json").exists()


def starved(words: str, kind: type[Exception] = RuntimeError) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise kind(words)

    return fail


@pytest.mark.parametrize(
    "fail",
    [
        starved("", MemoryError),
        starved(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
        ),
        starved("can't start new thread"),
        starved("std::bad_alloc"),
        starved("libtorch_cpu.so: failed to map segment from shared object", ImportError),
    ],
)
def test_too_little_memory_is_one_line(clip: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[..., None]) -> None:
    """It was a traceback of the library that had asked for memory."""
    monkeypatch.setattr(run, "Engine", fail)

    answer = call("run", clip, "--first-mask", clip.with_name("mask.png"), "-o", clip.with_name("out"))

    one_line(answer, "too little memory", "--resume goes on")
    assert not clip.with_name("out").exists()


def test_other_errors_are_not_called_so(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_short_of_memory(RuntimeError("shapes do not match"))
    monkeypatch.setattr(run, "Engine", starved("shapes do not match"))

    with pytest.raises(RuntimeError, match="shapes do not match"):
        call("run", clip, "--first-mask", clip.with_name("mask.png"), "-o", clip.with_name("out"))


def test_a_checkpoint_for_which_memory_is_short_is_not_called_damaged(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice was to begin anew, with --overwrite."""
    with pytest.raises(KeyboardInterrupt):
        tracked(clip, tmp_path / "out", Watch(lambda result: _interrupt_twice() if result.index == 4 else None))
    monkeypatch.setattr("torch.load", starved("", MemoryError))

    with pytest.raises(MemoryError):
        read_checkpoint(tmp_path / "out")


def _interrupt_twice() -> None:
    raise KeyboardInterrupt(signal.SIGINT)
