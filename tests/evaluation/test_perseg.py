import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import spoil_png
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from persam_vos.errors import DatasetError, MaskError, MaskSizeError, OutputError
from persam_vos.evaluation import (
    ClassScore,
    Overlap,
    PerSegDataset,
    PerSegMeans,
    PerSegScores,
    PhotoScore,
    boundary_band,
    compare_masks,
    read_png_label_map,
    read_png_mask,
    score_perseg,
)


def as_palette(mask):
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    return image


def as_rgb(mask):
    return Image.fromarray(mask[..., None].astype(np.uint8) * np.array([128, 0, 0], np.uint8))


def as_grey(mask):
    return Image.fromarray(mask.astype(np.uint8) * np.uint8(255))


ENCODINGS = {"palette": as_palette, "rgb": as_rgb, "grey": as_grey, "bits": Image.fromarray}


def save(mask, path, encoding="palette", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    ENCODINGS[encoding](mask).save(path, **options)


def box(top, left, height, width, shape=(20, 20)):
    mask = np.zeros(shape, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def add_photo(root, class_name, number, prediction, truth, encoding="palette"):
    """Write a photo without content, its annotation, and a result under root/results."""
    photo = root / "Images" / class_name / f"{number}.jpg"
    photo.parent.mkdir(parents=True, exist_ok=True)
    photo.touch()
    save(truth, root / "Annotations" / class_name / f"{number}.png", encoding)
    save(prediction, root / "results" / class_name / f"{number}.png", encoding)


def make_tiny(root, encoding="palette"):
    """Boxes of 2 x 2, so small that the band along the contour is all of them, hence IoU and Boundary IoU are equal.

    Of class a, the reference is missed; photo 01 shares 2 pixels with the truth of 4 and has 4 in all, photo 02 is
    right: 6 of 10 pixels without the reference, 6 of 18 with it. Class b is right but for the reference, twice as big.
    """
    truth = box(5, 5, 2, 2)
    add_photo(root, "a", "00", box(5, 9, 2, 2), truth, encoding)
    add_photo(root, "a", "01", box(5, 6, 2, 2), truth, encoding)
    add_photo(root, "a", "02", truth, truth, encoding)
    add_photo(root, "b", "00", box(5, 5, 2, 4), truth, encoding)
    add_photo(root, "b", "01", truth, truth, encoding)
    return root, root / "results"


@pytest.fixture
def folders(tmp_path):
    return make_tiny(tmp_path)


def plain_band(mask):
    """Boundary IoU's band by its definition: a window in which not every pixel is of the mask, from sums of areas."""
    height, width = mask.shape
    distance = max(1, int(round(0.02 * np.sqrt(height**2 + width**2))))  # noqa: RUF046, as numpy rounds
    side = 2 * distance + 1
    sums = np.pad(np.pad(mask.astype(np.int64), distance), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    windows = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return mask & (windows < side * side)


def plain_scores(results, root, with_reference):
    """The authors' way: coloured pixels by OpenCV, files by their order, sums per class, means over the classes."""
    per_class = []
    for folder in sorted(each for each in (root / "Annotations").iterdir() if not each.name.startswith(".")):
        sums = np.zeros(5)
        for truth_path in sorted(folder.glob("*.png")):
            if truth_path.stem == "00" and not with_reference:
                continue
            truth, found = (
                cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2GRAY) > 0
                for path in (truth_path, results / folder.name / truth_path.name)
            )
            bands = plain_band(found), plain_band(truth)
            sums += [
                np.logical_and(found, truth).sum(),
                np.logical_or(found, truth).sum(),
                truth.sum(),
                np.logical_and(*bands).sum(),
                np.logical_or(*bands).sum(),
            ]
        per_class.append((sums[0] / sums[1], sums[0] / sums[2], sums[3] / sums[4]))
    return 100 * np.array(per_class)


def assert_equals_plain(scores, results, root):
    for with_reference in (False, True):
        expected = plain_scores(results, root, with_reference)
        which = "with_reference" if with_reference else "without_reference"
        found = [getattr(each, which) for each in scores.classes]
        assert [(o.iou, o.accuracy, o.boundary_iou) for o in found] == [
            pytest.approx(row, abs=1e-9) for row in expected
        ]
        means = getattr(scores, which)
        assert (means.miou, means.macc, means.mbiou) == pytest.approx(expected.mean(axis=0), abs=1e-9)


@st.composite
def mask_pairs(draw):
    """Two masks of one size: noise, or rectangles that touch borders and have holes; the second is not empty."""
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 130))  # bands of 1 to 3 pixels
    pair = []
    for _ in range(2):
        mask = np.zeros(shape, bool)
        if draw(st.booleans()):
            mask = draw(hnp.arrays(bool, shape))
        for _ in range(draw(st.integers(0, 4))):
            top, left = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
            mask[top : draw(st.integers(top + 1, shape[0])), left : draw(st.integers(left + 1, shape[1]))] = draw(
                st.booleans()
            )
        pair.append(mask)
    pair[1][0, 0] |= not pair[1].any()
    return tuple(pair)


# Overlap of two masks.


def test_overlap_by_hand():
    # 20 x 20: the band is 1 pixel wide, and that of a box of 6 x 6 has 36 - 16 pixels. Two such boxes, two columns
    # apart, share 24 pixels; of their bands 4 pixels of the top and 4 of the bottom row.
    overlap = compare_masks(box(3, 5, 6, 6), box(3, 3, 6, 6))
    assert overlap == Overlap(intersection=24, union=48, truth=36, boundary_intersection=8, boundary_union=32)
    assert (overlap.iou, overlap.accuracy, overlap.boundary_iou) == pytest.approx((50, 200 / 3, 25))


@pytest.mark.parametrize(
    ("mask", "area"),
    [
        (box(3, 3, 6, 6), 20),
        (box(0, 0, 6, 6), 20),  # the border of the photo is contour as well
        (box(0, 0, 20, 20), 76),
        (box(3, 3, 2, 6), 12),
        (box(3, 3, 0, 0), 0),
        (box(20, 30, 10, 10, (100, 100)), 100 - 16),  # 2 % of 141.4 is 2.8, so 3
        (box(0, 0, 60, 45, (60, 45)), 60 * 45 - 56 * 41),  # 2 % of 75 is 1.5, so 2
        (box(0, 0, 7, 24, (7, 24)), 7 * 24 - 5 * 22),  # 2 % of 25 is 0.5; at least 1
    ],
)
def test_band_by_hand(mask, area):
    band = boundary_band(mask)
    assert band.dtype == bool
    assert np.count_nonzero(band) == area
    assert not (band & ~mask).any()


def test_band_goes_round_a_hole():
    ring = box(3, 3, 9, 9) & ~box(7, 7, 1, 1)
    expected = ring & ~(box(4, 4, 7, 7) & ~box(6, 6, 3, 3))
    assert np.array_equal(boundary_band(ring), expected)


@given(mask_pairs())
def test_overlap_equals_the_definition(pair):
    prediction, truth = pair
    bands = plain_band(prediction), plain_band(truth)
    assert np.array_equal(boundary_band(prediction), bands[0])
    counts = (prediction & truth, prediction | truth, truth, bands[0] & bands[1], bands[0] | bands[1])
    assert compare_masks(prediction, truth) == Overlap(*(int(each.sum()) for each in counts))


@given(mask_pairs())
def test_what_is_true_of_any_two_masks(pair):
    prediction, truth = pair
    overlap = compare_masks(prediction, truth)
    assert 0 <= overlap.iou <= overlap.accuracy <= 100
    assert 0 <= overlap.boundary_iou <= 100
    assert (overlap.iou == 100) == np.array_equal(prediction, truth)
    assert overlap.boundary_intersection <= overlap.intersection
    assert overlap.boundary_union <= overlap.union
    if prediction.any():
        swapped = compare_masks(truth, prediction)
        assert (swapped.iou, swapped.boundary_iou) == (overlap.iou, overlap.boundary_iou)


@given(mask_pairs())
def test_perfect_prediction_scores_100(pair):
    overlap = compare_masks(pair[1], pair[1])
    assert (overlap.iou, overlap.accuracy, overlap.boundary_iou) == (100, 100, 100)


@given(mask_pairs())
def test_turning_the_photo_changes_nothing(pair):
    assert compare_masks(*(np.ascontiguousarray(np.rot90(mask)) for mask in pair)) == compare_masks(*pair)


def test_masks_may_be_views():
    wide = np.random.default_rng(0).random((40, 60)) > 0.3
    pair = wide[::2, ::2], wide[::-2, ::-2]
    assert compare_masks(*pair) == compare_masks(*(mask.copy() for mask in pair))


def test_masks_that_cannot_be_compared():
    with pytest.raises(MaskError, match="truth is empty"):
        compare_masks(box(3, 3, 6, 6), box(3, 3, 0, 0))
    with pytest.raises(MaskSizeError, match=r"prediction has shape \(20, 20\), truth \(20, 21\)"):
        compare_masks(box(3, 3, 6, 6), box(3, 3, 6, 6, (20, 21)))
    for odd in (np.zeros((3, 3), np.uint8), np.zeros((3, 3, 3), bool), np.zeros((0, 3), bool)):
        with pytest.raises(MaskError, match=r"it must be bool of shape \(height, width\)"):
            boundary_band(odd)


# Scores of folders.


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_scores_by_hand(tmp_path, encoding):
    root, results = make_tiny(tmp_path, encoding)
    scores = score_perseg(results, root)
    a, b = scores.classes
    assert (a.name, [photo.name for photo in a.photos], b.name) == ("a", ["00", "01", "02"], "b")
    assert [photo.is_reference for photo in a.photos] == [True, False, False]
    assert [photo.iou for photo in a.photos] == pytest.approx([0, 100 / 3, 100])
    assert a.without_reference == Overlap(6, 10, 8, 6, 10)
    assert a.with_reference == Overlap(6, 18, 12, 6, 18)
    assert (a.iou, b.iou) == pytest.approx((60, 100))
    assert scores.without_reference == PerSegMeans(80, 87.5, 80)
    assert scores.miou == 80
    with_reference = scores.with_reference
    assert with_reference.miou == with_reference.mbiou == pytest.approx((100 / 3 + 100 * 8 / 12) / 2)
    assert with_reference.macc == pytest.approx((50 + 100) / 2)


def test_table_by_hand(folders):
    assert score_perseg(folders[1], folders[0]).table().splitlines() == [
        "                     photos     IoU     Acc    BIoU",
        "a                         2   60.00   75.00   60.00",
        "b                         1  100.00  100.00  100.00",
        "mean                      3   80.00   87.50   80.00",
        "mean with reference       5   50.00   75.00   50.00",
        "mIoU: 80.00",
    ]


def test_table_has_room_for_a_long_name():
    name = "a_class_with_a_name_that_is_long"
    photos = tuple(PhotoScore(number, Overlap(1, 1, 1, 1, 1)) for number in ("00", "01"))
    *rows, last = PerSegScores((ClassScore(name, photos),)).table().splitlines()
    assert {len(row) for row in rows} == {len(name) + 8 + 3 * 8}
    assert last == "mIoU: 100.00"


def test_files_by_hand(folders):
    root, results = folders
    paths = score_perseg(results, root).write(root / "new" / "folder")
    kinds = ["global", "per-class", "per-photo"]
    assert paths == tuple(root / "new" / "folder" / f"{kind}_results-perseg.csv" for kind in kinds)
    assert [path.read_bytes().decode().split("\n") for path in paths] == [
        [
            "mIoU,mAcc,mBIoU,mIoU-with-Reference,mAcc-with-Reference,mBIoU-with-Reference",
            "80.000000,87.500000,80.000000,50.000000,75.000000,50.000000",
            "",
        ],
        [
            "Class,IoU,Acc,BIoU,IoU-with-Reference,Acc-with-Reference,BIoU-with-Reference",
            "a,60.000000,75.000000,60.000000,33.333333,50.000000,33.333333",
            "b,100.000000,100.000000,100.000000,66.666667,100.000000,66.666667",
            "",
        ],
        [
            "Class,Photo,Is-Reference,IoU,Acc,BIoU",
            "a,00,1,0.000000,0.000000,0.000000",
            "a,01,0,33.333333,50.000000,33.333333",
            "a,02,0,100.000000,100.000000,100.000000",
            "b,00,1,50.000000,100.000000,50.000000",
            "b,01,0,100.000000,100.000000,100.000000",
            "",
        ],
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_random_folders_equal_the_plain_definition(tmp_path, seed):
    rng = np.random.default_rng(seed)
    for class_name in ("bear", "can", "duck"):
        for number in range(rng.integers(2, 5)):
            shape = rng.integers(20, 120, 2)
            smooth = [cv2.GaussianBlur(rng.normal(size=shape), (0, 0), 4) for _ in range(2)]
            truth, prediction = smooth[0] > 0, smooth[0] + 0.5 * smooth[1] > 0.02
            add_photo(tmp_path, class_name, f"{number:02d}", prediction, truth, list(ENCODINGS)[number])
    scores = score_perseg(tmp_path / "results", tmp_path)
    assert 0 < scores.without_reference.mbiou < scores.miou < 100
    assert_equals_plain(scores, tmp_path / "results", tmp_path)


def test_real_annotations_equal_the_plain_definition(tmp_path, shared_data):
    root = shared_data("perseg")
    dataset = PerSegDataset(root)
    for class_name in dataset.classes:
        for i, photo in enumerate(dataset.photos(class_name)):
            path = dataset.annotation(photo)
            truth = dataset.mask(path).astype(np.uint8)
            found = cv2.erode(np.roll(truth, (-9 * i, 14), (0, 1)), np.ones((11 + 8 * i, 5)))
            save(found > 0, tmp_path / class_name / path.name, list(ENCODINGS)[i])
    scores = score_perseg(tmp_path, root)
    assert len(scores.classes) == len(dataset.classes)
    assert_equals_plain(scores, tmp_path, root)


def test_real_annotations_score_100_against_themselves(shared_data):
    root = shared_data("perseg")
    scores = score_perseg(root / "Annotations", root)
    assert scores.without_reference == scores.with_reference == PerSegMeans(100, 100, 100)


def test_classes_are_scored_as_asked_for(folders):
    root, results = folders
    expected = {each.name: each for each in score_perseg(results, root).classes}
    assert score_perseg(results, root, classes=["b", "a", "b"]).classes == (expected["b"], expected["a"])
    shutil.rmtree(results / "a")
    shutil.rmtree(root / "Annotations/a")
    assert score_perseg(results, root, classes=["b"]).miou == 100


def test_progress_counts_photos(folders):
    seen = []
    score_perseg(folders[1], folders[0], progress=lambda *counts: seen.append(counts))
    assert seen == [(n, 5) for n in range(1, 6)]


def test_what_is_no_mask_lies_beside_results_in_peace(folders):
    root, results = folders
    (results / "a/vis_mask_00.jpg").touch()
    (results / "a/.00.png").touch()
    (results / "global_results-perseg.csv").touch()
    assert score_perseg(results, root).miou == 80


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (Path.unlink, "a: 01.png is missing; there must be a mask of every photo"),
        (lambda path: path.with_name("00.png").unlink(), "a: 00.png is missing"),
        (lambda path: save(box(1, 1, 2, 2), path.with_name("03.png")), "03.png is not in .*; allowed: 00.png, 01"),
        (lambda path: shutil.rmtree(path.parent), "folder .*a cannot be read .No such file"),
        (lambda path: save(box(1, 1, 2, 2, (20, 21)), path), "01.png is 20 x 21; its annotation is 20 x 20"),
        (spoil_png.truncate, "01.png cannot be read as PNG .it ends too early"),
        (spoil_png.empty, "01.png cannot be read as PNG .it does not start like one"),
        (spoil_png.flip_bit, "01.png cannot be read as PNG .its b'IDAT' has a wrong checksum"),
        (spoil_png.claim_huge, "01.png cannot be read as PNG .it claims 65536 x 65536 pixels; allowed"),
        (lambda path: Image.new("RGBA", (20, 20)).save(path), r"01.png is a PNG of mode RGBA; allowed: palette \(P\)"),
    ],
)
def test_bad_result_is_one_line_that_names_the_file(folders, spoil, reason):
    root, results = folders
    spoil(results / "a/01.png")
    with pytest.raises(DatasetError, match=reason) as caught:
        score_perseg(results, root)
    assert str(results / "a") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda root: shutil.rmtree(root / "Images"), "folder .*Images cannot be read"),
        (lambda root: shutil.rmtree(root / "Annotations"), "folder .*Annotations cannot be read"),
        (lambda root: [shutil.rmtree(root / "Images" / name) for name in "ab"], "Images: no class is there"),
        (lambda root: (root / "Images/cc").mkdir(), "folder .*cc cannot be read"),
        (lambda root: [(root / kind / "cc").mkdir() for kind in ("Images", "Annotations")], "cc is an empty class"),
        (lambda root: (root / "Annotations/cc").mkdir(), "Annotations: class cc has no folder in .*Images; remove it"),
        (lambda root: (root / "Images/my cat").mkdir(), "Images has a class 'my cat'; a class must be a plain name"),
        (lambda root: (root / "Images/a/03.jpg").touch(), "a: 03.jpg has no annotation in .*a; add it"),
        (lambda root: (root / "Images/a/02.jpg").unlink(), "a: 02.png has no photo in .*a; remove it"),
        (lambda root: (root / "Images/a/01.png").touch(), "a: 01.jpg and 01.png have one number; keep one of them"),
        (lambda root: (root / "Images/a/1,5.jpg").touch(), "a: '1,5.jpg' is no plain name"),
        (
            lambda root: [p.unlink() for p in root.glob("*/a/00.*")],
            "Images.a.00.jpg is missing; photo 00 of a class is",
        ),
        (lambda root: [p.unlink() for p in root.glob("*/b/01.*")], "b.00.jpg is the only photo of its class"),
        (lambda root: save(box(0, 0, 0, 0), root / "Annotations/a/02.png"), "a.02.png holds no object; an annotation"),
        (lambda root: spoil_png.truncate(root / "Annotations/a/00.png"), "a.00.png cannot be read as PNG"),
    ],
)
def test_bad_dataset_is_one_line_that_names_the_file(folders, spoil, reason):
    root, results = folders
    spoil(root)
    with pytest.raises(DatasetError, match=reason) as caught:
        score_perseg(results, root)
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_failed_write_leaves_the_old_files_and_nothing_else(folders, monkeypatch):
    root, results = folders
    scores = score_perseg(results, root)
    paths = scores.write(root / "out")
    before = {path: path.read_bytes() for path in paths}

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match=r"global_results-perseg.csv: cannot be written \(No space left on device\)"):
        PerSegScores(scores.classes[:1]).write(root / "out")
    assert {path: path.read_bytes() for path in (root / "out").iterdir()} == before


def test_output_folder_that_is_a_file(folders):
    with pytest.raises(OutputError, match="cannot be written"):
        score_perseg(folders[1], folders[0]).write(folders[0] / "Annotations/a/00.png")


# The dataset on disk.


def test_photos_are_in_the_order_of_their_numbers_and_know_their_annotations(tmp_path):
    for number in ("00", "9", "10", "100"):
        add_photo(tmp_path, "cat", number, box(1, 1, 2, 2), box(1, 1, 2, 2))
    folder = tmp_path / "Images/cat"
    (folder / "9.jpg").rename(folder / "9.jpeg")
    (folder / "10.jpg").rename(folder / "10.png")
    for hidden in ("Images/.DS_Store", "Images/cat/._00.jpg", "Annotations/cat/.DS_Store", "Annotations/cat/._00.png"):
        (tmp_path / hidden).touch()
    (tmp_path / "Images/notes.txt").touch()
    (tmp_path / "Images/.cache").mkdir()
    dataset = PerSegDataset(tmp_path)
    assert dataset.root == tmp_path
    assert dataset.classes == ("cat",)
    assert [photo.name for photo in dataset.photos("cat")] == ["00.jpg", "9.jpeg", "10.png", "100.jpg"]
    assert dataset.reference("cat") == folder / "00.jpg"
    assert dataset.annotation(folder / "10.png") == tmp_path / "Annotations/cat/10.png"
    assert np.array_equal(dataset.mask(dataset.annotation(folder / "10.png")), box(1, 1, 2, 2))
    dataset.photos("cat").clear()
    assert len(dataset.photos("cat")) == 4


def test_classes_are_sorted_or_as_asked_for(folders):
    root, _ = folders
    add_photo(root, "B10", "00", box(1, 1, 2, 2), box(1, 1, 2, 2))
    assert PerSegDataset(root).classes == ("B10", "a", "b")
    assert PerSegDataset(root, classes=["b", "a", "b"]).classes == ("b", "a")


def test_classes_and_photos_that_are_not_there(folders):
    root, _ = folders
    for unknown in ("cat", "../Images/a", ""):
        with pytest.raises(DatasetError, match=r"no class .*Images; allowed: a, b"):
            PerSegDataset(root, classes=["a", unknown])
    with pytest.raises(DatasetError, match="no class is asked for; give at least one"):
        PerSegDataset(root, classes=[])
    dataset = PerSegDataset(root, classes=["a"])
    for method in (dataset.photos, dataset.reference):
        with pytest.raises(DatasetError, match="no class 'b' in use; allowed: a"):
            method("b")
    for photo in (root / "Images/a/07.jpg", root / "Images/b/00.jpg", root / "elsewhere/a/00.jpg"):
        with pytest.raises(DatasetError, match="is no photo of") as caught:
            dataset.annotation(photo)
        assert str(caught.value).startswith(str(photo))


# Masks as PNG.


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("shape", [(1, 1), (37, 53), (300, 200)])
def test_every_encoding_reads_as_the_same_mask(tmp_path, encoding, shape):
    mask = np.random.default_rng(0).random(shape) > 0.4
    for each in (mask, np.zeros(shape, bool), np.ones(shape, bool)):
        save(each, tmp_path / "mask.png", encoding, optimize=True)
        read = read_png_mask(tmp_path / "mask.png")
        assert read.dtype == bool
        assert np.array_equal(read, each)


def test_dark_and_grey_objects_count(tmp_path):
    values = np.array([[0, 1], [128, 255]], np.uint8)
    Image.fromarray(values).save(tmp_path / "grey.png")
    rgb = np.zeros((2, 2, 3), np.uint8)
    rgb[0, 1, 0], rgb[1, 0, 1], rgb[1, 1, 2] = 1, 2, 3
    Image.fromarray(rgb).save(tmp_path / "rgb.png")
    for name in ("grey.png", "rgb.png"):
        assert read_png_mask(tmp_path / name).tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize(
    ("palette", "background"),
    [
        ([0, 0, 0, 128, 0, 0], 0),
        ([0, 0, 0, 0, 0, 0], 0),  # without colours the index says it
        ([255, 255, 255, 0, 0, 0], 1),  # black is the background, wherever it is in the palette
        ([128, 0, 0, 0, 0, 0], 1),
        ([68, 1, 84, 253, 231, 37], 0),  # without black, too
    ],
)
@pytest.mark.parametrize("bits", [1, 8])
def test_palettes_in_any_order(tmp_path, palette, background, bits):
    indices = np.random.default_rng(0).integers(0, 2, (30, 40), np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(palette)
    image.save(tmp_path / "mask.png", bits=bits)
    assert np.array_equal(read_png_mask(tmp_path / "mask.png"), indices != background)


def test_png_of_two_headers_is_refused(tmp_path):
    path = tmp_path / "mask.png"
    save(box(1, 1, 2, 2), path)
    spoil_png.add_second_header(path)
    for read in (read_png_mask, read_png_label_map):
        with pytest.raises(DatasetError, match=r"mask.png cannot be read as PNG \(it has 2 headers\)"):
            read(path)


def test_what_else_a_png_holds_does_not_matter(tmp_path):
    mask = np.random.default_rng(0).random((37, 53)) > 0.4
    notes = PngInfo()
    notes.add(b"acTL", b"no animation")
    notes.add(b"eXIf", b"no EXIF")
    notes.add_text("Comment", "x" * 10_000_000, zip=True)
    save(mask, tmp_path / "mask.png", "rgb", pnginfo=notes, icc_profile=b"no profile")
    assert np.array_equal(read_png_mask(tmp_path / "mask.png"), mask)
