"""Exports that go on after a run was killed: a copy of the folder stands in for what a killed run leaves."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import moving_square, write_clip

from persam_vos.errors import OutputError
from persam_vos.exports.select import EXPORTS, open_writers
from persam_vos.media import Frame, FramesDone, StreamInfo, open_video
from persam_vos.results import FrameResult, ObjectResult

FRAMES = 17
EVERY = 5


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of a variable rate that begins late, with audio."""
    pts = [13 + 3 * index + index % 3 for index in range(FRAMES)]
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_clip(path, moving_square(FRAMES), pts=pts, time_base=Fraction(1, 50), audio="aac", audio_seconds=1.0)


def frames_of(path: Path) -> tuple[StreamInfo, list[Frame]]:
    with open_video(path) as reader:
        return reader.info, list(reader)


def result_of(frame: Frame) -> FrameResult:
    label_map = np.zeros(frame.rgb.shape[:2], np.uint8)
    label_map[8:24, 2 * frame.index : 2 * frame.index + 16] = 1
    box = (2 * frame.index, 8, 2 * frame.index + 15, 23)
    found = ObjectResult(1, True, 0.5, 0.25, int((label_map == 1).sum()), box)
    return FrameResult(frame.index, frame.pts, frame.time_base, label_map, (found,))


def done_of(frames: Sequence[Frame]) -> FramesDone:
    return FramesDone(
        count=len(frames),
        first_index=frames[0].index,
        first_pts=frames[0].pts,
        last_index=frames[-1].index,
        last_pts=frames[-1].pts,
    )


def writers_in(output: Path, info: StreamInfo) -> list[Any]:
    return open_writers(output, list(EXPORTS), info=info)


def write(writers: Sequence[Any], frames: Sequence[Frame], every: int = EVERY) -> None:
    for frame in frames:
        for writer in writers:
            writer.write(frame, result_of(frame))
        if (frame.index + 1) % every == 0:
            for writer in writers:
                writer.checkpoint()


def close(writers: Sequence[Any]) -> list[str]:
    for writer in writers:
        writer.close()
    return [text for writer in writers for text in writer.warnings]


def resumed(output: Path, info: StreamInfo, frames: Sequence[Frame], count: int) -> list[Any]:
    """Go on after so many frames and finish."""
    writers = open_writers(output, list(EXPORTS), info=info, resume=True)
    try:
        for writer in writers:
            writer.resume(done_of(frames[:count]))
        write(writers, frames[count:])
        assert close(writers) == []
    finally:
        suspend(writers)
    return writers


def suspend(writers: Sequence[Any]) -> None:
    for writer in writers:
        writer.suspend()


def killed(writers: Sequence[Any], output: Path) -> Path:
    """Return a copy of what is on the disk while the writers still work."""
    copy = output.with_name(f"{output.name}-killed")
    shutil.copytree(output, copy)
    suspend(writers)
    return copy


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def same_results(folder: Path, whole: dict[str, bytes]) -> bool:
    """Compare all files; of the videos, what is in them, since a header says which bit rate the first part had."""
    found = contents(folder)
    videos = [name for name in whole if name.endswith((".mp4", ".mov", ".webm"))]
    assert len(videos) == 5
    for name in videos:
        (folder / f"whole-{name}").write_bytes(whole[name])
        if packets_of(folder / f"whole-{name}") != packets_of(folder / name):
            return False
    nothing = dict.fromkeys(videos, b"")
    return {**found, **nothing} == {**whole, **nothing}


def packets_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with av.open(str(path)) as container:
        kinds: dict[str, list[tuple[Any, ...]]] = {
            stream.type: [(stream.start_time, stream.duration, stream.frames, stream.time_base)]
            for stream in container.streams
        }
        for packet in container.demux():
            if packet.pts is not None:
                kinds[packet.stream.type].append((packet.pts, packet.dts, packet.duration, bytes(packet)))
        return kinds


@pytest.fixture(scope="module")
def whole(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run writes that is not interrupted."""
    info, frames = frames_of(clip)
    output = tmp_path_factory.mktemp("whole")
    writers = writers_in(output, info)
    write(writers, frames)
    assert close(writers) == []
    return contents(output)


@pytest.mark.parametrize(("reached", "count"), [(5, 5), (8, 5), (12, 10), (12, 5), (17, 15)])
def test_a_killed_run_goes_on_to_the_same_files(
    clip: Path, whole: dict[str, bytes], tmp_path: Path, reached: int, count: int
) -> None:
    info, frames = frames_of(clip)
    writers = writers_in(tmp_path / "out", info)
    write(writers, frames[:reached])
    left = killed(writers, tmp_path / "out")

    resumed(left, info, frames, count)

    assert contents(left) == whole


def test_a_run_that_was_ended_early_goes_on(clip: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    info, frames = frames_of(clip)
    writers = writers_in(tmp_path, info)
    write(writers, frames[:12])
    close(writers)
    ended = packets_of(tmp_path / "overlay.mp4")

    resumed(tmp_path, info, frames, 10)

    assert len(ended["video"]) == 1 + 12
    assert same_results(tmp_path, whole)


def test_a_run_killed_while_it_finishes_goes_on(clip: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    info, frames = frames_of(clip)
    for finished in range(len(EXPORTS) + 1):
        output = tmp_path / f"out{finished}"
        writers = writers_in(output, info)
        write(writers, frames)
        close(writers[:finished])
        left = killed(writers, output)

        resumed(left, info, frames, 15)

        assert same_results(left, whole)


def test_parts_join_to_what_is_written_in_one_go(clip: Path, tmp_path: Path) -> None:
    info, frames = frames_of(clip)
    made = []
    for every in (1000, 5, 2, 1):
        output = tmp_path / str(every)
        writers = open_writers(output, ["overlay"], info=info)
        write(writers, frames, every)
        assert close(writers) == []
        made.append(packets_of(output / "overlay.mp4"))

    alone = made[0]["video"][1:]
    assert set(made[0]) == {"video", "audio"}
    for joined in made[1:]:
        assert joined["audio"] == made[0]["audio"]
        assert joined["video"][0] == made[0]["video"][0]
        assert sorted(pts for pts, *_ in joined["video"][1:]) == sorted(pts for pts, *_ in alone)
        decoded = [dts for _, dts, *_ in joined["video"][1:]]
        assert decoded == sorted(set(decoded))
    with open_video(tmp_path / "1" / "overlay.mp4") as reader:
        assert [frame.time for frame in reader] == [frame.time for frame in frames]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("every", [1, 2])
def test_short_videos_keep_times_and_lengths(tmp_path: Path, count: int, every: int) -> None:
    info, frames = frames_of(write_clip(tmp_path / "a.mp4", moving_square(count)))
    writers = open_writers(tmp_path / "out", ["overlay"], info=info)
    write(writers, frames, every)
    close(writers)

    with open_video(tmp_path / "out" / "overlay.mp4") as reader:
        assert [frame.time for frame in reader] == [Fraction(index, 25) for index in range(count)]
    with av.open(str(tmp_path / "out" / "overlay.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == Fraction(count, 25)


def test_a_start_before_zero_moves_every_part(tmp_path: Path) -> None:
    info = StreamInfo(Path("a.mp4"), 64, 48, Fraction(25), Fraction(1, 25), frame_count=None, has_audio=False)
    frames = [Frame(i, i - 3, Fraction(1, 25), rgb) for i, rgb in enumerate(moving_square(8))]
    writers = writers_in(tmp_path, info)
    write(writers, frames[:7])
    suspend(writers)

    resumed(tmp_path, info, frames, 5)

    with open_video(tmp_path / "overlay.mp4") as reader:
        assert [frame.time for frame in reader] == [Fraction(index, 25) for index in range(8)]


def test_what_is_suspended_can_be_read_and_what_is_aborted_is_gone(clip: Path, tmp_path: Path) -> None:
    info, frames = frames_of(clip)
    writers = writers_in(tmp_path, info)
    write(writers, frames[:12])
    suspend(writers)

    parts = sorted(tmp_path.rglob("*.mp4"))
    assert [path.name for path in parts if path.stem.isdecimal()] == ["00000.mp4", "00005.mp4"] * 3
    for path in parts:
        if path.stem.isdecimal():
            with open_video(path) as reader:
                assert len(list(reader)) == 5
    writers = open_writers(tmp_path, list(EXPORTS), info=info, resume=True)
    for writer in writers:
        writer.resume(done_of(frames[:10]))
        writer.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        (".masks.partial/00003.png", "masks: 9 of the 10 frames done are left"),
        (".overlay.mp4.parts.partial/00005.mp4", r"overlay\.mp4: 5 of the 10 frames done are left"),
        (".cutout.mp4.parts.partial/00000.mp4", r"cutout\.mp4: 5 of the 10 frames done are left"),
        (".tracks.jsonl.partial", r"tracks\.jsonl: cannot be written"),
    ],
)
def test_what_is_lost_is_named(clip: Path, tmp_path: Path, lost: str, message: str) -> None:
    info, frames = frames_of(clip)
    writers = writers_in(tmp_path, info)
    write(writers, frames[:12])
    suspend(writers)
    (tmp_path / lost).unlink()

    with pytest.raises(OutputError, match=message):
        resumed(tmp_path, info, frames, 10)


@pytest.mark.parametrize("size", [0, 100])
def test_a_damaged_part_is_named(clip: Path, tmp_path: Path, size: int) -> None:
    info, frames = frames_of(clip)
    writers = writers_in(tmp_path, info)
    write(writers, frames[:12])
    suspend(writers)
    part = tmp_path / ".overlay.mp4.parts.partial" / "00005.mp4"
    part.write_bytes(part.read_bytes()[:size])

    with pytest.raises(OutputError, match=r"00005\.mp4: cannot be read .* pass --overwrite to start anew"):
        resumed(tmp_path, info, frames, 10)


def test_lines_that_were_cut_are_dropped(clip: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    info, frames = frames_of(clip)
    writers = writers_in(tmp_path, info)
    write(writers, frames[:10])
    suspend(writers)
    with (tmp_path / ".tracks.jsonl.partial").open("a") as file:
        file.write('{"frame": 10, "pts": 3')

    resumed(tmp_path, info, frames, 10)

    assert (tmp_path / "tracks.jsonl").read_bytes() == whole["tracks.jsonl"]
