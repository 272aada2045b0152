import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import official_davis
import pytest
import spoil_png
from PIL import Image

from persam_vos.errors import DatasetError, OutputError, SettingsError
from persam_vos.evaluation import DavisDataset, DavisScores, davis, read_png_label_map, score_davis
from persam_vos.masks import VOID

PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0] + [7] * 756
FIGURES = ("mean", "recall", "decay")


def save(labels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    image.putpalette(PALETTE)
    image.save(path)


def make_sequence(frames, objects, seed, shape=(60, 90)):
    """Boxes with holes that move and overlap, the last one gone for some frames; a strip of void."""
    rng = np.random.default_rng(seed)
    starts, steps = rng.integers(5, 30, (objects, 2)), rng.integers(-2, 4, (objects, 2))
    for frame in range(frames):
        labels = np.zeros(shape, np.uint8)
        for n in range(objects):
            if n == objects - 1 and frames // 2 <= frame < frames // 2 + 3:
                continue
            y, x = np.maximum(starts[n] + frame * steps[n] + (0, 12 * n), 0)
            labels[y : y + 18, x : x + 16] = n + 1
            labels[y + 6 : y + 10, x + 5 : x + 9] = 0
        labels[:, -4:-2] = VOID
        yield labels


def make_davis(root, year=2017):
    """A split of two sequences, and results that are eroded, moved and now and then empty."""
    results = root / "results"
    for name, frames, objects in (("crossing", 9, 3), ("leaving", 12, 2)):
        for i, labels in enumerate(make_sequence(frames, objects, seed=len(name))):
            truth = np.where(labels > 0, np.uint8(255), labels) if year == 2016 else labels
            save(truth, root / "Annotations/480p" / name / f"{i:05d}.png")
            objects_only = np.where(labels == VOID, 0, truth)
            guess = np.roll(objects_only, (i % 3, -i % 4), (0, 1))
            save(cv2.erode(guess, np.ones((3, 3))) * np.uint8(i != 5), results / name / f"{i:05d}.png")
    lists = root / "ImageSets" / str(year)
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("crossing\nleaving\n\n")
    return root, results


@pytest.fixture
def folders(tmp_path):
    return make_davis(tmp_path)


def assert_equals_oracle(scores, results, root):
    expected = official_davis.score(
        results, root / "Annotations/480p", dict.fromkeys(o.sequence for o in scores.objects), scores.year
    )
    assert [(o.sequence, o.object_id) for o in scores.objects] == list(expected)
    for scored, (j, f) in zip(scores.objects, expected.values(), strict=True):
        assert [getattr(scored.j, figure) for figure in FIGURES] == pytest.approx(j, abs=1e-9)
        assert [getattr(scored.f, figure) for figure in FIGURES] == pytest.approx(f, abs=1e-9)
    totals = np.mean(list(expected.values()), axis=0)
    assert [[getattr(each, figure) for figure in FIGURES] for each in (scores.j, scores.f)] == [
        pytest.approx(row, abs=1e-9) for row in totals
    ]
    assert scores.jf_mean == pytest.approx(totals[:, 0].mean(), abs=1e-9)


def assert_equals_vos_benchmark(scores, results, annotations):
    benchmark = pytest.importorskip("vos_benchmark.benchmark", reason="the independent scorer is not installed")
    evaluate = benchmark.VideoEvaluator(str(annotations), str(results))
    for sequence in dict.fromkeys(o.sequence for o in scores.objects):
        _, j, f = evaluate(sequence)  # in percent
        for scored in (o for o in scores.objects if o.sequence == sequence):
            assert scored.j.mean == pytest.approx(j[scored.object_id] / 100, abs=1e-6)
            assert scored.f.mean == pytest.approx(f[scored.object_id] / 100, abs=1e-6)


@pytest.mark.parametrize("year", [2016, 2017])
def test_synthetic_split_equals_the_official_definition(tmp_path, year):
    root, results = make_davis(tmp_path, year)
    scores = score_davis(results, root, year=year)
    assert len(scores.objects) == (2 if year == 2016 else 5)
    assert_equals_oracle(scores, results, root)


def test_synthetic_split_equals_vos_benchmark(folders):
    root, results = folders
    scores = score_davis(results, root)
    for path in (root / "Annotations/480p").rglob("*.png"):  # vos-benchmark takes void for an object
        labels = np.array(Image.open(path))
        save(labels * (labels != VOID), path)
    assert_equals_vos_benchmark(scores, results, root / "Annotations/480p")
    assert_equals_oracle(scores, results, root)


@pytest.mark.parametrize("name", ["davis", "davis-composite"])
def test_real_annotations_equal_both_scorers(name, tmp_path, shared_data):
    root, results = tmp_path / "DAVIS", tmp_path / "results"
    dataset = first_frames(DavisDataset(shared_data(name)), root, sequences=3, frames=12)
    for sequence in dataset.sequences:
        for i, path in enumerate(dataset.annotations(sequence)):
            labels = np.roll(dataset.label_map(path), (i % 11, -i % 7), (0, 1))
            save(cv2.erode(labels, np.ones((1 + i % 9, 1 + i % 5))), results / sequence / path.name)
    scores = score_davis(results, root)
    assert_equals_oracle(scores, results, root)
    assert_equals_vos_benchmark(scores, results, root / "Annotations/480p")


def first_frames(dataset, root, sequences, frames):
    """Copy the first annotations of the first sequences of a dataset."""
    for sequence in dataset.sequences[:sequences]:
        (root / "Annotations/480p" / sequence).mkdir(parents=True)
        for path in dataset.annotations(sequence)[:frames]:
            shutil.copy(path, root / "Annotations/480p" / sequence)
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("\n".join(dataset.sequences[:sequences]))
    return DavisDataset(root)


def make_tiny(root, results):
    """One object, frames 0 to 3: found in frame 1, lost in frame 2; the others are not scored."""
    for i in range(4):
        labels = np.zeros((40, 50), np.uint8)
        labels[10:20, 10:30] = 1
        save(labels, root / f"Annotations/480p/a/{i:05d}.png")
        if i in (1, 2):
            save(labels * np.uint8(i == 1), results / f"a/{i:05d}.png")
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("a\n")


def test_tables_by_hand(tmp_path):
    make_tiny(tmp_path, tmp_path / "results")
    scores = score_davis(tmp_path / "results", tmp_path)
    assert scores.objects[0].j_values.tolist() == scores.objects[0].f_values.tolist() == [1.0, 0.0]
    overall, per_sequence = scores.write(tmp_path / "new" / "folder")
    assert overall.name == "global_results-val.csv"
    assert overall.read_bytes() == (
        b"J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay\n"
        b"0.500000,0.500000,0.500000,1.000000,0.500000,0.500000,1.000000\n"
    )
    assert per_sequence.name == "per-sequence_results-val.csv"
    assert per_sequence.read_bytes() == b"Sequence,J-Mean,F-Mean\na_1,0.500000,0.500000\n"


def test_first_and_last_frame_are_not_even_read(folders):
    root, results = folders
    expected = score_davis(results, root)
    (results / "crossing/00000.png").write_bytes(b"")
    (results / "crossing/00008.png").unlink()
    (results / "crossing/notes.txt").write_text("not a mask")
    (results / "crossing/._00004.png").write_bytes(b"what macOS leaves beside a file")
    assert score_davis(results, root).jf_mean == expected.jf_mean


def test_sequences_selects_from_the_split(folders):
    root, results = folders
    shutil.rmtree(results / "crossing")
    scores = score_davis(results, root, sequences=["leaving"])
    assert [(o.sequence, o.object_id) for o in scores.objects] == [("leaving", 1), ("leaving", 2)]


def test_one_worker_makes_no_pool_and_gives_the_same(folders, monkeypatch):
    root, results = folders
    expected = score_davis(results, root, workers=3)
    monkeypatch.setattr(davis, "ThreadPoolExecutor", None)
    scores = score_davis(results, root, workers=1)
    for one, other in zip(scores.objects, expected.objects, strict=True):
        assert np.array_equal(one.j_values, other.j_values)
        assert np.array_equal(one.f_values, other.f_values)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_counts_frames_and_an_interrupt_in_it_stops_the_work(folders, workers):
    root, results = folders
    seen = []
    score_davis(results, root, workers=workers, progress=lambda *counts: seen.append(counts))
    assert seen == [(n, 17) for n in range(1, 18)]

    def interrupt(*_):
        raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        score_davis(results, root, workers=workers, progress=interrupt)
    assert threading.active_count() == threads


def write_rgb(path):
    Image.open(path).convert("RGB").save(path)


def write_id(value):
    def write(path):
        labels = np.array(Image.open(path))
        labels[0, 0] = value
        save(labels, path)

    return write


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (Path.unlink, "is missing; all frames but the first and the last are scored"),
        (write_rgb, r"is a PNG of mode RGB; allowed: palette \(P\) or 8-bit greyscale \(L\) with object ids"),
        (spoil_png.truncate, "cannot be read as PNG .it ends too early"),
        (spoil_png.empty, "cannot be read as PNG .it does not start like one"),
        (spoil_png.flip_bit, "cannot be read as PNG .its b'IDAT' has a wrong checksum"),
        (spoil_png.claim_huge, "it claims 65536 x 65536 pixels; allowed"),
        (write_id(4), "holds the id 4; allowed: 0..3, the objects of the first annotation"),
        (write_id(255), "holds the id 255; allowed: 0..3, .*; masks of 0 and 255 are for year 2016"),
        (lambda path: save(np.zeros((90, 60), np.uint8), path), "is 90 x 60; its annotation is 60 x 90"),
        (lambda path: path.rename(path.with_name("00044.png")), r"00044.png is no frame of .*00000.png .. 00008.png"),
    ],
)
def test_bad_result_is_one_line_that_names_the_file(folders, spoil, reason, workers):
    root, results = folders
    spoil(results / "crossing/00004.png")
    with pytest.raises(DatasetError, match=reason) as caught:
        score_davis(results, root, workers=workers)
    assert str(results / "crossing") in str(caught.value)
    assert "00004" in str(caught.value) or "00044" in str(caught.value)
    assert "\n" not in str(caught.value)


def remove_frames(root):
    for path in (root / "Annotations/480p/leaving").glob("*.png"):
        if path.stem > "00001":
            path.unlink()


def add_frame(root):
    for stem in ("00000", "00001", "00099"):
        path = root / f"JPEGImages/480p/crossing/{stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda root: (root / "ImageSets/2017/val.txt").unlink(), "val.txt: the list of sequences cannot be read"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_bytes(b"\xff"), "val.txt: the list .* cannot be read"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_text(" \n"), "val.txt: no sequence is listed"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_text("../x"), r"val.txt lists '../x'; .* plain name"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_text("a\na"), "val.txt lists 'a' more than once"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_text("absent"), "480p.absent cannot be read .No such"),
        (lambda root: shutil.rmtree(root / "results"), "crossing: no such folder; results have a folder"),
        (lambda root: save(np.zeros((60, 90), np.uint8), root / "Annotations/480p/leaving/00000.png"), "no object"),
        (lambda root: [p.unlink() for p in (root / "Annotations/480p/leaving").iterdir()], "leaving holds no .png"),
        (remove_frames, "leaving holds 2 annotation.s.; at least 3 are needed"),
        (add_frame, "crossing has no annotation of frame 00099"),
    ],
)
def test_bad_dataset_is_one_line_that_names_the_file(folders, spoil, reason):
    root, results = folders
    spoil(root)
    with pytest.raises(DatasetError, match=reason) as caught:
        score_davis(results, root)
    assert str(root) in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"year": 2018}, SettingsError, "year is 2018; allowed: 2016, 2017"),
        ({"split": "../val"}, SettingsError, "split is '../val'; it must be a plain name"),
        ({"resolution": ".."}, SettingsError, r"resolution is '\.\.'"),
        ({"workers": 0}, SettingsError, "workers is 0; it must be at least 1"),
        ({"sequences": []}, DatasetError, "no sequence is asked for"),
        ({"sequences": ["leaving", "bear"]}, DatasetError, "no sequence bear in .*val.txt; allowed: crossing, leaving"),
        ({"resolution": "Full-Resolution"}, DatasetError, "Full-Resolution.crossing cannot be read"),
    ],
)
def test_bad_argument(folders, arguments, error, reason):
    with pytest.raises(error, match=reason):
        score_davis(folders[1], folders[0], **arguments)


@pytest.mark.parametrize("cut", [8, 9, 30, 40, 400, -1, -4, -12, -13])
def test_png_cut_anywhere_is_refused(folders, cut):
    path = folders[1] / "crossing/00001.png"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DatasetError, match=r"00001.png cannot be read as PNG \(it ends too early\)"):
        read_png_label_map(path)


@pytest.mark.parametrize("levels", [2, 3, 10, 200])
def test_png_of_every_kind_reads_as_indices(tmp_path, levels):
    labels = np.random.default_rng(levels).integers(0, levels, (37, 53), np.uint8)
    image = Image.fromarray(labels)
    image.putpalette(PALETTE[: 3 * levels])
    image.save(tmp_path / "palette.png")  # 1, 2, 4 or 8 bits a pixel
    # OpenCV before 4.12 chooses the row filters itself.
    filtered = hasattr(cv2, "IMWRITE_PNG_FILTER")
    flags = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS] if filtered else []
    cv2.imwrite(str(tmp_path / "grey.png"), labels, flags)
    for name in ("palette.png", "grey.png"):
        assert np.array_equal(read_png_label_map(tmp_path / name), labels)
    Image.fromarray(labels > 0).save(tmp_path / "bits.png")
    assert np.array_equal(read_png_label_map(tmp_path / "bits.png"), labels > 0)


def test_dataset_lists_frames_in_order_and_starts_from_the_first_annotation(folders):
    root, _ = folders
    (root / "JPEGImages/480p/leaving").mkdir(parents=True)
    for name in ("10.jpg", "9.jpg", "100.jpg", "cover.png"):
        (root / "JPEGImages/480p/leaving" / name).touch()
    dataset = DavisDataset(root, 2017, "val", sequences=["leaving"])
    assert [path.name for path in dataset.frames("leaving")] == ["9.jpg", "10.jpg", "100.jpg"]
    assert len(dataset.annotations("leaving")) == 12
    first = dataset.first_label_map("leaving")
    assert first.dtype == np.uint8
    assert np.unique(first).tolist() == [0, 1, 2]
    with pytest.raises(DatasetError, match="no sequence 'crossing' in use; allowed: leaving"):
        dataset.frames("crossing")


def test_list_of_the_first_edition(tmp_path):
    root, results = make_davis(tmp_path, 2016)
    expected = score_davis(results, root, year=2016)
    shutil.rmtree(root / "ImageSets")
    (root / "ImageSets/480p").mkdir(parents=True)
    lines = [f"/JPEGImages/480p/{s}/0000{i}.jpg /Annotations/480p/{s}/0000{i}.png" for s in "ab" for i in range(3)]
    text = "\n".join(lines).replace("/a/", "/crossing/").replace("/b/", "/leaving/")
    (root / "ImageSets/480p/val.txt").write_text(text)
    assert score_davis(results, root, year=2016).jf_mean == expected.jf_mean
    assert np.unique(DavisDataset(root, 2016).first_label_map("leaving")).tolist() == [0, 1]


def test_failed_write_leaves_the_old_file_and_nothing_else(folders, monkeypatch):
    root, results = folders
    scores = score_davis(results, root)
    before = [path.read_bytes() for path in scores.write(root / "out")]

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match=r"global_results-val.csv: cannot be written \(No space left on device\)"):
        DavisScores(2017, "val", scores.objects[:1]).write(root / "out")
    assert [path.read_bytes() for path in sorted((root / "out").iterdir())] == before


def test_output_folder_that_is_a_file(folders):
    root, results = folders
    (root / "out").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        score_davis(results, root).write(root / "out")


def test_an_id_that_never_occurs_is_told_and_scored_as_in_davis(folders):
    root, results = folders
    assert score_davis(results, root).warnings == ()
    for path in (root / "Annotations/480p/crossing").iterdir():
        labels = np.asarray(Image.open(path)).copy()
        labels[labels == 2] = 0
        save(labels, path)

    scores = score_davis(results, root)

    assert len(scores.objects) == 5
    (warning,) = scores.warnings
    assert warning.startswith("crossing: never annotated: object 2, below the largest id")
