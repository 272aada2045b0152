"""First masks as people have them: palettes, black and white, colours, and those that must be refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from persam_vos.errors import EmptyMaskError, MaskError, MaskSizeError, SettingsError
from persam_vos.media.masks.doubts import annotation_warnings, void_warnings
from persam_vos.media.masks.files import read_mask

SIZE = (40, 60)


def blocks(*values: int) -> np.ndarray:
    """One 8 x 8 block per value."""
    array = np.zeros(SIZE, np.int32)
    for i, value in enumerate(values):
        y, x = divmod(i, 7)
        array[8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = value
    return array


def save(path: Path, array: np.ndarray, mode: str) -> Path:
    if mode == "I;16":
        Image.fromarray(array.astype(np.uint16)).save(path)
        return path
    image = Image.fromarray(array.astype(np.uint8), mode="P" if mode == "P" else None)
    if mode == "P":
        image.putpalette([i * j % 256 for i in range(256) for j in (1, 3, 7)])
    image.convert(mode).save(path) if mode != "P" else image.save(path)
    return path


def read(path: Path, **options: object) -> np.ndarray:
    return read_mask(path, height=SIZE[0], width=SIZE[1], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "values", "ids"),
    [
        ("P", (1, 2, 5), [1, 2, 5]),
        ("P", (1, 2, 255), [1, 2]),
        ("P", (255,), [1]),
        ("L", (1, 2, 3, 4), [1, 2, 3, 4]),
        ("L", (255,), [1]),
        ("L", (38, 75), [38, 75]),
        ("I;16", (1, 200), [1, 200]),
        ("I;16", (65535,), [1]),
        ("RGB", (255,), [1]),
    ],
)
def test_ids(tmp_path: Path, mode: str, values: tuple[int, ...], ids: list[int]) -> None:
    found = read(save(tmp_path / "m.png", blocks(*values), mode))

    assert found.dtype == np.uint8
    assert np.unique(found).tolist() == [0, *ids]
    expected = blocks(*(ids[0] if len(values) == 1 else v for v in values))
    assert np.array_equal(found, np.where(expected == 255, 0, expected))


def test_one_bit(tmp_path: Path) -> None:
    Image.fromarray(blocks(1).astype(bool)).save(tmp_path / "m.png")

    assert np.array_equal(read(tmp_path / "m.png"), blocks(1))


def test_white_is_the_object_wherever_it_stands_in_the_palette(tmp_path: Path) -> None:
    image = Image.fromarray((blocks(1) == 0).astype(np.uint8))
    image = image.convert("P") if image.mode != "L" else image
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "m.png")

    assert np.array_equal(read(tmp_path / "m.png"), blocks(1))


def test_one_colour_is_one_object(tmp_path: Path) -> None:
    rgb = np.zeros((*SIZE, 3), np.uint8)
    rgb[5:20, 5:20] = (128, 0, 0)
    Image.fromarray(rgb).save(tmp_path / "m.png")

    assert np.array_equal(read(tmp_path / "m.png"), rgb[..., 0] // 128)


def test_the_shape_of_a_cut_out_is_its_alpha(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (*SIZE, 4), dtype=np.uint8)
    rgba[..., 3] = blocks(255)
    Image.fromarray(rgba).save(tmp_path / "m.png")

    assert np.array_equal(read(tmp_path / "m.png"), blocks(1))


def soft(tmp_path: Path, sigma: float = 1.5) -> Path:
    grey = np.zeros(SIZE, np.uint8)
    cv2.circle(grey, (30, 20), 12, 255, -1)
    Image.fromarray(cv2.GaussianBlur(grey, (0, 0), sigma)).save(tmp_path / "soft.png")
    return tmp_path / "soft.png"


@pytest.mark.parametrize("sigma", [0.5, 1.5, 4.0])
def test_a_smoothed_mask_is_refused(tmp_path: Path, sigma: float) -> None:
    with pytest.raises(MaskError, match=r"soft\.png: looks like an anti-aliased mask.*--mask-threshold 127"):
        read(soft(tmp_path, sigma))


def test_a_smoothed_mask_can_be_cut(tmp_path: Path) -> None:
    found = read(soft(tmp_path), threshold=127)

    assert np.unique(found).tolist() == [0, 1]
    assert found.sum() == pytest.approx(np.pi * 12**2, rel=0.1)


def test_one_soft_level_is_refused_too(tmp_path: Path) -> None:
    array = blocks(255)
    array[8, :8] = 128
    with pytest.raises(MaskError, match="anti-aliased"):
        read(save(tmp_path / "m.png", array, "L"))


def test_the_opaque_part_of_two_levels_of_alpha_counts_and_more_levels_are_refused(tmp_path: Path) -> None:
    rgba = np.full((*SIZE, 4), 200, np.uint8)
    rgba[..., 3] = np.where(blocks(1) > 0, 255, 128)
    Image.fromarray(rgba).save(tmp_path / "two.png")
    assert np.array_equal(read(tmp_path / "two.png"), blocks(1))

    rgba[0, 0, 3] = 7
    Image.fromarray(rgba).save(tmp_path / "three.png")
    with pytest.raises(MaskError, match="its alpha channel is soft"):
        read(tmp_path / "three.png")


def test_300_objects_are_refused(tmp_path: Path) -> None:
    array = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) % 301
    with pytest.raises(MaskError, match=r"m\.png: mask holds 256; allowed: 0 background, 1\.\.254 objects, 255 void"):
        read(save(tmp_path / "m.png", array, "I;16"))


def test_several_colours_are_refused(tmp_path: Path) -> None:
    rgb = np.zeros((*SIZE, 3), np.uint8)
    rgb[:10], rgb[10:20] = (128, 0, 0), (0, 128, 0)
    Image.fromarray(rgb).save(tmp_path / "m.png")

    with pytest.raises(MaskError, match="2 colours besides black; save it as a palette"):
        read(tmp_path / "m.png")


@pytest.mark.parametrize("mode", ["P", "L", "I;16", "RGB"])
def test_an_empty_mask_is_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(EmptyMaskError, match=r"m\.png: mask is empty"):
        read(save(tmp_path / "m.png", blocks(), mode))


def test_another_size_is_refused_or_scaled(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.kron(blocks(1, 2), np.ones((2, 2))), "P")

    with pytest.raises(MaskSizeError, match=r"mask is 80 x 120, video is 40 x 60 .*--resize-mask"):
        read(path)
    assert np.array_equal(read(path, resize=True), blocks(1, 2))


@pytest.mark.parametrize(("given", "missing"), [("height", "width"), ("width", "height")])
def test_height_and_width_are_given_together(tmp_path: Path, given: str, missing: str) -> None:
    path = save(tmp_path / "m.png", blocks(1), "P")

    with pytest.raises(SettingsError, match=f"{given} is given without {missing}"):
        read_mask(path, **{given: 5})


def test_254_objects_beside_void_are_read(tmp_path: Path) -> None:
    array = np.zeros((160, 160), np.uint8)
    array.reshape(16, 10, 16, 10)[:] = np.arange(256).reshape(16, 1, 16, 1)

    found = read_mask(save(tmp_path / "m.png", array, "P"))

    assert np.array_equal(found, np.where(array == 255, 0, array))


def test_a_mask_scaled_away_is_refused(tmp_path: Path) -> None:
    array = np.zeros((400, 600), np.int32)
    array[1, 1] = 1
    with pytest.raises(EmptyMaskError):
        read(save(tmp_path / "m.png", array, "P"), resize=True)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", None])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "m.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MaskError, match=r"m\.png: (not a readable picture|no such file)"):
        read(path)


def test_a_mask_of_every_grey_level_is_soft_too(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:200, :300]
    grey = np.clip(600 - 5 * np.hypot(rows - 100, columns - 150), 0, 255).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "ramp.png")

    with pytest.raises(MaskError, match=r"anti-aliased mask \(255 grey levels.*--mask-threshold 127"):
        read_mask(tmp_path / "ramp.png", height=200, width=300)


def test_a_refusal_is_not_wrapped_in_another(tmp_path: Path) -> None:
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[:8, :8], colours[20:30, 20:30] = (255, 0, 0), (0, 255, 0)
    Image.fromarray(colours).save(tmp_path / "two.png")

    with pytest.raises(MaskError, match="2 colours besides black") as refusal:
        read(tmp_path / "two.png")

    assert "not a readable picture" not in str(refusal.value)


def test_objects_that_can_hardly_be_followed_are_named() -> None:
    label_map = np.full((480, 854), 1, np.uint8)
    label_map[5, 5] = 7

    few, many = sorted(annotation_warnings(label_map), key=lambda text: "many" in text)

    assert few.startswith("object 7 has 1 of the first frame's 409920 pixels: too few")
    assert many.startswith("object 1 has 409919 of the first frame's 409920 pixels: too many")
    label_map[:, :400], label_map[5:15, 5:15] = 0, 7
    assert not annotation_warnings(label_map)


def test_an_inverted_mask_is_doubted() -> None:
    label_map = np.ones((480, 854), np.uint8)
    label_map[100:400, 200:600] = 0

    (warning,) = annotation_warnings(label_map)

    assert warning.startswith("object 1 covers 71% of the first frame and touches all four edges")
    label_map[:5] = 0
    assert not annotation_warnings(label_map)


def test_two_things_of_one_number_are_told_from_one_thing_in_two_pieces() -> None:
    label_map = np.zeros((480, 854), np.uint8)
    label_map[100:200, 100:200] = label_map[100:200, 500:580] = 3

    assert annotation_warnings(label_map) == (
        "object 3 has pieces far apart in its mask: give each thing its own number",
    )
    near, small = label_map.copy(), label_map.copy()
    near[100:200, 500:580], near[100:200, 260:340] = 0, 3
    small[100:200, 500:565] = 0
    assert not annotation_warnings(near)
    assert not annotation_warnings(small)


def test_an_object_painted_white_beside_grey_is_not_lost_in_silence(tmp_path: Path) -> None:
    array = np.zeros((120, 160), np.uint8)
    array[10:40, 10:40], array[60:100, 60:120] = 100, 255
    doubts: list[str] = []

    found = read_mask(save(tmp_path / "m.png", array, "L"), doubts=doubts)

    assert np.unique(found).tolist() == [0, 100]
    assert len(doubts) == 1
    assert doubts[0].startswith("white, 255, is void beside other values (100 here): its 2400 pixels belong to no obj")


def test_void_between_objects_and_white_alone_are_not_doubted() -> None:
    array = np.zeros((120, 160), np.uint8)
    array[10:60, 10:60] = 255
    assert not void_warnings(array)
    assert not void_warnings(array > 0)

    array[13:57, 13:57] = 3
    assert not void_warnings(array)


@pytest.mark.parametrize("ground", [255, 0], ids=["opaque", "partly transparent"])
def test_white_at_half_alpha_on_opaque_black_is_the_object(tmp_path: Path, ground: int) -> None:
    rgba = np.zeros((*SIZE, 4), np.uint8)
    rgba[..., :3] = blocks(255)[..., None]
    rgba[..., 3] = np.where(blocks(1) > 0, 128, 255)
    rgba[30:, :, 3] = ground
    if ground == 0:
        rgba[..., 3] = np.where(rgba[..., 3] > 0, 255, 0)
    Image.fromarray(rgba).save(tmp_path / "m.png")

    assert np.array_equal(read(tmp_path / "m.png"), blocks(1))


@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 0, 0)])
def test_a_jpeg_mask_is_refused_as_one(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    rgb = np.zeros((80, 120, 3), np.uint8)
    cv2.circle(rgb, (60, 40), 25, colour, -1)
    Image.fromarray(rgb).save(tmp_path / "m.jpg", quality=75)

    with pytest.raises(MaskError, match=r"m\.jpg: is a JPEG, which blurs a mask's values \(\d+ grey.* save it as PNG"):
        read_mask(tmp_path / "m.jpg")
    assert read_mask(tmp_path / "m.jpg", threshold=40).any()


def test_many_things_of_one_number_are_told_apart_as_well() -> None:
    label_map = np.zeros((480, 854), np.uint8)
    for row in (20, 400):
        for column in (20, 400, 780):
            label_map[row : row + 40, column : column + 40] = 1

    assert len(annotation_warnings(label_map)) == 1


def test_what_a_drawn_mask_is_asked_is_not_asked_of_a_mask_that_was_found() -> None:
    inverted, apart, tiny = np.ones((480, 854), np.uint8), *np.zeros((2, 480, 854), np.uint8)
    inverted[100:400, 200:600] = 0
    apart[100:200, 100:200] = apart[100:200, 500:580] = 3
    tiny[5, 5] = 1

    for label_map, of_found in ((inverted, 0), (apart, 0), (tiny, 1)):
        assert len(annotation_warnings(label_map)) == 1
        assert len(annotation_warnings(label_map, drawn=False)) == of_found
