"""The crop: where it is placed, that its grids and the frame's show the same places, and how masks are mixed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from persam_vos.methods.memory.crop import Resampling, fading, mix_patches, place_crop, shape_of_frame
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.patches import Patch
from persam_vos.sam.regions import EMPTY_REGION, Region
from persam_vos.settings.video import TrackerSettings

CPU = torch.device("cpu")
SETTINGS = TrackerSettings()


@st.composite
def boxes_in_frames(draw: st.DrawFn) -> tuple[list[Region], tuple[int, int]]:
    size = draw(st.integers(1, 500)), draw(st.integers(1, 500))
    boxes = []
    for _ in range(draw(st.integers(1, 3))):
        height, width = (draw(st.integers(1, length)) for length in size)
        top, left = draw(st.integers(0, size[0] - height)), draw(st.integers(0, size[1] - width))
        boxes.append(Region.at(top, left, height, width))
    return boxes, size


@given(boxes_in_frames())
def test_a_crop_lies_in_the_frame_and_holds_at_least_the_smallest_object(
    given_boxes: tuple[list[Region], tuple[int, int]],
) -> None:
    boxes, size = given_boxes

    crop = place_crop(boxes, size, SETTINGS)

    smallest = min(boxes, key=lambda box: max(box.height, box.width))
    assert smallest.intersection(crop) == smallest
    assert crop.intersection(Region.whole(*size)) == crop
    assert crop == Region.whole(*size) or 1.3 * max(crop.height, crop.width) <= max(size)


@given(boxes_in_frames())
def test_an_encoder_sees_crops_of_two_sizes_at_most(given_boxes: tuple[list[Region], tuple[int, int]]) -> None:
    """Each further one is a network to compile."""
    boxes, size = given_boxes

    crop = place_crop(boxes, size, SETTINGS)

    assert Geometry(crop.height, crop.width).resized in {Geometry(*size).resized, (1024, 1024)}


@pytest.mark.parametrize("size", [(480, 854), (720, 1280), (1080, 1920), (576, 720), (854, 480)])
def test_a_crop_of_the_shape_of_an_ordinary_frame_is_hardly_larger_than_needed(size: tuple[int, int]) -> None:
    for long in range(max(size) // 4, int(max(size) / 1.3)):
        needs = [long * end / max(size) for end in size]

        assert all(0 <= side - need < 8 for side, need in zip(shape_of_frame(needs, size), needs, strict=True))


@pytest.mark.parametrize(
    ("box", "crop"),
    [
        # The frame is 480 x 640.
        (Region.at(100, 100, 100, 60), Region.at(70, 50, 160, 160)),  # a small object: a quarter of the long side
        (Region.at(0, 0, 200, 100), Region.at(0, 0, 285, 285)),  # 42 pixels of context on each side
        (Region.at(100, 10, 400, 400), Region.whole(480, 640)),  # nothing would be enlarged
        (Region.at(200, 100, 50, 300), Region.at(38, 63, 374, 374)),
    ],
)
def test_a_crop_is_a_square_with_context_around_the_object(box: Region, crop: Region) -> None:
    assert place_crop([box.intersection(Region.whole(480, 640))], (480, 640), SETTINGS) == crop


def test_where_no_square_is_large_enough_the_crop_has_the_shape_of_the_frame() -> None:
    crop = place_crop([Region.at(100, 200, 50, 400)], (300, 900), SETTINGS)

    assert (crop.height, crop.width) == (162, 486)


def test_the_crop_stays_while_the_object_is_well_inside_it_and_follows_then() -> None:
    size, box = (480, 854), Region.at(100, 100, 100, 100)
    first = place_crop([box], size, SETTINGS)

    assert place_crop([Region.at(110, 110, 100, 100)], size, SETTINGS, first) == first
    moved = place_crop([Region.at(100, 220, 100, 100)], size, SETTINGS, first)
    assert (moved.left, moved.width) == (first.left + 120, first.width)
    assert place_crop([Region.at(100, 100, 180, 180)], size, SETTINGS, first) != first


def test_of_two_objects_far_apart_the_smaller_one_is_looked_at() -> None:
    small, large = Region.at(10, 10, 40, 40), Region.at(100, 300, 300, 500)

    assert place_crop([large, small], (480, 854), SETTINGS) == place_crop([small], (480, 854), SETTINGS)


REGIONS = st.builds(Region.at, st.integers(0, 40), st.integers(0, 60), st.integers(8, 200), st.integers(8, 200))


@given(REGIONS, REGIONS)
def test_a_resampled_map_shows_each_place_where_it_is(source: Region, target: Region) -> None:
    """A ramp over the frame is a ramp in every crop of it."""

    def ramp(region: Region) -> torch.Tensor:
        width, height = Geometry(region.height, region.width).sample_size(64)
        rows, columns = (torch.arange(64) + 0.5) * height, (torch.arange(64) + 0.5) * width
        return (region.top + rows)[:, None] + 3 * (region.left + columns)

    moved = Resampling.between(source, target, 64, CPU)

    found, shown, samples = moved(ramp(source)[None])[0], torch.ones(64, 64, dtype=torch.bool), []
    for side, to, axis in zip(source, target, (0, 1), strict=True):
        pixels = [Geometry(each.height, each.width).sample_size(64)[1 - axis] for each in (source, target)]
        places, sample = to.start + (torch.arange(64) + 0.5) * pixels[1], max(pixels)
        inner = (places > side.start + 2 * sample) & (places < side.stop - 2 * sample) & (places < to.stop)
        shown &= inner[:, None] if axis == 0 else inner
        samples.append(sample)
    # Within a quarter of a sample.
    torch.testing.assert_close(found[shown], ramp(target)[shown], rtol=0, atol=0.75 * max(samples))
    assert bool(moved.inside[shown].all())
    assert not bool(found[~moved.inside].any())


def test_a_map_of_the_same_region_is_unchanged() -> None:
    grids = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(0))
    crop = Region.at(5, 6, 36, 64)

    for nearest in (True, False):
        same = Resampling.between(crop, crop, 64, CPU, nearest=nearest)
        torch.testing.assert_close(same(grids)[:, :36], grids[:, :36])


def test_a_crop_counts_less_towards_its_own_borders_only() -> None:
    shares = fading(Region.at(0, 20, 32, 32), (100, 100), CPU)

    assert shares[0, 16] == 1
    assert shares[-1, 16] < 0.5
    assert shares[16, 0] < 0.5
    assert shares[16, 16] == 1


def test_masks_of_both_are_mixed_where_the_crop_lies() -> None:
    whole = Patch(Region.at(2, 2, 4, 4), torch.full((4, 4), 2.0))
    closer = Patch(Region.at(0, 1, 2, 3), torch.full((2, 3), 6.0))
    crop = Region.at(4, 4, 6, 6)

    mixed = mix_patches(whole, closer, crop, torch.full((6, 6), 0.5))

    logits = torch.full((10, 10), -9.2)
    logits[mixed.window] = mixed.logits
    assert logits[2, 2] == 2.0  # outside the crop
    assert logits[4, 5] == 4.0  # found by both
    assert logits[4, 4] == pytest.approx((2 - 9.21) / 2, abs=0.01)  # in the crop, but found in the frame alone
    assert logits[4, 7] == pytest.approx((6 - 9.21) / 2, abs=0.01)  # found in the crop alone


def test_an_object_found_nowhere_stays_nowhere() -> None:
    nowhere = Patch(EMPTY_REGION, torch.zeros(0, 0))

    mixed = mix_patches(nowhere, nowhere, Region.at(4, 4, 6, 6), torch.full((6, 6), 0.5))

    assert mixed.window == EMPTY_REGION
    assert mixed.logits.shape == (0, 0)
