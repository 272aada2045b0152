from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional

from persam_vos.errors import VideoError
from persam_vos.media.frame import Frame
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.regions import Region

sides = st.integers(1, 3000)


@given(sides, sides)
def test_long_side_fills_the_square_and_the_other_keeps_the_shape(height: int, width: int) -> None:
    resized = Geometry(height, width).resized

    assert max(resized) == 1024
    assert min(resized) >= 1
    expected = 1024 * min(height, width) / max(height, width)
    assert abs(min(resized) - max(expected, 1)) <= 0.5


@given(sides, sides, st.floats(0, 1), st.floats(0, 1))
def test_points_stay_inside_and_keep_their_place(height: int, width: int, x: float, y: float) -> None:
    geometry = Geometry(height, width)
    point = geometry.points_to_input(torch.tensor([[x * width, y * height]]))[0]

    assert point.tolist() == pytest.approx([x * geometry.resized[1], y * geometry.resized[0]], abs=1e-2)


def test_boxes_are_two_points() -> None:
    geometry = Geometry(480, 854)
    box = torch.tensor([10.0, 20.0, 300.0, 400.0])

    found = geometry.boxes_to_input(box)

    torch.testing.assert_close(found, geometry.points_to_input(box.view(2, 2)).flatten())


@given(sides, sides, st.integers(1, 256))
def test_samples_of_the_picture_cover_the_frame(height: int, width: int, samples: int) -> None:
    geometry = Geometry(height, width)
    sample_width, sample_height = geometry.sample_size(samples)

    resized_height, resized_width = geometry.resized
    assert sample_width * samples * resized_width / 1024 == pytest.approx(width)
    assert sample_height * samples * resized_height / 1024 == pytest.approx(height)


@given(st.integers(2, 400), st.integers(2, 400))
def test_a_map_comes_back_to_the_frame_without_the_padding(height: int, width: int) -> None:
    geometry = Geometry(height, width)
    resized_height, resized_width = geometry.resized
    grid = torch.zeros(1, 256, 256)
    # The padding, and what interpolation may draw from it, is marked; none of it may reach the middle of the picture.
    grid[:, -(-resized_height // 4) + 1 :] = 100
    grid[:, :, -(-resized_width // 4) + 1 :] = 100

    found = geometry.to_frame(grid)

    assert found.shape == (1, height, width)
    assert float(found.max()) < 1


@given(st.integers(8, 300), st.integers(8, 300))
def test_a_mask_on_the_grid_keeps_its_share_of_the_picture(height: int, width: int) -> None:
    geometry = Geometry(height, width)
    mask = torch.zeros(1, height, width, dtype=torch.bool)
    mask[:, : height // 2, : width // 2] = True

    grid = geometry.to_grid(mask, 256)

    assert float(grid.min()) >= 0
    assert float(grid.max()) <= 1 + 1e-5
    share = float(grid.sum()) * 4 * 4 / (geometry.resized[0] * geometry.resized[1])
    assert share == pytest.approx(float(mask.float().mean()), abs=0.03)
    back = geometry.to_frame(grid)[0] > 0.5
    assert float((back ^ mask[0]).float().mean()) < 0.05


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 33), st.integers(1, 33))
def test_the_share_of_cells_is_the_share_of_the_area(row: int, column: int, height: int, width: int) -> None:
    mask = torch.zeros(1, 1024, 1024, dtype=torch.bool)
    mask[0, 16 * row : 16 * (row + height), 16 * column : 16 * (column + width) - 8] = True

    share = Geometry(1024, 1024).to_cells(mask, 64)[0]

    assert share.shape == (64, 64)
    assert float(share.sum()) * 256 == pytest.approx(float(mask.sum()))
    assert float(share[row, column + width - 1]) == pytest.approx(0.5)


@pytest.mark.parametrize(("height", "width"), [(544, 1280), (1280, 544), (1088, 1920), (1, 5000), (480, 854)])
def test_cells_that_hold_picture_in_part_are_covered_by_what_they_hold(height: int, width: int) -> None:
    share = Geometry(height, width).to_cells(torch.ones(1, height, width, dtype=torch.bool), 64)

    torch.testing.assert_close(share, torch.ones(1, *Geometry(height, width).valid(64)))


@given(st.integers(20, 1500), st.integers(20, 1500), st.sampled_from([64, 256]), st.integers(0, 100))
def test_resampling_is_two_bilinear_steps(height: int, width: int, samples: int, seed: int) -> None:
    """First to the square and then to the frame, as SAM does; and the way back is scaling, then means over cells."""
    geometry = Geometry(height, width)
    generator = torch.Generator().manual_seed(seed)
    grid = torch.randn(2, samples, samples, generator=generator)
    rows, columns = geometry.resized
    square = functional.interpolate(grid[None], size=(1024, 1024), mode="bilinear")[..., :rows, :columns]
    expected = functional.interpolate(square, size=(height, width), mode="bilinear")[0]

    torch.testing.assert_close(geometry.to_frame(grid), expected, atol=1e-3, rtol=0)

    mask = torch.rand(1, height, width, generator=generator) > 0.5
    scaled = functional.interpolate(mask[None].float(), size=(rows, columns), mode="bilinear", antialias=True)[0]
    shares = geometry.to_cells(mask, 64)[0]
    whole = scaled[:, : rows // 16 * 16, : columns // 16 * 16]
    if whole.numel():
        expected = functional.avg_pool2d(whole, 16)[0]
        torch.testing.assert_close(shares[: rows // 16, : columns // 16], expected, atol=1e-4, rtol=0)
    last = scaled[0, 16 * (shares.shape[0] - 1) :, 16 * (shares.shape[1] - 1) :]
    assert float(shares[-1, -1]) == pytest.approx(float(last.mean()), abs=1e-4)


@given(st.integers(1, 1500), st.integers(1, 1500))
def test_the_padding_has_no_part_in_the_picture(height: int, width: int) -> None:
    geometry = Geometry(height, width)
    rows, columns = geometry.valid(256)
    grid = torch.full((256, 256), -50.0)
    grid[:rows, :columns] = 3.0

    pixels, found = geometry.crop_to_frame(grid, Region.whole(rows, columns))

    assert pixels == (slice(0, height), slice(0, width))
    torch.testing.assert_close(found, torch.full((height, width), 3.0))


@given(st.integers(1, 1500), st.integers(1, 1500), st.tuples(*[st.floats(0, 1)] * 4), st.integers(0, 100))
def test_a_part_of_the_frame_is_that_part_of_the_whole(
    height: int, width: int, ends: tuple[float, ...], seed: int
) -> None:
    geometry = Geometry(height, width)
    rows, columns = geometry.valid(256)
    generator = torch.Generator().manual_seed(seed)
    grid = torch.randn(256, 256, generator=generator)
    (top, bottom), (left, right) = (
        sorted(round(end * length) for end in pair) for pair, length in ((ends[:2], rows), (ends[2:], columns))
    )
    _, whole = geometry.crop_to_frame(grid, Region.whole(rows, columns))

    pixels, part = geometry.crop_to_frame(grid, Region(slice(top, bottom), slice(left, right)))

    torch.testing.assert_close(part, whole[pixels], atol=1e-4, rtol=0)


@given(st.integers(1, 400), st.integers(1, 400), st.tuples(*[st.floats(0, 1)] * 4), st.integers(0, 100))
def test_cells_of_a_part_are_those_of_a_mask_that_is_0_elsewhere(
    height: int, width: int, ends: tuple[float, ...], seed: int
) -> None:
    geometry = Geometry(height, width)
    (top, bottom), (left, right) = (
        sorted(round(end * length) for end in pair) for pair, length in ((ends[:2], height), (ends[2:], width))
    )
    part = Region(slice(top, bottom), slice(left, right))
    masks = torch.zeros(2, height, width, dtype=torch.bool)
    inside = torch.rand(2, bottom - top, right - left, generator=torch.Generator().manual_seed(seed)) > 0.5
    masks[:, part[0], part[1]] = inside

    torch.testing.assert_close(geometry.to_cells(inside, 64, part), geometry.to_cells(masks, 64))


@pytest.mark.parametrize("size", [(480, 854), (1080, 1920), (1200, 640), (37, 51)])
def test_resizing_is_pillows(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    geometry = Geometry(*size)

    found = geometry.resize(rgb).permute(1, 2, 0).numpy().astype(int)

    height, width = geometry.resized
    expected = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(found - expected).max() <= 2


@pytest.mark.parametrize("rgb", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_frame_refuses_what_is_no_picture(rgb: np.ndarray) -> None:
    with pytest.raises(VideoError, match="allowed: a NumPy array of uint8"):
        Frame(0, 0, Fraction(1, 25), rgb)


def test_time_is_exact() -> None:
    frame = Frame(3, 3003, Fraction(1, 30000), np.zeros((2, 2, 3), np.uint8))

    assert frame.time == Fraction(1001, 10000)


def test_geometry_refuses_nothing() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Geometry(0, 10)


def test_reversed_and_read_only_pictures_are_taken() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    reversed_twice = np.ascontiguousarray(rgb[..., ::-1])[..., ::-1]
    locked = rgb.copy()
    locked.setflags(write=False)

    expected = Geometry(20, 30).resize(rgb)

    assert torch.equal(Geometry(20, 30).resize(reversed_twice), expected)
    assert torch.equal(Geometry(20, 30).resize(locked), expected)
