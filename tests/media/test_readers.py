from __future__ import annotations

import os
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from clips import (
    H273,
    LUMA_WEIGHTS,
    MATRICES,
    moving_square,
    plain_yuv,
    quadrants,
    set_display_matrix,
    write_clip,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from persam_vos.errors import MissingDependencyError, SettingsError, VideoError
from persam_vos.media import image_reader as reader_module
from persam_vos.media.frame import Frame
from persam_vos.media.readers import open_video
from persam_vos.media.stream import Clock, StreamInfo, upright

NTSC = Fraction(30000, 1001)
BACKENDS = ["pyav", pytest.param("decord", marks=pytest.mark.skipif("decord_missing()", reason="decord is missing"))]

UPRIGHT = {  # what NumPy makes of each display matrix, independently of the reader
    "clockwise 90": lambda rgb: np.rot90(rgb, -1),
    "180": lambda rgb: np.rot90(rgb, 2),
    "clockwise 270": lambda rgb: np.rot90(rgb, 1),
    "mirrored": np.fliplr,
}


def decord_missing() -> bool:
    try:
        import decord  # noqa: F401
    except ImportError:
        return True
    return False


def read_all(source: Path | str, **options) -> tuple[StreamInfo, list[Frame], list[str]]:
    with open_video(source, **options) as reader:
        frames = list(reader)
        return reader.info, frames, reader.warnings


def save(path: Path, values: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def worst(left: np.ndarray, right: np.ndarray) -> int:
    return int(np.abs(left.astype(int) - right).max())


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


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
    def test_the_first_frame_can_be_looked_at_before_iteration(self, tmp_path, backend):
        with open_video(write_clip(tmp_path / "a.mp4", moving_square(3)), backend=backend) as reader:
            first = reader.first
            assert [frame.index for frame in reader] == [0, 1, 2]
            assert reader.first is first

    def test_the_first_frame_can_be_looked_at_after_iteration(self, tmp_path):
        with open_video(write_clip(tmp_path / "a.mp4", moving_square(3))) as reader:
            frames = list(reader)
            assert reader.first is frames[0]

    def test_is_read_once(self, tmp_path):
        with open_video(write_clip(tmp_path / "a.mp4", moving_square(5))) as reader:
            assert next(iter(reader)).index == 0
            assert [frame.index for frame in reader] == [1, 2, 3, 4]
            assert list(reader) == []
        reader.close()
        assert list(reader) == []

    def test_a_closed_reader_delivers_nothing(self, tmp_path):
        with open_video(write_clip(tmp_path / "a.mp4", moving_square(5))) as reader:
            assert reader.first.index == 0
        assert list(reader) == []


class TestDamage:
    def test_truncated_without_index(self, tmp_path):
        path = cut(write_clip(tmp_path / "a.mp4", moving_square(30)), 0.6)
        with pytest.raises(VideoError, match=r"a\.mp4: not a video, or damaged or cut short") as caught:
            open_video(path)
        assert "\n" not in str(caught.value)

    def test_truncated_with_index_first(self, tmp_path):
        whole = write_clip(tmp_path / "a.mp4", moving_square(60, width=160, height=120))
        path = tmp_path / "fast.mp4"
        with av.open(str(whole)) as source, av.open(str(path), "w", options={"movflags": "faststart"}) as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        _, frames, warnings = read_all(cut(path, 0.6))
        assert 20 < len(frames) < 60
        assert f"only {len(frames)} of 60 frames could be read" in warnings

    def test_truncated_matroska(self, tmp_path):
        _, frames, warnings = read_all(cut(write_clip(tmp_path / "a.mkv", moving_square(60)), 0.5))
        assert 0 < len(frames) < 60
        assert any("ends early" in warning and "of 2.40 seconds" in warning for warning in warnings)

    def test_damaged_packets_are_skipped_and_counted(self, tmp_path):
        whole = write_clip(tmp_path / "a.mp4", moving_square(40), options={"preset": "ultrafast", "g": "10"})
        path = tmp_path / "damaged.mp4"
        with av.open(str(whole)) as source, av.open(str(path), "w") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for number, packet in enumerate(source.demux(source.streams.video[0])):
                if packet.dts is None:
                    continue
                if number == 15:
                    bad = av.Packet(bytes([0, 0, 0, 2]) + b"\xff" * packet.size)
                    bad.pts, bad.dts, bad.time_base = packet.pts, packet.dts, packet.time_base
                    packet = bad
                packet.stream = stream
                target.mux(packet)
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


class TestSources:
    def test_missing(self, tmp_path):
        with pytest.raises(VideoError, match=r"nope\.mp4: no such file or folder; give a video"):
            open_video(tmp_path / "nope.mp4")

    def test_errors_are_os_errors(self, tmp_path):
        with pytest.raises(OSError, match="no such file"):
            open_video(tmp_path / "nope.mp4")

    def test_wrong_backend(self, tmp_path):
        with pytest.raises(SettingsError, match="'opencv'; allowed: pyav, decord"):
            open_video(tmp_path, backend="opencv")

    def test_folder_in_natural_order_without_strangers(self, tmp_path):
        for number in (10, 2, 1):
            save(tmp_path / f"frame{number}.png", np.full((8, 12, 3), number, np.uint8))
        save(tmp_path / "frame3.JPG", np.full((8, 12, 3), 3, np.uint8))
        (tmp_path / "Thumbs.db").write_bytes(b"no image")
        (tmp_path / "._frame1.png").write_bytes(b"no image")
        (tmp_path / "sub.png").mkdir()
        info, frames, _ = read_all(tmp_path, frame_rate=NTSC)
        assert [int(frame.rgb[0, 0, 0]) for frame in frames] == [1, 2, 3, 10]
        assert [frame.time for frame in frames] == [index / NTSC for index in range(4)]
        assert (info.width, info.height, info.frame_rate, info.frame_count) == (12, 8, NTSC, 4)
        assert not info.has_audio

    def test_images_are_24_a_second_by_default(self, tmp_path):
        save(tmp_path / "a.png", quadrants())
        info, _, _ = read_all(tmp_path)
        assert (info.frame_rate, info.time_base) == (24, Fraction(1, 24))

    @pytest.mark.parametrize("rate", [Fraction(0), Fraction(-1)])
    def test_wrong_rate(self, tmp_path, rate):
        save(tmp_path / "a.png", quadrants())
        with pytest.raises(SettingsError, match="above 0"):
            open_video(tmp_path, frame_rate=rate)

    def test_folder_without_images(self, tmp_path):
        (tmp_path / "Thumbs.db").write_bytes(b"no image")
        with pytest.raises(VideoError, match="holds no JPEG or PNG image"):
            open_video(tmp_path)

    @pytest.mark.parametrize("pattern", ["*2*.png", "a?2.png", "a[_]2.png"])
    def test_glob(self, tmp_path, pattern):
        for number in (1, 2):
            save(tmp_path / f"a_{number}.png", np.full((4, 4, 3), number, np.uint8))
        _, frames, _ = read_all(str(tmp_path / pattern))
        assert [int(frame.rgb[0, 0, 0]) for frame in frames] == [2]

    def test_a_path_that_exists_is_no_glob(self, tmp_path):
        save(tmp_path / "a[1].png", np.full((4, 4, 3), 7, np.uint8))
        save(tmp_path / "a1.png", np.full((4, 4, 3), 9, np.uint8))
        _, frames, _ = read_all(str(tmp_path / "a[1].png"))
        assert [int(frame.rgb[0, 0, 0]) for frame in frames] == [7]

    def test_glob_without_match(self, tmp_path):
        with pytest.raises(VideoError, match=r"\*\.png: matches nothing"):
            open_video(tmp_path / "*.png")
        write_clip(tmp_path / "a.mp4", moving_square(1))
        with pytest.raises(VideoError, match=r"matches 1 path\(s\), none of them a JPEG or PNG"):
            open_video(tmp_path / "*.mp4")

    def test_mixed_sizes_name_the_file(self, tmp_path):
        save(tmp_path / "1.png", np.zeros((4, 6, 3), np.uint8))
        save(tmp_path / "2.png", np.zeros((5, 6, 3), np.uint8))
        with pytest.raises(VideoError, match=r"2\.png: 6 x 5 pixels, the first image has 6 x 4"):
            open_video(tmp_path)

    @pytest.mark.parametrize("suffix", ["jpg", "png"])
    @pytest.mark.parametrize(
        ("orientation", "turn"), [(1, None), (2, "mirrored"), (3, "180"), (6, "clockwise 90"), (8, "clockwise 270")]
    )
    def test_exif_orientation(self, tmp_path, suffix, orientation, turn):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = quadrants()
        path = save(tmp_path / f"a.{suffix}", stored, exif=exif, quality=100, subsampling=0)
        info, frames, _ = read_all(path)
        expected = UPRIGHT[turn](stored) if turn else stored
        assert (info.height, info.width) == expected.shape[:2]
        assert frames[0].rgb.shape == expected.shape
        assert np.abs(frames[0].rgb.astype(int) - expected).mean() < 1

    def test_every_kind_of_png_becomes_rgb(self, tmp_path):
        grey = np.array([[0, 100], [128, 255]], np.uint8)
        rgb = np.repeat(grey[..., None], 3, axis=2)
        alpha = np.dstack([rgb, np.full_like(grey, 255)])
        kinds = {
            "grey": grey,
            "16-bit": grey.astype(np.uint16) * 257,
            "colour": rgb,
            "alpha": alpha,
        }
        for name, values in kinds.items():
            _, frames, _ = read_all(save(tmp_path / f"{name}.png", values))
            assert np.array_equal(frames[0].rgb, rgb), name
        for mode in ("P", "LA", "1"):
            black_and_white = Image.fromarray(np.array([[0, 255]], np.uint8)).convert(mode)
            black_and_white.save(tmp_path / f"{mode}.png")
            _, frames, _ = read_all(tmp_path / f"{mode}.png")
            assert frames[0].rgb.tolist() == [[[0, 0, 0], [255, 255, 255]]], mode

    def test_a_broken_image_names_the_file(self, tmp_path):
        (tmp_path / "a.png").write_text("no image")
        with pytest.raises(VideoError, match=r"a\.png: not an image"):
            open_video(tmp_path)

    def test_a_truncated_image_names_the_file(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        cut(save(tmp_path / "a.jpg", noise), 0.5)
        with open_video(tmp_path) as reader, pytest.raises(VideoError, match=r"a\.jpg: the image cannot be read"):
            next(iter(reader))

    def test_what_is_transparent_is_seen_over_white(self, tmp_path):
        _, frames, _ = read_all(save(tmp_path / "a.png", np.array([[[90, 80, 70, 0], [90, 80, 70, 255]]], np.uint8)))
        assert frames[0].rgb.tolist() == [[[255, 255, 255], [90, 80, 70]]]

    def test_decompression_bombs_are_refused(self, tmp_path):
        Image.new("1", (20_000, 5_001)).save(tmp_path / "a.png")
        with pytest.raises(VideoError, match=r"a\.png: 20000 x 5001 pixels; at most 100,000,000 are allowed"):
            open_video(tmp_path)

    def test_images_are_opened_one_at_a_time(self, tmp_path, monkeypatch):
        for number in range(20):
            save(tmp_path / f"{number}.png", quadrants())
        decoded = []
        original = reader_module.read_photo
        monkeypatch.setattr(reader_module, "read_photo", lambda path: decoded.append(path) or original(path))
        with open_video(tmp_path) as reader:
            next(iter(reader))
            assert len(decoded) == 1


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


class TestClock:
    INFO = StreamInfo(Path("a"), 4, 4, Fraction(25), Fraction(1, 1000), None, False)

    def ticks(self, *pts: int | None, duration: int = 0) -> list[int]:
        clock = Clock(self.INFO)
        return [clock.tick(value, duration) for value in pts]

    def test_missing_times_follow_the_rate(self):
        assert self.ticks(None, None, None) == [0, 40, 80]
        assert self.ticks(100, None, None, duration=33) == [100, 133, 166]

    def test_times_that_rise_are_untouched(self):
        assert self.ticks(-80, -40, 0, 7, 5000) == [-80, -40, 0, 7, 5000]

    def test_a_repeated_time_moves_by_one_tick(self):
        assert self.ticks(0, 40, 40, 80) == [0, 40, 41, 80]

    def test_after_a_jump_back_time_goes_on(self):
        assert self.ticks(5000, 5040, 0, 40, 80) == [5000, 5040, 5080, 5120, 5160]

    @given(st.lists(st.one_of(st.none(), st.integers(-10_000, 10_000)), max_size=30))
    def test_always_rises(self, pts):
        ticks = self.ticks(*pts)
        assert all(later > earlier for earlier, later in pairwise(ticks))


@given(
    st.sampled_from([(1, 0, 0, 1), *MATRICES.values(), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_every_point_goes_where_the_display_matrix_sends_it(matrix, width, height):
    a, b, c, d = matrix
    rgb = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    shown = upright(rgb, np.array([a, b, 0, c, d, 0, 0, 0, 1], np.int32))
    targets = {(x, y): (a * x + c * y, b * x + d * y) for x in range(width) for y in range(height)}
    left, top = (min(target[axis] for target in targets.values()) for axis in (0, 1))
    for (x, y), (shown_x, shown_y) in targets.items():
        assert np.array_equal(shown[shown_y - top, shown_x - left], rgb[y, x])


def test_ffmpeg_does_not_log_through_python(tmp_path: Path) -> None:
    """As torchvision before 0.26 makes it do on import: a decoding thread may then wait for ever."""
    path = tmp_path / "clip.mp4"
    write_clip(path, moving_square(2))
    av.logging.set_level(av.logging.ERROR)

    with open_video(path) as reader:
        list(reader)

    assert av.logging.get_level() is None
