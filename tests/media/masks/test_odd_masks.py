"""Masks that look right and say something else: resized label maps, palettes, colours on nothing, inverted ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from persam_vos.errors import MaskError
from persam_vos.media.masks.doubts import annotation_warnings
from persam_vos.media.masks.files import read_mask
from persam_vos.media.masks.rims import rim_ids

RED, GREEN, BLACK, WHITE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 0), (255, 255, 255), (90, 90, 90)


def scene(ids: tuple[int, ...], *, scale: int = 1) -> np.ndarray:
    """One square of 20 pixels and one disc per further id, beside each other."""
    labels = np.zeros((64 * scale, 96 * scale), np.uint8)
    for place, each in enumerate(ids):
        middle = ((18 + 30 * place) * scale, 30 * scale)
        if place % 2:
            cv2.circle(labels, middle, 11 * scale, each, -1)
        else:
            cv2.rectangle(labels, middle, (middle[0] + 19 * scale, middle[1] + 19 * scale), each, -1)
    return labels


def save(path: Path, picture: np.ndarray) -> Path:
    Image.fromarray(picture).save(path)
    return path


RESIZED = [
    ((5,), 3, cv2.INTER_LINEAR),
    ((5,), 1.5, cv2.INTER_CUBIC),
    ((2,), 8, cv2.INTER_LINEAR),
    ((3, 7), 2, cv2.INTER_LINEAR),
    ((1, 2), 4, cv2.INTER_LINEAR),
    ((9, 4, 12), 0.6, cv2.INTER_AREA),
    ((4,), 2, cv2.INTER_LANCZOS4),
]


@pytest.mark.parametrize(("ids", "scale", "interpolation"), RESIZED)
def test_a_label_map_that_was_interpolated_is_refused(
    tmp_path: Path, ids: tuple[int, ...], scale: float, interpolation: int
) -> None:
    resized = cv2.resize(scene(ids), None, fx=scale, fy=scale, interpolation=interpolation)
    path = save(tmp_path / "m.png", resized)

    with pytest.raises(MaskError, match="as rims, as in a label map that was resized with interpolation") as refused:
        read_mask(path)

    assert "\n" not in str(refused.value)
    assert f"--mask-ids {','.join(map(str, sorted(ids)))} " in str(refused.value) or ids == (1, 2)
    found = read_mask(path, ids=ids)
    assert np.unique(found).tolist() == [0, *sorted(ids)]


def test_the_refusal_names_rims_and_what_is_left(tmp_path: Path) -> None:
    labels = np.zeros((64, 96), np.uint8)
    for depth, value in enumerate((1, 3, 4, 5)):
        labels[20 + depth : 42 - depth, 9 + depth : 31 - depth] = value

    with pytest.raises(MaskError, match=r"ids 1, 3, 4 surround others .* --mask-ids 5 .* --mask-ids 1,3,4,5 if all"):
        read_mask(save(tmp_path / "m.png", labels))
    assert np.unique(read_mask(tmp_path / "m.png", ids=(1, 3, 4, 5))).tolist() == [0, 1, 3, 4, 5]
    with pytest.raises(MaskError, match="has no object 2; its ids are 1, 3, 4, 5"):
        read_mask(tmp_path / "m.png", ids=(2,))


def test_thin_things_are_objects_and_no_rims() -> None:
    leash, collar, beside = np.zeros((3, 120, 160), np.int64)
    leash[20:90, 20:80] = 2
    leash[50:52, 80:150] = 1
    collar[20:90, 20:80] = 3
    collar[40:43, 20:80] = 2
    beside[20:90, 20:80] = 1
    beside[20:90, 80:140] = 2
    beside[90:93, 20:140] = 3

    assert [rim_ids(labels)[0] for labels in (leash, collar, beside, scene((1, 2, 3)).astype(np.int64))] == [[]] * 4


def palette_picture(indices: np.ndarray, colours: list[tuple[int, int, int]], **info: object) -> Image.Image:
    picture = Image.fromarray(indices.astype(np.uint8), mode="P")
    picture.putpalette([value for colour in colours for value in colour])
    picture.info.update(info)
    return picture


def indices_of(ground: int, *objects: int) -> np.ndarray:
    indices = np.full((48, 64), ground, np.uint8)
    for place, each in enumerate(objects):
        indices[10:26, 6 + 20 * place : 22 + 20 * place] = each
    return indices


@pytest.mark.parametrize(
    ("indices", "colours", "info", "objects", "told"),
    [
        (indices_of(1, 0), [RED, BLACK], {}, [1], True),
        (indices_of(2, 0, 1), [RED, GREEN, BLACK], {}, [2, 1], True),
        (indices_of(1, 2), [WHITE, BLACK, RED], {}, [2], False),
        (indices_of(3, 0, 1), [RED, GREEN, BLACK, WHITE], {}, [3, 1], True),
        (indices_of(1, 0), [RED, GREEN], {"transparency": 1}, [1], True),
        (indices_of(1, 0), [RED, GREEN], {"transparency": bytes([255, 0])}, [1], True),
        (indices_of(0, 1, 2), [WHITE, BLACK, RED], {}, [1, 2], False),
        (indices_of(0, 1, 2), [BLACK, GREEN, RED], {}, [1, 2], False),
        (indices_of(0, 1, 2), [GREY, GREEN, RED], {}, [1, 2], False),
    ],
)
def test_the_ground_of_a_palette_need_not_be_its_first_colour(
    tmp_path: Path,
    indices: np.ndarray,
    colours: list[tuple[int, int, int]],
    info: dict[str, object],
    objects: list[int],
    told: bool,
) -> None:
    picture, doubts = palette_picture(indices, colours, **info), []
    picture.save(tmp_path / "m.png", **info)

    found = read_mask(tmp_path / "m.png", doubts=doubts)

    assert found[0, 0] == 0
    assert [found[12, 8 + 20 * place] for place in range(len(objects))] == objects
    assert ["what is painted with index 0 is object" in doubt for doubt in doubts] == [True] * told


def rgba(*colours: tuple[int, int, int], ground: tuple[int, int, int, int] = (0, 0, 0, 0)) -> np.ndarray:
    picture = np.full((48, 64, 4), ground, np.uint8)
    for place, colour in enumerate(colours):
        picture[10:26, 6 + 20 * place : 22 + 20 * place] = (*colour, 255)
    return picture


def test_several_colours_on_a_transparent_ground_are_refused_as_on_black(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", rgba(RED, GREEN))

    with pytest.raises(MaskError, match="2 colours on a transparent ground; save it as a palette"):
        read_mask(path)
    assert read_mask(save(tmp_path / "one.png", rgba(RED))).sum() == 256


def test_a_photo_that_is_cut_out_stays_one_object(tmp_path: Path) -> None:
    picture = rgba(RED)
    picture[10:26, 6:22, :3] = np.random.default_rng(0).integers(0, 256, (16, 16, 3))

    assert read_mask(save(tmp_path / "m.png", picture)).sum() == 256


def test_soft_alpha_is_cut_at_a_threshold(tmp_path: Path) -> None:
    picture = rgba((20, 10, 0))
    picture[..., 3] = cv2.GaussianBlur(picture[..., 3], (7, 7), 2)
    path = save(tmp_path / "m.png", picture)

    with pytest.raises(MaskError, match="alpha channel is soft; pass --mask-threshold 127"):
        read_mask(path)
    assert abs(int(read_mask(path, threshold=127).sum()) - 256) <= 16


@pytest.mark.parametrize("mode", ["L", "1"])
def test_an_inverted_mask_can_be_turned_round(tmp_path: Path, mode: str) -> None:
    picture = np.full((48, 64), 255, np.uint8)
    picture[10:26, 6:22] = 0
    Image.fromarray(picture).convert(mode).save(tmp_path / "m.png")

    assert "--invert-mask" in annotation_warnings(read_mask(tmp_path / "m.png"))[0]
    found = read_mask(tmp_path / "m.png", invert=True)
    assert (found.sum(), annotation_warnings(found)) == (256, ())
    with pytest.raises(MaskError, match="only a mask of one object can be inverted"):
        read_mask(save(tmp_path / "two.png", indices_of(0, 1, 2)), invert=True)


@pytest.mark.parametrize(("height", "width", "told"), [(1024, 1024, True), (128, 192, False), (427, 640, False)])
def test_a_mask_of_another_shape_is_told_when_it_is_stretched(
    tmp_path: Path, height: int, width: int, told: bool
) -> None:
    doubts: list[str] = []
    picture = np.zeros((height, width), np.uint8)
    picture[: height // 2] = 255

    found = read_mask(save(tmp_path / "m.png", picture), height=64, width=96, resize=True, doubts=doubts)

    assert found.sum() == 32 * 96
    assert ["it has another shape, and is stretched" in doubt for doubt in doubts] == [True] * told
