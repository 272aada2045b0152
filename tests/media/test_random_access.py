from __future__ import annotations

import functools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import MATRICES, cut, moving_square, read_all, remux, save, set_display_matrix, spoiled, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st

from persam_vos.errors import FrameIndexError, VideoError
from persam_vos.media import Frame, RandomAccessVideo, open_random_access
from persam_vos.media.decoding import file_access

COUNT = 45


def x264(path: Path, params: str, **more) -> Path:
    return write_clip(path, moving_square(COUNT), options={"crf": "20", "x264-params": params}, **more)


def plain(folder: Path) -> Path:
    return x264(folder / "plain.mp4", "keyint=12:bframes=0")


def b_frames(folder: Path) -> Path:
    return x264(folder / "b.mp4", "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-pyramid=normal:open-gop=0")


def open_gop(folder: Path) -> Path:
    return x264(folder / "open.mp4", "keyint=12:min-keyint=6:scenecut=0:bframes=3:b-adapt=0:open-gop=1")


def open_gop_matroska(folder: Path) -> Path:
    return remux(open_gop(folder), folder / "open.mkv")


def transport_stream(folder: Path) -> Path:
    return remux(b_frames(folder), folder / "b.ts")


def intra_refresh(folder: Path) -> Path:
    return x264(folder / "refresh.mkv", "keyint=12:intra-refresh=1:bframes=0")


def long_gop(folder: Path) -> Path:
    return x264(folder / "long.mp4", "keyint=1000:bframes=2")


def variable_rate(folder: Path) -> Path:
    pts = np.cumsum(np.random.default_rng(3).integers(1, 400, COUNT)).tolist()
    return x264(folder / "vfr.mp4", "keyint=10:bframes=2", pts=pts, time_base=Fraction(1, 1000))


def edit_list(folder: Path) -> Path:
    """Frames 0 to 6 of 45 lie before time 0, where the edit list hides them."""

    def earlier(number: int, packet: av.Packet) -> av.Packet:
        shift = round(Fraction(7, 25) / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        return packet

    return remux(b_frames(folder), folder / "edit.mp4", earlier)


def rotated(folder: Path) -> Path:
    path = x264(folder / "rotated.mp4", "keyint=12:bframes=2")
    set_display_matrix(path, MATRICES["clockwise 90"])
    return path


def avi_without_times(folder: Path) -> Path:
    return x264(folder / "a.avi", "keyint=12:bframes=2")


def mpeg2(folder: Path) -> Path:
    return write_clip(folder / "a.mpg", moving_square(COUNT), codec="mpeg2video", options={"g": "10", "bf": "2"})


def vp9(folder: Path) -> Path:
    options = {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10", "cpu-used": "8", "deadline": "realtime"}
    return write_clip(folder / "a.webm", moving_square(COUNT), codec="libvpx-vp9", options=options)


def raw_h264(folder: Path) -> Path:
    return x264(folder / "a.h264", "keyint=12:bframes=2")


def damaged(folder: Path) -> Path:
    return remux(plain(folder), folder / "damaged.mp4", lambda n, packet: spoiled(packet) if n == 17 else packet)


def damaged_late(folder: Path) -> Path:
    return remux(
        x264(folder / "many_keys.mp4", "keyint=4:bframes=0"),
        folder / "late.mp4",
        lambda n, packet: spoiled(packet) if n == 41 else packet,
    )


def truncated(folder: Path) -> Path:
    return cut(remux(b_frames(folder), folder / "cut.mp4", options={"movflags": "faststart"}), 0.7)


def truncated_matroska(folder: Path) -> Path:
    return cut(b_frames(folder).parent / remux(b_frames(folder), folder / "cut.mkv").name, 0.7)


def cut_in_open_gop(folder: Path) -> Path:
    """Begins with a key frame whose leading frames refer to frames that are gone."""
    return remux(open_gop(folder), folder / "headless.mkv", lambda n, packet: packet if n >= 12 else None)


def images(folder: Path) -> Path:
    for index, rgb in enumerate(moving_square(COUNT)):
        save(folder / "images" / f"{index}.png", rgb)
    return folder / "images"


SEEKABLE = [
    plain,
    b_frames,
    open_gop,
    open_gop_matroska,
    transport_stream,
    long_gop,
    variable_rate,
    edit_list,
    rotated,
    mpeg2,
    vp9,
    images,
]
FROM_THE_START = [intra_refresh, avi_without_times, raw_h264, damaged, truncated, truncated_matroska, cut_in_open_gop]
MakeClip = Callable[[Path], Path]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Callable[[MakeClip], tuple[Path, list[Frame]]]:
    """Returns a clip and its frames by reading; each is made once."""

    @functools.cache
    def made(make: MakeClip) -> tuple[Path, list[Frame]]:
        path = make(tmp_path_factory.mktemp(make.__name__))
        return path, read_all(path)[1]

    return made


def assert_same(frame: Frame, read: Frame) -> None:
    assert (frame.index, frame.pts, frame.time_base) == (read.index, read.pts, read.time_base)
    assert np.array_equal(frame.rgb, read.rgb)


@pytest.mark.parametrize("make", [*SEEKABLE, *FROM_THE_START])
class TestEqualsReading:
    def test_every_frame_backwards_one_by_one(self, clip, make):
        path, read = clip(make)
        with open_random_access(path) as video:
            assert len(video) == video.info.frame_count == len(read)
            for expected in reversed(read):
                assert_same(video.frame(expected.index), expected)

    def test_any_frames_in_any_order(self, clip, make):
        path, read = clip(make)
        video = open_random_access(path)
        index = st.integers(0, len(read) - 1)

        @settings(max_examples=15)
        @given(st.lists(st.tuples(index, index, st.sampled_from([1, 2, 7, -1, -3, -20])), min_size=1, max_size=4))
        def check(wanted: list[tuple[int, int, int]]) -> None:
            for start, stop, step in wanted:
                assert_same(video.frame(stop), read[stop])
                frames = list(video.frames(start, stop, step))
                assert [frame.index for frame in frames] == list(range(start, stop, step))
                for frame in frames:
                    assert_same(frame, read[frame.index])

        with video:
            check()

    def test_times(self, clip, make):
        path, read = clip(make)
        with open_random_access(path) as video:
            assert [video.time_of(frame.index) for frame in read] == [frame.time for frame in read]
            for frame in read:
                assert video.index_from(frame.time) == frame.index
            assert video.end() > read[-1].time
            assert (video.index_from(-100), video.index_from(10**9)) == (0, len(read))


class TestSeeking:
    @pytest.mark.parametrize("make", [each for each in SEEKABLE if each not in (images, mpeg2)])
    def test_a_late_frame_is_found_without_decoding_all_before(self, clip, make, monkeypatch):
        path, read = clip(make)
        decoded = counted_frames(monkeypatch)
        with open_random_access(path) as video:
            assert video.warnings == []
            decoded.clear()
            assert_same(video.frame(len(read) - 1), read[-1])
            opened = len(decoded)
            for frame in video.frames(len(read) - 1, None, -1):
                assert_same(frame, read[frame.index])
        if make is not long_gop:
            assert opened < 30
            assert len(decoded) < 4 * COUNT

    def test_reading_backwards_keeps_few_frames_and_decodes_a_long_group_in_several_goes(self, clip, monkeypatch):
        path, read = clip(long_gop)
        monkeypatch.setattr(file_access, "_MAX_AHEAD_BYTES", 10 * 64 * 48 * 3 // 2)
        decoded = counted_frames(monkeypatch)
        with open_random_access(path) as video:
            decoded.clear()
            frames = video.frames(COUNT - 1, -1, -1)
            assert_same(next(frames), read[-1])
            for expected in read[-2::-1]:
                assert_same(next(frames), expected)
        assert COUNT * 2 < len(decoded) < COUNT * 5

    def test_forwards_every_frame_is_decoded_once(self, clip, monkeypatch):
        path, _ = clip(b_frames)
        decoded = counted_frames(monkeypatch)
        with open_random_access(path) as video:
            decoded.clear()
            assert len(list(video.frames())) == COUNT
        assert len(decoded) <= COUNT + 1

    def test_iterators_and_single_frames_do_not_disturb_each_other(self, clip):
        path, read = clip(open_gop)
        with open_random_access(path) as video:
            forwards, backwards = video.frames(), video.frames(step=-1)
            for index in range(COUNT):
                assert_same(next(forwards), read[index])
                assert_same(video.frame((index * 17) % COUNT), read[(index * 17) % COUNT])
                assert_same(next(backwards), read[COUNT - 1 - index])


class TestDoubtfulFiles:
    @pytest.mark.parametrize("make", FROM_THE_START)
    def test_the_warnings_are_those_of_reading(self, clip, make):
        path, _ = clip(make)
        with open_random_access(path) as video:
            list(video.frames())
            told = [each for each in video.warnings if "is found by reading from the start" not in each]
        assert told == read_all(path)[2]

    def test_missing_timestamps_are_told(self, tmp_path):
        with open_random_access(write_clip(tmp_path / "a.h264", moving_square(9))) as video:
            assert any("each frame is found by reading from the start" in warning for warning in video.warnings)

    def test_times_of_decoding_are_enough(self, clip):
        with open_random_access(clip(avi_without_times)[0]) as video:
            assert video.warnings == []

    def test_damage_that_shows_late_renumbers_and_is_told(self, clip):
        path, read = clip(damaged_late)
        assert len(read) == COUNT - 1
        with open_random_access(path) as video:
            assert len(video) == COUNT
            assert np.array_equal(video.frame(COUNT - 1).rgb, read[COUNT - 2].rgb)  # before the damage was met
            for expected, frame in zip(read, video.frames(0, COUNT - 1), strict=True):
                assert_same(frame, expected)
            assert len(video) == video.info.frame_count == COUNT - 1
            assert "frames turned out to be missing; some that were read before had other numbers" in video.warnings
            for index in (43, 3, 40):
                assert_same(video.frame(index), read[index])

    def test_damage_that_renumbers_no_frame_read_before(self, clip):
        path, _ = clip(damaged_late)
        with open_random_access(path) as video:
            assert len(list(video.frames(0, 42))) == 42
            assert len(video) == COUNT - 1
            assert not any("other numbers" in warning for warning in video.warnings)

    def test_a_file_that_shrinks_while_it_is_open(self, clip, tmp_path):
        path = tmp_path / "a.mp4"
        path.write_bytes(clip(plain)[0].read_bytes())
        with open_random_access(path) as video:
            video.frame(COUNT - 1)
            path.write_bytes(path.read_bytes()[:2000])
            with pytest.raises(VideoError, match=r"a\.mp4"):
                video.frame(0)


class TestMisuse:
    @pytest.fixture
    def video(self, clip) -> RandomAccessVideo:
        return open_random_access(clip(plain)[0])

    @pytest.mark.parametrize("index", [-1, COUNT])
    def test_a_frame_that_is_not_there(self, video, index):
        message = rf"plain\.mp4: has no frame {index}; it has 45 frame\(s\), 0 to 44"
        with pytest.raises(FrameIndexError, match=message):
            video.frame(index)
        with pytest.raises(FrameIndexError, match=message):
            video.frames(3, index + 1 if index > 0 else -2, -1 if index < 0 else 1)
        with pytest.raises(IndexError):
            video.time_of(index)

    def test_an_empty_range_has_no_frames(self, video):
        assert list(video.frames(5, 5)) == list(video.frames(100, 90)) == []

    def test_a_step_of_0(self, video):
        with pytest.raises(ValueError, match="zero"):
            video.frames(0, 5, 0)

    def test_after_closing(self, video):
        video.frame(3)
        video.close()
        video.close()
        with pytest.raises(VideoError, match=r"plain\.mp4: has been closed"):
            video.frame(3)

    def test_no_video(self, tmp_path):
        with pytest.raises(VideoError, match="no such file"):
            open_random_access(tmp_path / "a.mp4")
        (tmp_path / "a.mp4").write_text("text")
        with pytest.raises(VideoError, match="not a video"):
            open_random_access(tmp_path / "a.mp4")


class TestArrays:
    @pytest.mark.parametrize("form", [np.stack, list])
    def test_frames_of_arrays(self, form):
        arrays = form(moving_square(6))
        with open_random_access(arrays, frame_rate=5) as video:
            assert (len(video), video.info.frame_rate, video.files) == (6, 5, ())
            assert [frame.time for frame in video.frames(4, None, -2)] == [Fraction(n, 5) for n in (4, 2, 0)]
            frame = video.frame(3)
            assert np.array_equal(frame.rgb, arrays[3])
            arrays[3][:] = 0
            assert frame.rgb.any()

    def test_what_is_no_video(self):
        with pytest.raises(VideoError, match="frame 0 is uint8, 48 x 64"):
            open_random_access(np.zeros((3, 48, 64), np.uint8))
        with pytest.raises(VideoError, match="at least one array"):
            open_random_access(np.zeros((0, 48, 64, 3), np.uint8))
        video = open_random_access([np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)])
        with pytest.raises(VideoError, match="frame 1 is 5 x 4, the first was 4 x 4"):
            video.frame(1)


def test_the_files_of_images(clip):
    path, _ = clip(images)
    with open_random_access(path) as video:
        assert [file.name for file in video.files[:3]] == ["0.png", "1.png", "2.png"]


def counted_frames(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Returns a list that grows by the timestamp of each frame that is decoded in any order."""
    decoded: list[int | None] = []
    original = file_access.decode

    def counting(*given):
        for frame in original(*given):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(file_access, "decode", counting)
    return decoded
