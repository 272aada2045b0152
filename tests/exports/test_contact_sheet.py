from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from persam_vos.errors import MaskSizeError, OutputError, SettingsError
from persam_vos.exports.contact_sheet import ContactSheet
from persam_vos.exports.draw import draw_overlay

CELL, MARGIN, CAPTION = 256, 8, 20


def photo(height, width, level):
    return np.full((height, width, 3), level, np.uint8)


def sheet_of(*photos, captions=None, **options):
    sheet = ContactSheet(**options)
    for rgb, caption in zip(photos, captions or [""] * len(photos), strict=True):
        sheet.add(rgb, np.zeros(rgb.shape[:2], np.uint8), caption)
    return sheet


def written(sheet, path):
    assert sheet.write(path) == path
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.array(image)


def test_overlay_of_a_small_photo_is_there_as_it_is(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    labels = np.zeros((60, 90), np.uint8)
    labels[10:30, 20:50], labels[40:50, 60:80] = 1, 2
    sheet = ContactSheet()
    sheet.add(rgb, labels, "")
    pixels = written(sheet, tmp_path / "sheet.png")
    assert pixels.shape == (MARGIN + 60 + CAPTION, MARGIN + CELL + MARGIN, 3)
    left = MARGIN + (CELL - 90) // 2
    assert np.array_equal(pixels[MARGIN : MARGIN + 60, left : left + 90], draw_overlay(rgb, labels))
    pixels[MARGIN : MARGIN + 60, left : left + 90] = 255
    assert (pixels == 255).all()


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((256, 256), (256, 256)),
        ((1000, 500), (256, 128)),
        ((300, 600), (128, 256)),
        ((3000, 2), (256, 1)),
        ((1, 1), (1, 1)),
    ],
)
def test_large_photo_is_scaled_down(tmp_path, size, shown):
    pixels = written(sheet_of(photo(*size, 0)), tmp_path / "sheet.png")
    rows, columns = np.nonzero((pixels == 0).all(axis=2))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == shown
    assert rows.size == shown[0] * shown[1]


def test_rows_in_the_order_of_adding(tmp_path):
    heights = (20, 50, 40, 30)
    photos = [photo(height, 256, 40 * n) for n, height in enumerate(heights)]
    pixels = written(sheet_of(*photos, columns=3), tmp_path / "sheet.png")
    assert pixels.shape == (MARGIN + 50 + CAPTION + 30 + CAPTION, MARGIN + 3 * (CELL + MARGIN), 3)
    first = MARGIN + 50  # where the first row ends: every thumbnail stands on its caption
    for n, (height, bottom) in enumerate(zip(heights, (first, first, first, first + CAPTION + 30), strict=True)):
        left = MARGIN + n % 3 * (CELL + MARGIN)
        assert (pixels[bottom - height : bottom, left : left + CELL] == 40 * n).all()
        assert (pixels[bottom, left : left + CELL] == 255).all()
        if bottom - height > MARGIN:
            assert (pixels[bottom - height - 1, left : left + CELL] == 255).all()


def ink(pixels, column=0):
    """Columns of a caption that are not white, from the left of the cell, which ends half-way to the next."""
    left, half = MARGIN + column * (CELL + MARGIN), MARGIN // 2
    return np.flatnonzero((pixels[-CAPTION:, left - half : left + CELL + half] < 255).any(axis=(0, 2))) - half


def test_captions_stand_in_the_middle_under_their_own_thumbnail(tmp_path):
    sheet = sheet_of(*[photo(30, 30, 0)] * 3, captions=["cat/00", "", "a much longer one (93.8)"])
    pixels = written(sheet, tmp_path / "sheet.png")
    short, none, long = (ink(pixels, column) for column in range(3))
    assert none.size == 0
    assert 20 < np.ptp(short) < np.ptp(long) < CELL
    for each in (short, long):
        assert (each.min() + each.max()) / 2 == pytest.approx(CELL / 2, abs=2)
    assert (pixels[-2:] == 255).all()


@pytest.mark.parametrize("caption", ["W" * 100, "i" * 100_000, "two words " * 50, "g|y " * 40])
def test_long_caption_is_cut(tmp_path, caption):
    pixels = written(sheet_of(*[photo(30, 30, 0)] * 2, captions=["", caption]), tmp_path / "sheet.png")
    columns = ink(pixels, 1)
    assert np.ptp(columns) > 220
    assert columns.min() >= -1
    assert columns.max() <= CELL
    assert ink(pixels, 0).size == 0


def test_caption_that_fits_is_not_cut(tmp_path):
    sheets = [written(sheet_of(photo(9, 9, 0), captions=[text]), tmp_path / "s.png") for text in ("cat", "cat...")]
    assert np.ptp(ink(sheets[0])) < np.ptp(ink(sheets[1]))


@pytest.mark.parametrize(
    "caption", ["one\ntwo", "tab\tbell\a\0end", "\udcff.jpg", "\u732b \U0001f408 \u00e9", "\u202eabc"]
)
def test_strange_caption_is_drawn_on_one_line(tmp_path, caption):
    pixels = written(sheet_of(photo(30, 30, 0), captions=[caption]), tmp_path / "sheet.png")
    assert pixels.shape[0] == MARGIN + 30 + CAPTION
    assert ink(pixels).size


@pytest.mark.parametrize("name", ["sheet.jpg", "sheet.JPEG", "new/folder/sheet.png"])
def test_format_goes_by_the_suffix(tmp_path, name):
    rgb = photo(128, 256, 90)
    written(sheet_of(rgb), tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert image.format == ("PNG" if name.endswith("png") else "JPEG")
        assert image.getpixel((100, 100)) == pytest.approx((90, 90, 90), abs=3)
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [Path(name).name]


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (6, (1, 6)), (7, (2, 6)), (500, (84, 6))])
def test_one_to_five_hundred_photos(tmp_path, count, shape):
    pixels = written(sheet_of(*[photo(4, 4, 0)] * count), tmp_path / "sheet.png")
    rows, columns = shape
    assert pixels.shape[:2] == (MARGIN + rows * (4 + CAPTION), MARGIN + columns * (CELL + MARGIN))
    assert np.count_nonzero((pixels == 0).all(axis=2)) == 16 * count


def test_jpeg_that_would_be_too_high_or_wide_gets_other_rows(tmp_path):
    tall = sheet_of(*[photo(256, 16, 0)] * 500, columns=1)
    with Image.open(tall.write(tmp_path / "tall.jpg")) as image:
        # At most 237 rows of 276 pixels are below 65,500.
        assert image.size == (MARGIN + 3 * (CELL + MARGIN), MARGIN + 167 * (256 + CAPTION))
    wide = sheet_of(*[photo(4, 4, 0)] * 300, columns=1000)
    for name, columns in (("wide.jpg", 248), ("wide.png", 300)):
        with Image.open(wide.write(tmp_path / name)) as image:
            assert image.width == MARGIN + columns * (CELL + MARGIN)


def test_photos_can_be_added_after_writing(tmp_path):
    sheet = sheet_of(photo(10, 10, 0))
    one = written(sheet, tmp_path / "sheet.png")
    assert np.array_equal(written(sheet, tmp_path / "sheet.png"), one)
    sheet.add(photo(10, 10, 0), np.zeros((10, 10), np.uint8), "")
    assert written(sheet, tmp_path / "sheet.png").shape[1] == one.shape[1] + CELL + MARGIN


def test_sheet_of_nothing_is_white(tmp_path):
    assert (written(ContactSheet(), tmp_path / "sheet.png") == 255).all()


def test_what_is_kept_does_not_grow_with_the_photos():
    sheet = sheet_of(photo(2000, 3000, 0), photo(300, 300, 0))
    assert all(each.nbytes <= 256 * 256 * 3 for each in sheet._thumbnails)
    assert all(each.base is None for each in sheet._thumbnails)


def test_photo_may_be_changed_after_adding(tmp_path):
    rgb = photo(10, 10, 90)
    sheet = sheet_of(rgb)
    rgb[:] = 0
    assert (written(sheet, tmp_path / "sheet.png") == 90).any()


def test_what_is_not_allowed(tmp_path):
    with pytest.raises(SettingsError, match="columns is 0; it must be at least 1"):
        ContactSheet(columns=0)
    for name, suffix in (("sheet.gif", ".gif"), ("sheet", "")):
        with pytest.raises(SettingsError, match=rf"has the suffix '{suffix}'; allowed: .png, .jpg, .jpeg"):
            sheet_of(photo(4, 4, 0)).write(tmp_path / name)
    with pytest.raises(MaskSizeError, match="label map is 4 x 5, photo 'cat/01' is 5 x 4"):
        ContactSheet().add(photo(5, 4, 0), np.zeros((4, 5), np.uint8), "cat/01")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", ["replace", "save"])
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken):
    sheet = sheet_of(photo(10, 10, 0))
    before = sheet.write(tmp_path / "sheet.png").read_bytes()

    def fail(_, path, **__):
        if broken == "save":
            path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((Path, "replace") if broken == "replace" else (Image.Image, "save")), fail)
    sheet.add(photo(10, 10, 0), np.zeros((10, 10), np.uint8), "")
    with pytest.raises(OutputError, match=r"sheet.png: cannot be written \(No space left on device\)"):
        sheet.write(tmp_path / "sheet.png")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
