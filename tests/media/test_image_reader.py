from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from clips import (
    UPRIGHT,
    cut,
    moving_square,
    quadrants,
    read_all,
    save,
    write_clip,
)
from PIL import Image

from persam_vos.errors import SettingsError, VideoError
from persam_vos.media import image_reader as reader_module
from persam_vos.media.readers import open_video

NTSC = Fraction(30000, 1001)


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
