from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import MATRICES, moving_square, read_all, save, set_display_matrix, write_clip
from hypothesis import given
from hypothesis import strategies as st

from persam_vos.errors import FrameIndexError, PersamVosError, SettingsError
from persam_vos.media import FrameAt, SecondsAt, StreamInfo, VideoWriter, frame_range, open_video, parse_position
from persam_vos.media.array_reader import ArrayReader
from persam_vos.media.ranges import SkippingReader
from persam_vos.media.stream import Clip

COUNT = 30
NTSC = Fraction(30000, 1001)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "a.mp4", moving_square(COUNT), options={"g": "8", "bf": "2"})


class TestPositions:
    @pytest.mark.parametrize(
        ("given", "position"),
        [
            (0, FrameAt(0)),
            ("17", FrameAt(17)),
            (" 17 ", FrameAt(17)),
            ("12.5s", SecondsAt(Fraction(25, 2))),
            ("3s", SecondsAt(Fraction(3))),
            (".04s", SecondsAt(Fraction(1, 25))),
            ("2.s", SecondsAt(Fraction(2))),
        ],
    )
    def test_frames_and_seconds(self, given, position):
        assert parse_position(given) == position

    @pytest.mark.parametrize(
        "given", ["", "12.5", "-3", "-1s", "1:30", "s", "five", -1, 2.5, True, None, "1e3s", "nans"]
    )
    def test_what_is_neither(self, given):
        with pytest.raises(
            SettingsError, match=r"position in the video is .*; allowed: a frame, counted from 0, such as"
        ):
            parse_position(given)

    @pytest.mark.parametrize("stride", [0, -1, 1.5, True, "2"])
    def test_a_stride_is_a_whole_number(self, stride):
        with pytest.raises(SettingsError, match=r"stride is .*; it must be a whole number of frames, at least 1"):
            frame_range(stride=stride)


BACKENDS = ["pyav", "decord"]


def backend_or_skip(backend: str) -> str:
    if backend == "decord":
        pytest.importorskip("decord")
    return backend


class TestFrames:
    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize(
        ("start", "end", "stride", "wanted"),
        [
            (None, None, 1, range(COUNT)),
            (5, None, 1, range(5, COUNT)),
            (None, "7", 1, range(7)),
            (COUNT - 1, COUNT, 1, [COUNT - 1]),
            (3, 20, 4, range(3, 20, 4)),
            (None, None, 100, [0]),
            ("0.4s", "0.8s", 1, range(10, 20)),
            ("0.41s", "0.79s", 1, range(11, 20)),
            ("0.5s", 29, 5, range(13, 29, 5)),
            (2, "1.2s", 1, range(2, COUNT)),
            (2, "1.6s", 1, range(2, COUNT)),
        ],
    )
    def test_are_those_of_the_whole_video(self, clip, backend, start, end, stride, wanted):
        _, read, _ = read_all(clip, backend=backend_or_skip(backend))
        info, frames, warnings = read_all(clip, backend=backend, start=start, end=end, stride=stride)
        assert [frame.index for frame in frames] == list(wanted)
        assert info.frame_count == len(wanted)
        assert info.frame_rate == 25
        assert warnings == []
        for frame in frames:
            assert (frame.pts, frame.time_base) == (read[frame.index].pts, read[frame.index].time_base)
            assert np.array_equal(frame.rgb, read[frame.index].rgb)

    @given(st.integers(0, COUNT), st.integers(0, COUNT), st.integers(1, 9))
    def test_any_range_equals_a_slice(self, clip, start, end, stride):
        wanted = list(range(start, end, stride))
        if wanted:
            assert [frame.index for frame in read_all(clip, start=start, end=end, stride=stride)[1]] == wanted
        else:
            with pytest.raises(FrameIndexError):
                open_video(clip, start=start, end=end, stride=stride)

    def test_seconds_count_from_the_first_frame_and_follow_a_variable_rate(self, tmp_path):
        times = [1000, 1040, 1055, 1500, 2000, 2600]
        path = write_clip(tmp_path / "a.mkv", moving_square(6), pts=times, time_base=Fraction(1, 1000))
        for start, end, wanted in [("0.05s", "1s", [2, 3]), ("0.5s", None, [3, 4, 5]), (None, "0.055s", [0, 1])]:
            _, frames, _ = read_all(path, start=start, end=end)
            assert [frame.index for frame in frames] == wanted
            assert [round(frame.time * 1000) for frame in frames] == [times[index] for index in wanted]

    def test_what_lies_before_is_not_decoded(self, tmp_path):
        path = write_clip(tmp_path / "a.mp4", moving_square(400, width=32, height=32), options={"g": "10"})
        with open_video(path, start=380) as reader:
            assert reader.peek().index == 380
            assert [frame.index for frame in reader][-1] == 399

    def test_images(self, tmp_path):
        for index, rgb in enumerate(moving_square(9)):
            save(tmp_path / f"{index}.png", rgb)
        info, frames, _ = read_all(tmp_path, frame_rate=10, start="0.2s", end=7, stride=2)
        assert [frame.index for frame in frames] == [2, 4, 6]
        assert [frame.time for frame in frames] == [Fraction(n, 10) for n in (2, 4, 6)]
        assert info.clip == Clip(start=2, stop=7, stride=2, end=Fraction(7, 10))
        assert (info.frame_rate, info.clip.last) == (10, 6)

    def test_a_rotated_clip(self, tmp_path):
        path = write_clip(tmp_path / "a.mp4", moving_square(12))
        set_display_matrix(path, MATRICES["clockwise 90"])
        info, frames, _ = read_all(path, start=5)
        assert (info.width, info.height) == (48, 64)
        assert np.array_equal(frames[0].rgb, read_all(path)[1][5].rgb)


class TestFramesThatAreReadOnce:
    def reader(self, frames=None) -> ArrayReader:
        return ArrayReader(iter(moving_square(10) if frames is None else frames), frame_rate=Fraction(5))

    def test_a_range(self):
        source = self.reader()
        with SkippingReader(source, frame_range("0.3s", 8, 2).clip_by_rate(source.info)) as reader:
            assert reader.peek().index == 2
            assert [frame.index for frame in reader] == [2, 4, 6]
            assert (reader.info.frame_count, reader.info.frame_rate) == (3, 5)

    def test_nothing_is_read_after_the_end(self):
        arrays = iter(moving_square(10))
        source = self.reader(arrays)
        assert [frame.index for frame in SkippingReader(source, frame_range(2, 4).clip_by_rate(source.info))] == [2, 3]
        assert len(list(arrays)) == 6

    def test_a_start_that_never_comes(self):
        source = self.reader()
        reader = SkippingReader(source, frame_range(10).clip_by_rate(source.info))
        with pytest.raises(FrameIndexError, match=r"arrays: has 10 frame\(s\); the range starts at frame 10"):
            reader.peek()

    def test_an_end_that_never_comes(self):
        source = self.reader()
        reader = SkippingReader(source, frame_range(8, 12).clip_by_rate(source.info))
        assert [frame.index for frame in reader] == [8, 9]
        assert reader.warnings == ["the range goes to frame 12; there are 10 frames"]


class TestMisuse:
    @pytest.mark.parametrize(
        ("start", "end", "message"),
        [
            (30, None, "the range starts at frame 30, after the last frame"),
            ("1.2s", None, "the range starts at 1.2 s, after the last frame"),
            (31, None, "the range starts at frame 31, which is after its end"),
            (None, 31, "the range goes to frame 31, which is after its end"),
            (0, "2.5s", "the range goes to 2.5 s, which is after its end"),
            (5, 5, "the range from frame 5 to frame 5 is empty: its end is the first frame that is left out"),
            ("0.4s", 3, "the range from 0.4 s to frame 3 is empty"),
            (None, 0, "the range from frame 0 to frame 0 is empty"),
        ],
    )
    def test_a_range_outside(self, clip, start, end, message):
        with pytest.raises(FrameIndexError) as caught:
            open_video(clip, start=start, end=end)
        assert str(caught.value).startswith(f"{clip}: has 30 frame(s), 0 to 29, and lasts 1.20 s; ")
        assert message in str(caught.value)

    def test_a_wrong_position(self, clip):
        with pytest.raises(PersamVosError, match=r"position in the video is '1\.5'"):
            open_video(clip, start="1.5")


def burst(path: Path, *, codec: str, at: float, seconds: float = 2.0, count: int = 50) -> Path:
    """Write a clip, 25 frames a second, with silence before ``at`` and noise from there on."""
    rate = 48000
    samples = np.random.default_rng(0).integers(-20000, 20000, round(seconds * rate)).astype(np.int16)
    samples[: round(at * rate)] = 0
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"g": "12", "bf": "2"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=rate, layout="mono")
        for rgb in moving_square(count):
            container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(video.encode(None))
        for begin in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + 1024], format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), begin
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def heard(path: Path) -> tuple[float, float, float]:
    """Return when the first and the last sample of a file sounds, and when its noise begins, in seconds."""
    times, values = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            mono = frame.to_ndarray().astype(np.float32)
            mono = mono[0] if frame.format.is_planar else mono.reshape(frame.samples, -1)[:, 0]
            times.append(float(frame.pts * frame.time_base) + np.arange(frame.samples) / frame.sample_rate)
            values.append(mono)
    time, value = np.concatenate(times), np.abs(np.concatenate(values))
    return time[0], time[-1], float(time[np.argmax(value > 0.25 * value.max())])


def write_range(source: Path, target: Path, *, stop: int | None = None, **wanted) -> StreamInfo:
    with open_video(source, **wanted) as reader:
        writer = VideoWriter(target, reader.info)
        for frame in reader:
            if frame.index == stop:
                break
            writer.write(frame, frame.rgb)
        writer.close()
        assert writer.warnings == []
        return reader.info


class TestWriting:
    def test_a_range_starts_at_0_and_ends_where_it_ends(self, clip, tmp_path):
        write_range(clip, tmp_path / "out.mp4", start=7, end=19)
        _, source, _ = read_all(clip)
        info, frames, _ = read_all(tmp_path / "out.mp4")
        assert [frame.time for frame in frames] == [Fraction(n, 25) for n in range(12)]
        assert info.frame_rate == 25
        assert length(tmp_path / "out.mp4") == Fraction(12, 25)
        for frame, expected in zip(frames, source[7:19], strict=True):
            assert np.abs(frame.rgb.astype(int) - expected.rgb).mean() < 3

    def test_with_a_stride_each_frame_lasts_as_long_as_it_stands_for(self, clip, tmp_path):
        write_range(clip, tmp_path / "out.mp4", start=2, end=12, stride=4)
        info, frames, _ = read_all(tmp_path / "out.mp4")
        assert [frame.time for frame in frames] == [Fraction(n, 25) for n in (0, 4, 8)]
        assert length(tmp_path / "out.mp4") == Fraction(10, 25)  # the last one stands for two frames only
        assert info.frame_count == 3

    def test_the_last_frame_of_a_variable_rate(self, tmp_path):
        times = [0, 40, 55, 110, 300, 900]
        path = write_clip(tmp_path / "a.mp4", moving_square(6), pts=times, time_base=Fraction(1, 1000))
        write_range(path, tmp_path / "out.mp4", start=1, end=5)
        _, frames, _ = read_all(tmp_path / "out.mp4")
        assert [frame.time for frame in frames] == [Fraction(time - 40, 1000) for time in times[1:5]]
        assert length(tmp_path / "out.mp4") == Fraction(860, 1000)

    @pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "pcm_s16le"), ("mkv", "opus")])
    def test_the_audio_stays_in_step(self, tmp_path, suffix, codec):
        codec = "libopus" if codec == "opus" else codec
        source = burst(tmp_path / f"a.{suffix}", codec=codec, at=1.1)
        original = heard(source)[2]
        assert abs(original - 1.1) < 0.01
        write_range(source, tmp_path / "out.mp4", start="0.6s", end="1.6s")
        first, last, begin = heard(tmp_path / "out.mp4")
        assert abs(begin - (original - 0.6)) < 0.005
        assert -0.03 < first < 0.03
        assert 1 - 0.005 < last < 1 + 0.05

    def test_the_audio_of_a_range_at_the_start(self, tmp_path):
        source = burst(tmp_path / "a.mp4", codec="aac", at=0.2)
        write_range(source, tmp_path / "out.mp4", end=10)
        first, last, begin = heard(tmp_path / "out.mp4")
        assert abs(begin - 0.2) < 0.005
        assert abs(first) < 0.03
        assert 0.395 < last < 0.45

    def test_a_range_that_is_interrupted(self, tmp_path):
        source = burst(tmp_path / "a.mp4", codec="aac", at=0.5)
        write_range(source, tmp_path / "out.mp4", start=5, stop=25)
        assert length(tmp_path / "out.mp4") == Fraction(20, 25)
        assert 0.79 < heard(tmp_path / "out.mp4")[1] < 0.85


def length(path: Path) -> Fraction:
    """Return when the last frame of a video ends, in seconds, by its header."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.duration * stream.time_base
