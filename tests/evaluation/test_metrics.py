import math

import numpy as np
import official_davis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from persam_vos.errors import MaskError, MaskSizeError
from persam_vos.evaluation import (
    Statistics,
    boundary_map,
    boundary_similarity,
    boundary_tolerance,
    region_similarity,
    score_label_maps,
    score_masks,
    sequence_statistics,
)


def mask(*rows):
    return np.array([[c == "#" for c in row] for row in rows])


def square(top, left, size, shape=(60, 80)):
    result = np.zeros(shape, bool)
    result[top : top + size, left : left + size] = True
    return result


NONE = np.zeros((60, 80), bool)
ALL = np.ones((60, 80), bool)


@st.composite
def frames(draw, dtype=np.bool_):
    """Two masks of one size: noise, or rectangles that touch borders and have holes, as objects do."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 60))
    values = st.booleans() if dtype == np.bool_ else st.integers(0, 4)
    pair = []
    for _ in range(2):
        if draw(st.booleans()):
            pair.append(draw(hnp.arrays(dtype, (height, width), elements=values)))
            continue
        canvas = np.zeros((height, width), dtype)
        for _ in range(draw(st.integers(0, 4))):
            top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
            bottom, right = draw(st.integers(top + 1, height)), draw(st.integers(left + 1, width))
            canvas[top:bottom, left:right] = draw(values)
        pair.append(canvas)
    return tuple(pair)


def test_region_by_hand():
    assert region_similarity(mask("##..", "##.."), mask(".##.", ".##.")) == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    ("prediction", "truth", "j", "f"),
    [
        (NONE, NONE, 1.0, 1.0),
        (NONE, square(10, 10, 9), 0.0, 0.0),
        (square(10, 10, 9), NONE, 0.0, 0.0),
        (NONE, ALL, 0.0, 1.0),  # a full frame has no contour, so the contours agree
        (ALL, ALL, 1.0, 1.0),
        (ALL, square(10, 10, 9), 81 / 4800, 0.0),
        (square(5, 7, 1), square(5, 7, 1), 1.0, 1.0),
        (square(0, 0, 1), square(59, 79, 1), 0.0, 0.0),
        (square(10, 10, 9), square(40, 60, 9), 0.0, 0.0),
    ],
)
def test_edge_cases(prediction, truth, j, f):
    assert score_masks(prediction, truth) == (pytest.approx(j), pytest.approx(f))
    assert region_similarity(prediction, truth) == pytest.approx(j)
    assert boundary_similarity(prediction, truth) == pytest.approx(f)


def test_boundary_map_of_one_pixel_lies_up_and_left():
    assert np.array_equal(boundary_map(mask("....", "..#.", "....")), mask(".##.", ".##.", "...."))


def test_boundary_map_at_the_last_row_and_column():
    # No contour along the border of the frame; the last row compares to the east, the last column to the south only.
    assert np.array_equal(boundary_map(mask("...", "..#", "..#")), mask(".##", ".#.", ".#."))
    assert np.array_equal(boundary_map(mask("...", "...", "##.")), mask("...", "##.", ".#."))
    assert np.array_equal(boundary_map(mask("...", "...", "..#")), mask("...", ".##", ".#."))
    assert not boundary_map(ALL).any()


@pytest.mark.parametrize(
    ("size", "tolerance"), [((480, 854), 8), ((1080, 1920), 18), ((75, 100), 1), ((300, 400), 4), ((301, 400), 5)]
)
def test_tolerance_is_rounded_up(size, tolerance):
    assert boundary_tolerance(*size) == tolerance


@pytest.mark.parametrize(("dy", "dx"), [(0, 1), (1, 0), (0, -1), (-1, 0)])
def test_shift_by_the_tolerance_matches_and_by_one_more_does_not(dy, dx):
    # One pixel has a contour of 2 x 2, so a shift by tolerance + 1 leaves half of it within reach, and by + 2 nothing.
    shape = (480, 854)
    tolerance = boundary_tolerance(*shape)
    f = [
        boundary_similarity(square(200 + dy * n, 300 + dx * n, 1, shape), square(200, 300, 1, shape))
        for n in (tolerance, tolerance + 1, tolerance + 2)
    ]
    assert f == [1.0, 0.5, 0.0]


def test_tolerance_is_a_disk():
    # Of two 2 x 2 contours (y, x) apart, the farthest pixel is (y, x) from the other, the nearest (y - 1, x - 1).
    shape = (480, 854)
    dot = square(200, 300, 1, shape)
    assert boundary_similarity(square(206, 305, 1, shape), dot) == 1.0  # 36 + 25 <= 64
    assert boundary_similarity(square(206, 307, 1, shape), dot) == 0.25  # 36 + 36 > 64, 25 + 36 <= 64
    assert boundary_similarity(square(207, 307, 1, shape), dot) == 0.0  # 36 + 36 > 64


def test_precision_and_recall_are_combined():
    # The prediction adds a far dot: 4 of 8 contour pixels are right, and all of the true ones are found.
    truth = square(10, 10, 1)
    assert boundary_similarity(truth | square(40, 60, 1), truth) == pytest.approx(2 * 0.5 / 1.5)


def test_contour_does_not_wrap_around_the_border():
    assert boundary_similarity(square(20, 0, 1), square(20, 79, 1)) == 0.0
    assert boundary_similarity(square(20, 0, 1), square(19, 79, 1)) == 0.0


@given(frames())
def test_equals_the_definition_on_the_whole_frame(pair):
    prediction, truth = pair
    assert np.array_equal(boundary_map(truth), official_davis.contour_of(truth))
    assert score_masks(prediction, truth) == (
        float(official_davis.j_of(prediction, truth)),
        float(official_davis.f_of(prediction, truth)),
    )


@pytest.mark.parametrize("shape", [(480, 854), (200, 900), (1, 700), (700, 1), (333, 500)])
def test_equals_the_definition_on_frames_of_real_size(shape):
    rng = np.random.default_rng(sum(shape))
    for _ in range(8):
        pair = []
        for _ in range(2):
            canvas = np.zeros(shape, bool)
            for value in (True, True, False):
                y, x = rng.integers(shape[0]), rng.integers(shape[1])
                canvas[y : y + rng.integers(1, 200), x : x + rng.integers(1, 200)] = value
            pair.append(canvas ^ (rng.random(shape) < 1e-3))
        assert score_masks(*pair) == (float(official_davis.j_of(*pair)), float(official_davis.f_of(*pair)))


@given(frames())
def test_both_measures_are_symmetric_and_within_0_and_1(pair):
    j, f = score_masks(*pair)
    assert (j, f) == score_masks(pair[1], pair[0])
    assert 0 <= j <= 1
    assert 0 <= f <= 1
    assert score_masks(pair[0], pair[0]) == (1.0, 1.0)


@given(frames(np.uint8))
def test_label_maps_score_like_the_masks_of_their_objects(pair):
    prediction, truth = pair
    expected = [score_masks(prediction == n, truth == n) for n in (1, 2, 3)]  # and 4 stands for void
    assert np.array_equal(score_label_maps(prediction, truth, 3), expected)


def test_memory_layout_does_not_matter():
    prediction, truth = square(10, 20, 30), square(12, 25, 30)
    expected = score_masks(prediction, truth)
    padded = np.zeros((120, 160), bool)
    padded[::2, ::2] = prediction
    assert score_masks(padded[::2, ::2], np.asfortranarray(truth)) == expected
    prediction.flags.writeable = False
    assert score_masks(prediction, truth) == expected


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 1), bool), np.zeros((0, 4), bool), np.zeros(4, bool)]
)
def test_what_is_not_a_mask_is_refused(bad):
    with pytest.raises(MaskError, match=r"it must be bool of shape \(height, width\)"):
        score_masks(bad, bad)
    with pytest.raises(MaskError, match="it must be bool"):
        boundary_map(bad)


def test_what_is_not_a_label_map_is_refused():
    with pytest.raises(MaskError, match=r"prediction is int64 \(4, 4\); it must be uint8"):
        score_label_maps(np.zeros((4, 4), np.int64), np.zeros((4, 4), np.uint8), 1)


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(MaskSizeError, match="prediction is 4 x 5, truth is 5 x 4"):
        score_masks(np.zeros((4, 5), bool), np.zeros((5, 4), bool))


def test_statistics_by_hand():
    # 9 frames: the bins are frames 0-2, 2-4, 4-6 and 6-8, so neighbours share one.
    values = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    result = sequence_statistics(values)
    assert result == Statistics(pytest.approx(0.5), pytest.approx(4 / 9), pytest.approx(0.8 - 0.2))


def test_recall_counts_frames_above_one_half_only():
    assert sequence_statistics([0.5, np.nextafter(0.5, 1), 0.0, 1.0]).recall == 0.5


@pytest.mark.parametrize(
    ("length", "first", "last"),
    [(1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 2, 2), (5, 2, 2), (6, 2, 2), (7, 3, 2), (8, 3, 3), (98, 25, 25)],
)
def test_decay_compares_the_outer_bins(length, first, last):
    values = np.arange(length, dtype=float) ** 2
    assert sequence_statistics(values).decay == pytest.approx(values[:first].mean() - values[-last:].mean())


@pytest.mark.parametrize("length", [255, 256, 257, 300, 1000])
def test_decay_of_a_long_sequence_uses_its_own_quarters(length):
    values = np.linspace(1, 0, length)
    quarter = round((length - 1) / 4 + 1e-10)
    expected = values[: quarter + 1].mean() - values[round(3 * (length - 1) / 4 + 1e-10) :].mean()
    assert sequence_statistics(values).decay == pytest.approx(expected, abs=1e-12)


def test_nan_is_left_out_of_mean_and_decay_and_is_not_recalled():
    result = sequence_statistics([math.nan, 1.0, 1.0, 0.0])
    assert result == Statistics(pytest.approx(2 / 3), 0.5, pytest.approx(1.0 - 0.5))
    nothing = sequence_statistics([math.nan, math.nan])
    assert math.isnan(nothing.mean)
    assert nothing.recall == 0.0
    assert math.isnan(nothing.decay)


@settings(max_examples=200)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=255))
def test_statistics_equal_the_official_ones_where_those_do_not_overflow(values):
    values = np.array(values)
    index = (np.round(np.linspace(1, len(values), 5) + 1e-10) - 1).astype(np.uint8).tolist()
    decay = np.nanmean(values[index[0] : index[1] + 1]) - np.nanmean(values[index[3] : index[4] + 1])
    result = sequence_statistics(values)
    assert result.mean == pytest.approx(np.nanmean(values), abs=1e-12)
    assert result.recall == pytest.approx(np.nanmean(values > 0.5), abs=1e-12)
    assert result.decay == pytest.approx(decay, abs=1e-12)


@pytest.mark.parametrize("values", [[], [[0.5, 0.5]], 0.5])
def test_statistics_of_no_sequence_are_refused(values):
    with pytest.raises(ValueError, match="it must be one number per frame, at least one"):
        sequence_statistics(values)
