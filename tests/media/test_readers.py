from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import (
    H273,
    LUMA_WEIGHTS,
    MATRICES,
    UPRIGHT,
    cut,
    moving_square,
    plain_yuv,
    quadrants,
    read_all,
    remux,
    save,
    set_display_matrix,
    spoiled,
    worst,
    write_clip,
)

from persam_vos.errors import MissingDependencyError, VideoError
from persam_vos.media.readers import open_video

NTSC = Fraction(30000, 1001)


BACKENDS = ["pyav", pytest.param("decord", marks=pytest.mark.skipif("decord_missing()", reason="decord is missing"))]


def decord_missing() -> bool:
    try:
        import decord  # noqa: F401
    except ImportError:
        return True
    return False


class TestVideo:
    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("suffix", ["mp4", "mkv"])
    def test_frames_times_and_rate(self, tmp_path, backend, suffix):
        frames = moving_square(12, width=160, height=120)
        path = write_clip(tmp_path / f"a.{suffix}", frames, rate=NTSC)
        info, read, warnings = read_all(path, backend=backend)
        assert (info.source, info.width, info.height, info.frame_rate) == (path, 160, 120, NTSC)
        assert (info.frame_count, info.has_audio, warnings) == (12, False, [])
        assert [frame.index for frame in read] == list(range(12))
        for frame, rgb in zip(read, frames, strict=True):
            assert frame.time_base == info.time_base
            assert abs(frame.time - frame.index / NTSC) <= info.time_base / 2
            assert np.abs(frame.rgb.astype(int) - rgb).mean() < 4  # the right picture; 4:2:0 blurs its edges

    def test_times_are_exact_where_the_container_can_hold_them(self, tmp_path):
        _, frames, _ = read_all(write_clip(tmp_path / "a.mp4", moving_square(4), rate=NTSC))
        assert [frame.time for frame in frames] == [index / NTSC for index in range(4)]

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_variable_rate_keeps_its_times(self, tmp_path, backend):
        times = [0, 40, 55, 110, 300]
        clip = write_clip(
            tmp_path / "a.mp4", moving_square(5, width=160, height=120), pts=times, time_base=Fraction(1, 1000)
        )
        _, frames, _ = read_all(clip, backend=backend)
        assert [frame.time for frame in frames] == [Fraction(time, 1000) for time in times]

    def test_a_late_start_stays_late(self, tmp_path):
        clip = write_clip(tmp_path / "a.mkv", moving_square(3), pts=[13, 14, 15])
        _, frames, _ = read_all(clip)
        assert [frame.time for frame in frames] == [Fraction(n, 25) for n in (13, 14, 15)]

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("turn", MATRICES)
    def test_rotation_is_applied(self, tmp_path, backend, turn):
        stored = quadrants(width=160, height=120)
        path = write_clip(tmp_path / "a.mp4", [stored] * 2)
        set_display_matrix(path, MATRICES[turn])
        info, frames, _ = read_all(path, backend=backend)
        expected = UPRIGHT[turn](stored)
        assert (info.height, info.width) == expected.shape[:2]
        for frame in frames:
            assert frame.rgb.shape == expected.shape
            assert frame.rgb.flags.c_contiguous
            inner = [(row, column) for row in (0.25, 0.75) for column in (0.25, 0.75)]
            for row, column in inner:
                place = int(row * info.height), int(column * info.width)
                assert worst(frame.rgb[place], expected[place]) <= 4

    def test_an_odd_rotation_is_rounded_with_a_warning(self, tmp_path):
        path = write_clip(tmp_path / "a.mp4", [quadrants()])
        set_display_matrix(path, (2, 1, -1, 2))
        info, _, warnings = read_all(path)
        assert (info.width, info.height) == (64, 48)
        assert "rotation" in warnings[0]

    @pytest.mark.parametrize("matrix", LUMA_WEIGHTS)
    @pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
    @pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv444p"])
    def test_colours(self, tmp_path, matrix, full, pix_fmt):
        for colour in [(200, 60, 30), (20, 180, 90), (255, 255, 255), (0, 0, 0)]:
            frame = plain_yuv(colour, matrix=matrix, full=full, pix_fmt=pix_fmt)
            tags = {"colorspace": H273[matrix], "color_range": 2 if full else 1}
            path = write_clip(tmp_path / "a.mp4", [frame], pix_fmt=pix_fmt, tags=tags)
            _, frames, _ = read_all(path)
            assert worst(frames[0].rgb[20, 20], np.array(colour)) <= 3

    def test_full_range_by_the_pixel_format_alone(self, tmp_path):
        frame = plain_yuv((200, 60, 30), matrix="bt601", full=True, pix_fmt="yuvj420p")
        path = write_clip(tmp_path / "a.avi", [frame], codec="mjpeg", pix_fmt="yuvj420p", options={"qmin": "1"})
        _, frames, _ = read_all(path)
        assert worst(frames[0].rgb[20, 20], np.array([200, 60, 30])) <= 5

    def test_untagged_colours_are_read_as_bt601(self, tmp_path):
        path = write_clip(tmp_path / "a.mp4", [plain_yuv((200, 60, 30), matrix="bt601", full=False)])
        _, frames, _ = read_all(path)
        assert worst(frames[0].rgb[20, 20], np.array([200, 60, 30])) <= 3

    def test_rgb_video(self, tmp_path):
        frames = moving_square(2)
        path = write_clip(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="bgr0")
        _, read, _ = read_all(path)
        assert np.array_equal(read[1].rgb, frames[1])

    def test_one_frame(self, tmp_path):
        info, frames, warnings = read_all(write_clip(tmp_path / "a.mp4", moving_square(1)))
        assert (info.frame_count, len(frames), warnings) == (1, 1, [])

    def test_has_audio(self, tmp_path):
        info, _, _ = read_all(write_clip(tmp_path / "a.mp4", moving_square(5), audio="aac", audio_seconds=0.2))
        assert info.has_audio

    def test_reads_no_further_than_asked(self, tmp_path):
        path = write_clip(tmp_path / "a.mp4", moving_square(500, width=32, height=32))
        with open_video(path) as reader:
            frames = iter(reader)
            assert [next(frames).index for _ in range(3)] == [0, 1, 2]
            os.truncate(path, path.stat().st_size // 2)
            assert len(list(frames)) < 400

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_a_peek_shows_the_next_frame_and_takes_none(self, tmp_path, backend):
        with open_video(write_clip(tmp_path / "a.mp4", moving_square(3)), backend=backend) as reader:
            for index in range(3):
                assert reader.peek() is reader.peek()
                assert reader.peek().index == index
                assert next(iter(reader)).index == index
            with pytest.raises(VideoError, match=r"a\.mp4: no frame could be decoded"):
                reader.peek()

    def test_is_read_once(self, tmp_path):
        with open_video(write_clip(tmp_path / "a.mp4", moving_square(5))) as reader:
            assert next(iter(reader)).index == 0
            assert [frame.index for frame in reader] == [1, 2, 3, 4]
            assert list(reader) == []
        reader.close()
        assert list(reader) == []

    def test_a_closed_reader_delivers_nothing(self, tmp_path):
        with open_video(write_clip(tmp_path / "a.mp4", moving_square(5))) as reader:
            assert reader.peek().index == 0
        assert list(reader) == []


class TestDamage:
    def test_truncated_without_index(self, tmp_path):
        path = cut(write_clip(tmp_path / "a.mp4", moving_square(30)), 0.6)
        with pytest.raises(VideoError, match=r"a\.mp4: not a video, or damaged or cut short") as caught:
            open_video(path)
        assert "\n" not in str(caught.value)

    def test_truncated_with_index_first(self, tmp_path):
        whole = write_clip(tmp_path / "a.mp4", moving_square(60, width=160, height=120))
        path = remux(whole, tmp_path / "fast.mp4", options={"movflags": "faststart"})
        _, frames, warnings = read_all(cut(path, 0.6))
        assert 20 < len(frames) < 60
        assert f"only {len(frames)} of 60 frames could be read" in warnings

    def test_truncated_matroska(self, tmp_path):
        _, frames, warnings = read_all(cut(write_clip(tmp_path / "a.mkv", moving_square(60)), 0.5))
        assert 0 < len(frames) < 60
        assert any("ends early" in warning and "of 2.40 seconds" in warning for warning in warnings)

    def test_damaged_packets_are_skipped_and_counted(self, tmp_path):
        whole = write_clip(tmp_path / "a.mp4", moving_square(40), options={"preset": "ultrafast", "g": "10"})
        path = remux(
            whole, tmp_path / "damaged.mp4", lambda number, packet: spoiled(packet) if number == 15 else packet
        )
        _, frames, warnings = read_all(path)
        assert len(frames) == 39
        assert [frame.index for frame in frames] == list(range(39))
        assert any("1 damaged frame" in warning for warning in warnings)

    def test_zero_frames(self, tmp_path):
        with pytest.raises(VideoError, match=r"a\.(mp4|avi): holds no"):
            open_video(write_clip(tmp_path / "a.mp4", []))
        with pytest.raises(VideoError, match=r"holds no frame|not a video"):
            open_video(write_clip(tmp_path / "a.mkv", []))

    def test_a_change_of_size_names_the_frame(self, tmp_path):
        parts = [write_clip(tmp_path / f"{w}.h264", moving_square(5, width=w)) for w in (64, 96)]
        path = tmp_path / "both.h264"
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        with open_video(path) as reader:
            frames = iter(reader)
            assert [next(frames).index for _ in range(5)] == list(range(5))
            with pytest.raises(VideoError, match=r"frame 5 is 96 x 48 .* 64 x 48"):
                next(frames)

    @pytest.mark.parametrize("name", ["notes.txt", "notes.mp4"])
    @pytest.mark.parametrize("backend", BACKENDS)
    def test_text_is_not_a_video(self, tmp_path, name, backend):
        path = tmp_path / name
        path.write_text("this is not a video\n" * 50)
        with pytest.raises(VideoError, match=name):
            open_video(path, backend=backend)

    def test_audio_only(self, tmp_path):
        with pytest.raises(VideoError, match=r"no video stream \(its streams: audio\)"):
            open_video(write_clip(tmp_path / "a.wav", [], audio="pcm_s16le"))

    def test_cover_art_is_no_video(self, tmp_path):
        cover = save(tmp_path / "cover.png", quadrants())
        path = tmp_path / "song.mp3"
        with av.open(str(path), "w") as target, av.open(str(cover)) as source:
            sound = target.add_stream("libmp3lame", rate=44100, layout="stereo")
            picture = target.add_stream_from_template(source.streams.video[0], opaque=True)
            picture.disposition = av.stream.Disposition.attached_pic.value
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.stream = picture
                    target.mux(packet)
            for index in range(20):
                frame = av.AudioFrame.from_ndarray(np.zeros((2, 1152), np.float32), format="fltp", layout="stereo")
                frame.sample_rate, frame.pts = 44100, index * 1152
                target.mux(sound.encode(frame))
            target.mux(sound.encode(None))
        with av.open(str(path)) as container:
            assert container.streams.video
        with pytest.raises(VideoError, match="no video stream"):
            open_video(path)


class TestDecord:
    @pytest.mark.skipif("decord_missing()", reason="decord is missing")
    @pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
    @pytest.mark.parametrize("width", [160, 162, 426])
    def test_same_frames_as_pyav(self, tmp_path, width, pix_fmt):
        frames = moving_square(10, width=width, height=90)
        path = write_clip(tmp_path / "a.mp4", frames, pix_fmt=pix_fmt, options={"bf": "2"})
        info, expected, _ = read_all(path)
        other, read, _ = read_all(path, backend="decord")
        assert other == info
        for left, right in zip(expected, read, strict=True):
            assert (left.index, left.pts, left.time_base) == (right.index, right.pts, right.time_base)
            if pix_fmt == "yuv420p":
                assert worst(left.rgb, right.rgb) <= 2
            assert np.abs(left.rgb.astype(int) - right.rgb).mean() < 1

    def test_missing_package(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "decord", None)
        path = write_clip(tmp_path / "a.mp4", moving_square(1))
        with pytest.raises(MissingDependencyError, match="pip install decord"):
            open_video(path, backend="decord")


def test_ffmpeg_does_not_log_through_python(tmp_path: Path) -> None:
    """As torchvision before 0.26 makes it do on import: a decoding thread may then wait for ever."""
    path = tmp_path / "clip.mp4"
    write_clip(path, moving_square(2))
    av.logging.set_level(av.logging.ERROR)

    with open_video(path) as reader:
        list(reader)

    assert av.logging.get_level() is None
