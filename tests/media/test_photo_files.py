from __future__ import annotations

import io
import os
import re
import struct
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, PngImagePlugin
from skimage import data

from persam_vos.errors import PersamVosError, PhotoError
from persam_vos.media import photo_files as photos_module
from persam_vos.media.photo_files import find_photos, photo_size, read_photo

GREY = np.array([[0, 100], [128, 255]], np.uint8)
GREY_RGB = np.repeat(GREY[..., None], 3, axis=2)
BEFORE_IT_IS_SHOWN = {  # what undoes each EXIF orientation, by NumPy
    1: lambda rgb: rgb,
    2: np.fliplr,
    3: lambda rgb: np.rot90(rgb, 2),
    4: np.flipud,
    5: lambda rgb: rgb.transpose(1, 0, 2),
    6: lambda rgb: np.rot90(rgb, 1),
    7: lambda rgb: np.rot90(rgb, 2).transpose(1, 0, 2),
    8: lambda rgb: np.rot90(rgb, -1),
}


@cache
def cat() -> np.ndarray:
    """A photo that shows which way is up, small enough to be saved in every kind."""
    return np.asarray(Image.fromarray(data.chelsea()).resize((90, 60)))


def save(path: Path, picture: np.ndarray | Image.Image, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path, **options)
    return path


def oriented(value: object) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def off(rgb: np.ndarray, expected: np.ndarray) -> float:
    """Mean difference of two photos of the same size."""
    assert rgb.dtype == np.uint8
    assert rgb.shape == expected.shape
    return float(np.abs(rgb.astype(int) - expected).mean())


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_16_bits(values: np.ndarray, transparent: bytes = b"") -> bytes:
    """Pillow reads all of them but does not write all: grey, or colours; ``transparent`` is one of these."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2 if values.ndim == 3 else 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", transparent), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    kept = [chunk for chunk in chunks if chunk != (b"tRNS", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in kept)


def tiff(tags: list[tuple[int, int, int, int]], body: bytes) -> bytes:
    """A little-endian TIFF: tags of (number, type, count, value), then the picture, at the place {8 + 2 + 12n + 4}."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + body


class TestKinds:
    @pytest.mark.parametrize(
        ("suffix", "options", "least"),
        [
            ("jpg", {"quality": 95, "subsampling": 0}, 2.5),
            ("jpeg", {"quality": 95, "progressive": True}, 4),
            ("png", {}, 0),
            ("webp", {"lossless": True}, 0),
            ("webp", {"quality": 95}, 4),
            ("bmp", {}, 0),
            ("tif", {}, 0),
            ("tiff", {"compression": "tiff_lzw"}, 0),
            ("tiff", {"compression": "jpeg", "quality": 95}, 4),
            ("gif", {}, 12),
        ],
    )
    def test_a_photo_comes_back(self, tmp_path, suffix, options, least):
        path = save(tmp_path / f"a.{suffix}", cat(), **options)
        assert off(read_photo(path), cat()) <= least
        assert photo_size(path) == (90, 60)

    @pytest.mark.parametrize("name", ["a", "a.JPG", "a.png", "a.txt"])
    def test_the_content_decides_and_not_the_suffix(self, tmp_path, name):
        save(tmp_path / name, cat(), format="BMP")
        assert off(read_photo(tmp_path / name), cat()) == 0

    @pytest.mark.parametrize("mode", ["L", "1"])
    @pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "gif"])
    def test_grey_and_black_and_white(self, tmp_path, suffix, mode):
        picture = Image.fromarray(GREY).convert(mode, dither=Image.Dither.NONE)
        expected = GREY_RGB if mode == "L" else np.where(GREY_RGB > 127, 255, 0)
        assert read_photo(save(tmp_path / f"a.{suffix}", picture)).tolist() == expected.tolist()

    @pytest.mark.parametrize("suffix", ["png", "tif"])
    def test_16_bit_grey_is_scaled(self, tmp_path, suffix):
        values = np.array([[0, 128, 129, 256 * 100], [257 * 100, 65535 - 129, 65535 - 128, 65535]], np.uint16)
        rgb = read_photo(save(tmp_path / f"a.{suffix}", values))
        assert rgb[..., 0].tolist() == [[0, 0, 1, 100], [100, 254, 255, 255]]
        assert (rgb == rgb[..., :1]).all()

    def test_16_bit_colour_png(self, tmp_path):
        (tmp_path / "a.png").write_bytes(png_of_16_bits(cat().astype(np.uint16) * 257))
        assert off(read_photo(tmp_path / "a.png"), cat()) == 0

    def test_16_bit_colour_tiff(self, tmp_path):
        # ImageWidth, ImageLength, BitsPerSample, Compression, Photometric, StripOffsets, SamplesPerPixel, RowsPerStrip,
        # StripByteCounts
        place, body = 8 + 2 + 9 * 12 + 4, (cat().astype("<u2") * 257).tobytes()
        tags = [(256, 3, 1, 90), (257, 3, 1, 60), (258, 3, 3, place), (259, 3, 1, 1), (262, 3, 1, 2),
                (273, 4, 1, place + 6), (277, 3, 1, 3), (278, 3, 1, 60), (279, 4, 1, len(body))]  # fmt: skip
        (tmp_path / "a.tif").write_bytes(tiff(tags, struct.pack("<HHH", 16, 16, 16) + body))
        assert off(read_photo(tmp_path / "a.tif"), cat()) == 0

    @pytest.mark.parametrize("values", [np.int32([[0, 70_000]]), np.float32([[0, 1]])], ids=["int", "float"])
    def test_32_bit_grey_is_refused(self, tmp_path, values):
        path = save(tmp_path / "a.tif", values)
        with pytest.raises(PhotoError, match=r"a\.tif: .*grey of 32 bits.*save it with 8 or 16 bits"):
            read_photo(path)

    @pytest.mark.parametrize("suffix", ["jpg", "tif"])
    def test_cmyk(self, tmp_path, suffix):
        # Four blocks of one colour each; Pillow writes CMYK JPEG as Adobe does, inverted.
        colours = np.array([[[255, 0, 0], [0, 255, 0]], [[255, 255, 255], [0, 0, 0]]], np.uint8)
        rgb = colours.repeat(16, axis=0).repeat(16, axis=1)
        path = save(tmp_path / f"a.{suffix}", Image.fromarray(rgb).convert("CMYK"))
        if suffix == "jpg":
            assert b"Adobe" in path.read_bytes()
        assert off(read_photo(path), rgb) < 2

    def test_lab(self, tmp_path):
        path = save(tmp_path / "a.tif", Image.new("LAB", (4, 4), (255, 128, 128)))
        assert off(read_photo(path), np.full((4, 4, 3), 255, np.uint8)) < 2

    def test_the_colour_profile_is_ignored(self, tmp_path):
        from PIL import ImageCms

        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
        assert off(read_photo(save(tmp_path / "a.png", cat(), icc_profile=profile)), cat()) == 0

    def test_one_pixel(self, tmp_path):
        for suffix in ("jpg", "png", "webp", "bmp", "tif", "gif"):
            rgb = read_photo(save(tmp_path / f"a.{suffix}", np.full((1, 1, 3), 200, np.uint8)))
            assert rgb.shape == (1, 1, 3)
            assert off(rgb, np.full((1, 1, 3), 200)) <= 2

    def test_the_array_is_ones_own(self, tmp_path):
        rgb = read_photo(save(tmp_path / "a.png", cat()))
        rgb[:] = 7
        assert rgb.flags.c_contiguous
        assert off(read_photo(tmp_path / "a.png"), cat()) == 0


class TestFirstOfMany:
    SECOND = np.full((60, 90, 3), 200, np.uint8)

    @pytest.mark.parametrize("suffix", ["png", "webp", "tif", "gif"])
    def test_animations_and_pages(self, tmp_path, suffix):
        options = {"lossless": True} if suffix == "webp" else {}
        others = [Image.fromarray(self.SECOND), Image.fromarray(cat())]
        path = save(tmp_path / f"a.{suffix}", cat(), save_all=True, append_images=others, **options)
        with Image.open(path) as picture:
            assert picture.n_frames == 3
        assert off(read_photo(path), cat()) <= (12 if suffix == "gif" else 0)

    def test_the_pictures_of_one_jpeg(self, tmp_path):
        """As phones write them: the photo, then its depth or a preview."""
        path = save(
            tmp_path / "a.jpg", cat(), format="MPO", save_all=True, append_images=[Image.fromarray(self.SECOND)]
        )
        with Image.open(path) as picture:
            assert picture.n_frames == 2
        assert off(read_photo(path), cat()) < 6


class TestTransparency:
    RGBA = np.array([[[90, 80, 70, 0], [90, 80, 70, 255], [0, 100, 200, 51]]], np.uint8)
    SEEN = ((255, 255, 255), (90, 80, 70), (204, 224, 244))

    @pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
    def test_alpha(self, tmp_path, suffix):
        options = {"lossless": True} if suffix == "webp" else {}
        rgb = read_photo(save(tmp_path / f"a.{suffix}", self.RGBA, **options))
        assert off(rgb, np.array([self.SEEN])) < 0.5

    def test_grey_with_alpha(self, tmp_path):
        rgb = read_photo(save(tmp_path / "a.png", np.array([[[90, 0], [90, 255], [0, 51]]], np.uint8)))
        assert rgb[0, :, 0].tolist() == [255, 90, 204]

    def test_a_palette_with_a_transparent_entry(self, tmp_path):
        picture = Image.fromarray(np.array([[0, 1]], np.uint8))
        picture.putpalette([10, 20, 30, 40, 50, 60])
        for suffix in ("png", "gif"):
            path = save(tmp_path / f"a.{suffix}", picture, transparency=1)
            assert read_photo(path).tolist() == [[[10, 20, 30], [255, 255, 255]]]

    def test_a_palette_with_an_alpha_per_entry(self, tmp_path):
        picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
        picture.putpalette([90, 80, 70, 90, 80, 70, 0, 100, 200])
        rgb = read_photo(save(tmp_path / "a.png", picture, transparency=bytes([0, 255, 51])))
        assert rgb.tolist() == [[list(colour) for colour in self.SEEN]]

    def test_a_palette_alone(self, tmp_path):
        picture = Image.fromarray(np.array([[0, 1]], np.uint8))
        picture.putpalette([10, 20, 30, 40, 50, 60])
        for suffix in ("png", "gif", "bmp", "tif"):
            assert read_photo(save(tmp_path / f"a.{suffix}", picture)).tolist() == [[[10, 20, 30], [40, 50, 60]]]

    def test_one_colour_that_is_transparent(self, tmp_path):
        colours = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
        assert read_photo(save(tmp_path / "a.png", colours, transparency=(1, 2, 3)))[0].tolist() == [
            [255] * 3,
            [4, 5, 6],
        ]
        (tmp_path / "b.png").write_bytes(png_of_16_bits(np.array([[257 * 3, 257 * 4]]), struct.pack(">H", 257 * 3)))
        assert read_photo(tmp_path / "b.png")[0].tolist() == [[255] * 3, [4] * 3]


class TestUpright:
    @pytest.mark.parametrize("orientation", BEFORE_IT_IS_SHOWN)
    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
    def test_exif(self, tmp_path, suffix, orientation):
        stored = np.ascontiguousarray(BEFORE_IT_IS_SHOWN[orientation](cat()))
        options = (
            {"quality": 95, "subsampling": 0} if suffix == "jpg" else {"lossless": True} if suffix == "webp" else {}
        )
        path = save(tmp_path / f"a.{suffix}", stored, exif=oriented(orientation), **options)
        assert off(read_photo(path), cat()) <= (2.5 if suffix == "jpg" else 0)
        assert photo_size(path) == (90, 60)

    def test_16_bits_and_alpha_are_turned_too(self, tmp_path):
        grey = cat()[..., 0].astype(np.uint16) * 257
        path = save(tmp_path / "a.png", np.rot90(grey).copy(), exif=oriented(6))
        assert off(read_photo(path), np.repeat(cat()[..., :1], 3, axis=2)) == 0
        rgba = np.dstack([cat(), np.full(cat().shape[:2], 255, np.uint8)])
        assert off(read_photo(save(tmp_path / "b.png", np.rot90(rgba).copy(), exif=oriented(6))), cat()) == 0

    def test_exif_after_the_picture(self, tmp_path):
        whole = save(tmp_path / "a.png", np.rot90(cat()).copy()).read_bytes()
        late = png_chunk(b"eXIf", oriented(6).tobytes()[6:])
        (tmp_path / "a.png").write_bytes(whole[:-12] + late + whole[-12:])
        assert off(read_photo(tmp_path / "a.png"), cat()) == 0
        assert photo_size(tmp_path / "a.png") == (60, 90)  # as stored: nobody decodes a photo to learn its size

    @pytest.mark.parametrize("value", [0, 9, 65535])
    def test_an_orientation_that_is_none_is_upright(self, tmp_path, value):
        assert off(read_photo(save(tmp_path / "a.png", cat(), exif=oriented(value))), cat()) == 0

    def test_damaged_exif_is_no_reason_to_refuse(self, tmp_path):
        exif = oriented(6)
        exif[0x010E] = "a description that will be cut off " * 4
        whole = exif.tobytes()
        for length in range(6, len(whole), 5):
            path = save(tmp_path / "a.jpg", cat(), quality=95, subsampling=0, exif=whole[:length])
            rgb = read_photo(path)
            assert min(off(rgb, each) for each in (cat(), np.rot90(cat(), -1)) if each.shape == rgb.shape) < 2.5
            assert photo_size(path) == rgb.shape[1::-1]


class TestLimit:
    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "gif"])
    def test_too_many_pixels_by_the_header(self, tmp_path, suffix):
        path = save(tmp_path / f"a.{suffix}", cat())
        whole = path.read_bytes()
        if suffix not in ("webp", "tif"):  # whose headers are not all at the beginning
            path.write_bytes(whole[: 9 * len(whole) // 10])
        with pytest.raises(
            PhotoError, match=rf"a\.{suffix}: 90 x 60 pixels, .*limit of 0\.005399 megapixels; scale it down"
        ):
            read_photo(path, max_pixels=90 * 60 - 1)

    def test_as_many_as_allowed(self, tmp_path):
        assert off(read_photo(save(tmp_path / "a.png", cat()), max_pixels=90 * 60), cat()) == 0

    def test_the_default(self, tmp_path):
        path = save(tmp_path / "a.png", Image.new("1", (20_000, 5_001)))
        with pytest.raises(PhotoError, match=r"20000 x 5001 pixels, more than the limit of 100 megapixels"):
            read_photo(path)

    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "gif"])
    def test_pillows_own_limit_neither_counts_nor_changes(self, tmp_path, suffix, monkeypatch):
        """Between its warning and its error, where it leaves the choice to its user."""
        path = save(tmp_path / f"a.{suffix}", cat())
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 90 * 60 - 1)
        assert off(read_photo(path), cat()) < 12
        assert Image.MAX_IMAGE_PIXELS == 90 * 60 - 1

    def test_a_larger_limit_is_meant(self, tmp_path, monkeypatch):
        path = save(tmp_path / "a.jpg", cat())
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        assert off(read_photo(path), cat()) < 6

    @pytest.mark.parametrize("suffix", ["tif", "webp"])
    def test_of_some_kinds_pillow_may_have_the_last_word(self, tmp_path, suffix, monkeypatch):
        path = save(tmp_path / f"a.{suffix}", cat())
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        rgb, fault = None, ""
        try:
            rgb = read_photo(path)
        except PhotoError as error:
            fault = str(error)
        assert f"a.{suffix}: the image cannot be read" in fault if rgb is None else off(rgb, cat()) < 12


class TestDamage:
    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "gif"])
    def test_cut_short_anywhere(self, tmp_path, suffix):
        path = save(tmp_path / f"a.{suffix}", cat())
        whole = path.read_bytes()
        assert off(read_photo(path), cat()) < 12
        for share in range(20):
            path.write_bytes(whole[: len(whole) * share // 20])
            with pytest.raises(PhotoError, match=rf"a\.{suffix}: ") as caught:
                read_photo(path)
            assert "\n" not in str(caught.value)

    @given(st.data())
    def test_whatever_is_overwritten(self, tmp_path_factory, data):
        """Some damage only shows; what cannot be read is said, by nothing but our own error and no warning."""
        kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"]))
        memory = io.BytesIO()
        Image.fromarray(cat()).save(memory, kind, exif=oriented(6))
        whole = bytearray(memory.getvalue())
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, min(len(whole) - 1, 400)))] = data.draw(st.integers(0, 255))
        path = tmp_path_factory.mktemp("damaged") / "a"
        path.write_bytes(whole)
        rgb, fault = None, ""
        try:
            rgb = read_photo(path, max_pixels=1_000_000)
        except PhotoError as error:
            fault = str(error)
        assert fault.startswith(f"{path}: ") if rgb is None else (rgb.dtype, rgb.shape[2:]) == (np.uint8, (3,))

    @pytest.mark.parametrize(
        "content", [b"no image at all", b"BM", b"II", b"MM and so on", b"GIF8", b"\xff\xd8\xff", b"RIFF"]
    )
    def test_garbage(self, tmp_path, content):
        (tmp_path / "a.jpg").write_bytes(content * 9)
        with pytest.raises(PhotoError, match=r"a\.jpg: (not an image|the image cannot be read \(.+\))"):
            read_photo(tmp_path / "a.jpg")

    def test_unknown_kinds_are_told_what_is_known(self, tmp_path):
        (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
        with pytest.raises(
            PhotoError, match=r"a\.heic: not an image that can be read; convert it to JPEG, PNG, WebP, BMP, TIFF or GIF"
        ):
            read_photo(tmp_path / "a.heic")

    def test_no_program_is_started_for_postscript(self, tmp_path):
        (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
        with pytest.raises(PhotoError, match="not an image"):
            read_photo(tmp_path / "a.jpg")

    def test_empty(self, tmp_path):
        (tmp_path / "a.jpg").touch()
        with pytest.raises(PhotoError, match=r"a\.jpg: the file is empty"):
            read_photo(tmp_path / "a.jpg")

    def test_missing_and_folders(self, tmp_path):
        with pytest.raises(PhotoError, match=r"a\.jpg: .*No such file"):
            read_photo(tmp_path / "a.jpg")
        with pytest.raises(PhotoError, match=r"(?i)directory|permission denied"):
            read_photo(str(tmp_path))

    def test_forbidden(self, tmp_path, without_privileges):
        save(tmp_path / "a.png", cat()).chmod(0)
        with without_privileges(), pytest.raises(PhotoError, match=r"a\.png: .*[Pp]ermission denied"):
            read_photo(tmp_path / "a.png")

    def test_both_errors_that_people_catch(self, tmp_path):
        for kind in (PersamVosError, OSError):
            with pytest.raises(kind, match="No such file"):
                photo_size(tmp_path / "a.jpg")

    def test_odd_metadata_is_not_spoken_of(self, tmp_path):
        place, body = 8 + 2 + 10 * 12 + 4, cat().tobytes()
        tags = [(256, 3, 1, 90), (257, 3, 1, 60), (258, 3, 3, place), (259, 3, 1, 1), (262, 3, 1, 2),
                (273, 4, 1, place + 6), (277, 3, 1, 3), (278, 3, 1, 60), (279, 4, 1, len(body)),
                (305, 2, 50, 10**6)]  # fmt: skip
        path = tmp_path / "a.tif"  # its tag 305, the software, lies beyond the end of the file
        path.write_bytes(tiff(tags, struct.pack("<HHH", 8, 8, 8) + body))
        with pytest.warns(UserWarning, match="Truncated File Read"), Image.open(path) as picture:
            picture.load()
        with warnings.catch_warnings(record=True) as spoken:
            warnings.simplefilter("always")
            assert off(read_photo(path), cat()) == 0
            for suffix in ("jpg", "png", "webp"):
                read_photo(save(tmp_path / f"a.{suffix}", cat(), exif=oriented(6).tobytes()[:-9]))
        assert spoken == []


def test_many_threads_read_at_once(tmp_path):
    kinds = ["jpg", "png", "webp", "bmp", "tif", "gif"]
    photos = [np.rot90(cat(), turn).copy() for turn in range(4)]
    paths = [save(tmp_path / f"{turn}.{kind}", photo) for kind in kinds for turn, photo in enumerate(photos)]
    alone = [read_photo(path) for path in paths]
    start = threading.Barrier(4)

    def read_all(first: int) -> list[np.ndarray]:
        start.wait()
        return [read_photo(paths[(first + step) % len(paths)]) for step in range(len(paths))]

    with ThreadPoolExecutor(4) as pool:
        rounds = list(pool.map(read_all, range(0, 20, 5)))
    for first, together in zip(range(0, 20, 5), rounds, strict=True):
        assert all(np.array_equal(rgb, alone[(first + step) % len(paths)]) for step, rgb in enumerate(together))


def test_threads_leave_warnings_as_they_are(tmp_path, monkeypatch):
    def slow(file: BinaryIO) -> PngImagePlugin.PngImageFile:
        time.sleep(0.02)
        return PngImagePlugin.PngImageFile(file)

    monkeypatch.setattr(photos_module, "_FORMATS", [(b"\x89PNG", slow)])
    path, filters = save(tmp_path / "a.png", cat()), list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(photo_size, [path] * 8)) == {(90, 60)}
    assert warnings.filters == filters


class TestFind:
    @staticmethod
    def touch(folder: Path, *names: str) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()

    @staticmethod
    def names(folder: Path, *sources: str | Path) -> list[str]:
        return [path.relative_to(folder).as_posix() for path in find_photos(sources)]

    def test_a_folder_in_natural_order_without_strangers(self, tmp_path):
        kinds = ["1.jpg", "2.JPEG", "3.png", "4.WebP", "5.bmp", "6.tif", "7.TIFF", "8.gif", "10.jpg", "B.jpg", "a.jpg"]
        self.touch(tmp_path, *kinds, "notes.txt", "clip.mp4", "jpg", "._1.jpg", ".hidden.png", "sub/11.jpg")
        (tmp_path / "folder.jpg").mkdir()
        assert self.names(tmp_path, tmp_path) == [*kinds[:9], "a.jpg", "B.jpg"]

    def test_sources_in_the_order_given(self, tmp_path):
        self.touch(tmp_path, "b/2.jpg", "b/10.jpg", "a/1.jpg", "z.jpg")
        sources = tmp_path / "z.jpg", tmp_path / "b", str(tmp_path / "a" / "*")
        assert self.names(tmp_path, *sources) == ["z.jpg", "b/2.jpg", "b/10.jpg", "a/1.jpg"]

    def test_globs(self, tmp_path):
        self.touch(tmp_path, "1.jpg", "a/2.jpg", "a/.3.jpg", "a/b/10.jpg", "a/b/4.txt", ".git/5.jpg", "a/b/9.png")
        assert self.names(tmp_path, str(tmp_path / "*")) == ["1.jpg"]
        assert self.names(tmp_path, str(tmp_path / "**" / "*.jpg")) == ["1.jpg", "a/2.jpg", "a/b/10.jpg"]
        assert self.names(tmp_path, tmp_path / "a" / "b" / "[0-9]*") == ["a/b/9.png", "a/b/10.jpg"]

    def test_a_path_that_exists_is_no_glob(self, tmp_path):
        self.touch(tmp_path, "a[1].jpg", "a1.jpg", "b[1]/2.jpg", "b1/3.jpg")
        assert self.names(tmp_path, tmp_path / "a[1].jpg", str(tmp_path / "b[1]")) == ["a[1].jpg", "b[1]/2.jpg"]
        if os.name != "nt":
            self.touch(tmp_path, "c*.jpg", "c?.jpg", "cd.jpg")
            assert self.names(tmp_path, tmp_path / "c*.jpg", tmp_path / "c?.jpg") == ["c*.jpg", "c?.jpg"]

    def test_a_file_that_is_named_is_meant(self, tmp_path):
        self.touch(tmp_path, "photo", "photo.jfif", ".photo.jpg", "clip.mp4")
        named = ["photo", "photo.jfif", ".photo.jpg", "clip.mp4"]
        assert self.names(tmp_path, *(tmp_path / name for name in named)) == named

    def test_each_photo_once_however_it_is_spelled(self, tmp_path, monkeypatch):
        self.touch(tmp_path, "a/1.jpg", "a/2.jpg", "b/3.jpg")
        (tmp_path / "b" / "link.jpg").symlink_to(tmp_path / "a" / "1.jpg")
        (tmp_path / "c").symlink_to(tmp_path / "a")
        monkeypatch.chdir(tmp_path / "b")
        sources = [
            "../a/2.jpg",
            tmp_path / "a",
            "../a/*.jpg",
            tmp_path / "c",
            tmp_path / "b" / ".." / "a",
            ".",
            "3.jpg",
        ]
        assert find_photos(sources) == [Path("../a/2.jpg"), tmp_path / "a" / "1.jpg", Path("3.jpg")]

    def test_nothing_asked_nothing_found(self):
        assert find_photos([]) == []

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("nope.jpg", "nope.jpg: no such file or folder; give a photo"),
            ("no[pe].jpg", "no[pe].jpg: matches nothing"),
            ("empty", "empty: holds no photo (*.bmp, *.gif, *.jpeg, *.jpg, *.png, *.tif, *.tiff, *.webp)"),
            ("texts/*", "*: matches 2 path(s), none of them a photo"),
            ("texts/**/*.png", "*.png: matches nothing"),
            ("", "'' is no path; give a photo"),
            ("dead.jpg", "dead.jpg: no such file or folder"),
            ("loop.jpg", "loop.jpg: "),
            ("x" * 5000, "x: cannot be searched"),
        ],
    )
    def test_what_cannot_be_found_is_named(self, tmp_path, monkeypatch, source, message):
        self.touch(tmp_path, "texts/a.txt", "texts/b.txt")
        (tmp_path / "empty").mkdir()
        (tmp_path / "dead.jpg").symlink_to("gone.jpg")
        (tmp_path / "loop.jpg").symlink_to("loop.jpg")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(PhotoError, match=re.escape(message)):
            find_photos(["texts/a.txt", source])

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
    def test_what_is_no_file_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(PhotoError, match=r"pipe\.jpg: neither a file nor a folder"):
            find_photos([tmp_path / "pipe.jpg"])
        with pytest.raises(PhotoError, match="holds no photo"):
            find_photos([tmp_path])

    @given(st.lists(st.integers(0, 10**25), min_size=1, max_size=8, unique=True))
    def test_numbers_count_as_numbers(self, tmp_path_factory, numbers):
        folder = tmp_path_factory.mktemp("numbered")
        self.touch(folder, *(f"photo {number} of many.jpg" for number in numbers))
        assert self.names(folder, folder) == [f"photo {number} of many.jpg" for number in sorted(numbers)]


def test_off_tells_photos_apart():
    """The measure of this file: a turned or negative cat is no cat."""
    assert off(np.fliplr(cat()), cat()) > 20
    assert off(np.asarray(ImageChops.invert(Image.fromarray(cat()))), cat()) > 20
