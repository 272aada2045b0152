"""Variants of sequences: what is hidden is no truth, every kind is as hard as it says, and chance is repeatable."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import pytest
from variants import GROUPS, NEW, VARIANTS, Clip, Source, names_of, sampled
from variants.absence import hidden_frames
from variants.cutouts import cut_out, motion_kernel, paste
from variants.first_masks import ROUGHNESS, grown, piece_missing, polygon, shifted, shrunk

HEIGHT, WIDTH, COUNT = 96, 160, 20


@functools.cache
def footage(colour: tuple[int, int, int], seed: int) -> Clip:
    """Twenty frames of a disk that moves to the right over coloured noise."""
    random = np.random.default_rng(seed)
    frames, label_maps = [], []
    texture = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for i in range(COUNT):
        label_map = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (48 + 2 * i, 48), 33, 1, -1)
        frame = cv2.GaussianBlur(texture, (0, 0), 1.5)
        frame[label_map > 0] = colour
        frames.append(frame)
        label_maps.append(label_map)
    return Clip(frames, label_maps)


def source(turn: int = 0, *, alone: bool = False) -> Source:
    own = footage((255, 0, 0), 1)
    donors = [lambda: footage((0, 0, 255), 2), lambda: footage((0, 255, 0), 3), lambda: footage((255, 255, 0), 4)]
    return Source(own.frames, own.label_maps, 7, turn, [] if alone else donors)


def made(name: str, turn: int = 0) -> Clip:
    clip = VARIANTS[name](source(turn))
    assert clip is not None
    return clip


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("name", NEW)
def test_a_clip_is_complete_and_repeatable(name: str, turn: int) -> None:
    clip, again = made(name, turn), made(name, turn)

    assert len(clip.frames) == len(clip.label_maps) == COUNT
    for rgb, label_map in zip(clip.frames, clip.label_maps, strict=True):
        assert rgb.dtype == label_map.dtype == np.uint8
        assert rgb.shape == (*label_map.shape, 3) == (*clip.label_maps[0].shape, 3)
    objects = 2 if name in ("identical", "front") else 1
    assert np.unique(clip.label_maps[0]).tolist() == list(range(objects + 1))
    for kind in ("frames", "label_maps"):
        assert all(map(np.array_equal, getattr(clip, kind), getattr(again, kind)))


@pytest.mark.parametrize("turn", range(2))
@pytest.mark.parametrize("name", NEW)
def test_an_object_that_comes_later_gives_no_clip_or_another_one(name: str, turn: int) -> None:
    """Object 1 may be missing in frame 0 of a sequence with several objects."""
    own = source(turn)
    late = [np.where(label_map > 0, 2, 0).astype(np.uint8) for label_map in own.label_maps[:5]]
    clip = VARIANTS[name](Source(own.frames, [*late, *own.label_maps[5:]], 7, turn, own.donors))

    assert clip is None or len(clip.frames) == COUNT


def test_frames_of_the_sequence_stay_as_they_are() -> None:
    """A generator that painted into its input would spoil the other kinds."""
    given = source()
    before = [each.copy() for each in (*given.frames, *given.label_maps)]

    for make in VARIANTS.values():
        make(given)

    assert all(map(np.array_equal, before, (*given.frames, *given.label_maps)))


@pytest.mark.parametrize("name", ["identical", "front", "foliage", "gone", "turn"])
def test_a_kind_without_donors_is_left_out(name: str) -> None:
    assert VARIANTS[name](source(alone=True)) is None


def test_a_wall_is_of_another_sequence_than_what_is_behind_it() -> None:
    """It could not be told from it otherwise."""
    given = source()

    for seed in range(20):
        for used in range(3):
            assert given.choose(np.random.default_rng(seed), 1, other_than=used) != used
    assert (
        Source(given.frames, given.label_maps, 7, 0, given.donors[:1]).choose(np.random.default_rng(0), other_than=0)
        == 0
    )


@pytest.mark.parametrize("turn", range(len(ROUGHNESS)))
def test_only_the_first_mask_is_rough(turn: int) -> None:
    clip = made("rough", turn)
    truth, first = clip.label_maps[0] > 0, clip.first_mask
    assert first is not None

    assert all(map(np.array_equal, clip.label_maps, source().label_maps))
    overlap = (truth & (first > 0)).sum() / (truth | (first > 0)).sum()
    assert 0.6 < overlap < 0.99


def test_roughness() -> None:
    mask, random = source().mask(0), np.random.default_rng(1)
    area = mask.sum()

    contours, _ = cv2.findContours(polygon(mask, random).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    assert len(cv2.approxPolyDP(contours[0], 1.5, closed=True)) <= 12
    assert (grown(mask, random) & mask).sum() == area < grown(mask, random).sum()
    assert 0 < shrunk(mask, random).sum() == (shrunk(mask, random) & mask).sum() < area
    assert shifted(mask, random).sum() == area > (shifted(mask, random) & mask).sum()
    assert 0.74 < piece_missing(mask, random).sum() / area < 0.86


def test_likes_hide_each_other_by_turns() -> None:
    """Pixels in the truth of an object show it: both are red, and what the front one hides is not the other's."""
    for turn, overlapping in ((0, True), (1, False), (2, True)):
        clip = made("identical", turn)
        areas = np.array([[(m == k).sum() for k in (1, 2)] for m in clip.label_maps])

        assert (areas.min() < 0.75 * areas.max()) == overlapping
        for rgb, label_map in zip(clip.frames, clip.label_maps, strict=True):
            inside = cv2.erode((label_map > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            assert np.abs(rgb[inside].astype(int) - (255, 0, 0)).max() < 40


def test_likes_swap_sides() -> None:
    for turn in range(3):
        clip = made("identical", turn)
        left, right = (
            np.sign(_middle(m == 1)[0] - _middle(m == 2)[0]) for m in (clip.label_maps[0], clip.label_maps[-1])
        )

        assert left == -right


def _middle(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(axis=0)[::-1]


def test_a_small_object_is_in_front_of_the_large_one() -> None:
    clip, large = made("front"), source().mask(0).sum()

    small = np.array([(each == 2).sum() for each in clip.label_maps])
    assert small.min() > 100
    assert small.max() < 0.3 * large
    hidden = [large - (each == 1).sum() for each in clip.label_maps]
    assert max(hidden) > 0.5 * small.min()


@pytest.mark.parametrize("side", [16, 44])
def test_an_object_grows_and_shrinks_back(side: int) -> None:
    """A small one is zoomed in on; a large one comes nearer on another sequence."""
    given = source()
    maps = [cv2.circle(np.zeros_like(m), (80, 48), side, 1, -1) for m in given.label_maps]
    clip = VARIANTS["zoom"](Source(given.frames, maps, 7, 0, given.donors))
    assert clip is not None

    areas = [int(each.sum()) for each in clip.label_maps]
    middle = max(areas)
    assert areas.index(middle) in (9, 10)
    assert middle > 4 * areas[0]
    assert areas[-1] == pytest.approx(areas[0], rel=0.1)


def test_foliage_hides_and_passes() -> None:
    clip, full = made("foliage"), source().mask(0).sum()

    areas = np.array([each.sum() for each in clip.label_maps])
    assert areas[0] == full
    assert areas.min() < 0.75 * full
    assert areas[-1] > 0.9 * full
    for rgb, own, label_map in zip(clip.frames, source().frames, clip.label_maps, strict=True):
        inside = cv2.erode(label_map, np.ones((7, 7), np.uint8)) > 0
        assert np.abs(rgb[inside].astype(int) - own[inside]).max(initial=0) <= 40


@pytest.mark.parametrize("turn", range(2))
@pytest.mark.parametrize("name", ["gone", "turn"])
def test_an_object_is_gone_and_comes_back_elsewhere(name: str, turn: int) -> None:
    clip, hidden = made(name, turn), hidden_frames(COUNT)

    assert len(hidden) == 6
    assert not any(clip.label_maps[i].any() for i in hidden)
    assert clip.label_maps[0].any()
    assert clip.label_maps[-1].any()
    apart = np.linalg.norm(_middle(clip.label_maps[0] > 0) - _middle(clip.label_maps[-1] > 0))
    assert apart > 0.1 * WIDTH


def test_a_shaken_frame_takes_its_truth_along() -> None:
    clip = made("shake")

    middles = np.array([_middle(each > 0) for each in clip.label_maps])
    assert np.abs(np.diff(middles[:, 1])).max() > 1
    for rgb, label_map in zip(clip.frames, clip.label_maps, strict=True):
        inside = cv2.erode(label_map, np.ones((9, 9), np.uint8)) > 0
        assert (rgb[inside] > (200, 60, 60)).mean(axis=0).tolist() == [1, 0, 0]


def test_light_fades_and_pictures_blur() -> None:
    brightness = [float(each.mean()) for each in made("dim").frames]
    assert min(brightness) < 0.4 * brightness[0]
    assert brightness[-1] > 1.1 * min(brightness)
    for turn in range(2):
        sharpness = [float(cv2.Laplacian(each, cv2.CV_32F).var()) for each in made("blur", turn).frames]
        assert min(sharpness) < 0.5 * sharpness[0] == pytest.approx(0.5 * sharpness[-1], rel=0.1)
    grain = made("noise").frames[0].astype(float) - source().frames[0]
    assert 4 < grain.std() < 30


def test_a_cut_out_carries_no_fringe() -> None:
    """A red disk on blue, pasted on green: no pixel has any blue."""
    mask = cv2.circle(np.zeros((60, 60), np.uint8), (30, 30), 15, 1, -1)
    rgb = np.where(mask[..., None] > 0, np.uint8([255, 0, 0]), np.uint8([0, 0, 255]))
    frame, label_map = np.full((60, 60, 3), (0, 255, 0), np.uint8), np.zeros((60, 60), np.uint8)

    paste(frame, label_map, cut_out(rgb, mask > 0), (30, 30), 3)

    assert frame[..., 2].max() < 90
    assert frame[..., 2].mean() < 1
    assert np.unique(label_map).tolist() == [0, 3]
    assert abs(int((label_map == 3).sum()) - int(mask.sum())) < 0.08 * mask.sum()


def test_what_lies_beyond_the_frame_is_left_out() -> None:
    cutout = cut_out(np.full((20, 20, 3), 200, np.uint8), np.ones((20, 20), bool))
    frame, label_map = np.zeros((30, 30, 3), np.uint8), np.zeros((30, 30), np.uint8)

    paste(frame, label_map, cutout, (0, 30), 1)
    paste(frame, label_map, cutout, (-50, 10), 2)

    rows, columns = label_map.nonzero()
    assert (rows.min(), columns.max(), label_map.max()) == (20, 9, 1)


def test_motion_blur_keeps_the_light() -> None:
    for motion in ((0, 0), (7.5, -3), (0, 12)):
        assert motion_kernel(*motion).sum() == pytest.approx(1)


def test_names_and_frames() -> None:
    assert names_of("old,rough,plain") == [*GROUPS["old"], "rough"]
    assert names_of("all") == [*GROUPS["old"], *GROUPS["new"]]
    with pytest.raises(KeyError):
        names_of("fog")
    assert list(sampled(43)) == list(range(0, 40, 2))
    assert list(sampled(30)) == list(range(20))
