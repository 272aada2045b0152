"""ablate.py and drift.py: the cache of embeddings and results, and the tables in pages."""

from __future__ import annotations

import concurrent.futures
import io
import json
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import ablate
import between
import drift
import embeddings
import jobs
import numpy as np
import pytest
import tables
import torch
from embeddings import CachedEncoder
from pictures import frame_of, scene
from PIL import Image
from variants import Clip

from persam_vos.evaluation import DavisDataset
from persam_vos.sam.cells import cell_features
from persam_vos.sam.encoder import SamEncoder
from persam_vos.settings.video import TrackerSettings


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames of a cat that moves to the right. Its folder ``cache`` serves all tests: nothing is done twice."""
    folder = tmp_path_factory.mktemp("experiments") / "DAVIS"
    frames, truths = (folder / kind / "480p" / "cat" for kind in ("JPEGImages", "Annotations"))
    frames.mkdir(parents=True)
    truths.mkdir(parents=True)
    for index in range(5):
        rgb, labels = scene([(40 + 10 * index, 60), None])
        Image.fromarray(rgb).save(frames / f"{index:05d}.jpg", quality=95)
        picture = Image.fromarray(labels)
        picture.putpalette([0, 0, 0, 128, 0, 0] + 254 * [0, 0, 0])
        picture.save(truths / f"{index:05d}.png")
    lists = folder / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("cat\n")
    return folder


def run(main: Callable[[], None], command: str) -> str:
    """Run a script with these words; return what it prints."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(sys, "argv", command.split())
        main()
    return printed.getvalue()


def ablate_plain(root: Path) -> str:
    return run(ablate.main, f"ablate {root} --cache {root / 'cache'} --variants plain --rows memory --workers 1")


@pytest.fixture(scope="module")
def first_run(root: Path) -> tuple[str, str, int]:
    """Run ``ablate``, which tracks in a process of its own; return its table, its result and how much it encoded."""
    table = ablate_plain(root)
    (kept,) = (root / "cache" / "results").glob("*.json")
    return table, kept.read_text(), len(list((root / "cache").rglob("*.npz")))


class Here(concurrent.futures.Executor):
    """Does the work of other processes in this one, which has loaded PyTorch; the work travels as it would to them."""

    def __init__(self, *_: object) -> None:
        pass

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()
        there, given, named = pickle.loads(pickle.dumps((work, args, kwargs)))
        done.set_result(there(*given, **named))
        return done


@pytest.fixture
def in_this_process(first_run: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start no process; what the first run has encoded and tracked is there."""
    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", Here)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def job_of(root: Path, variant: str) -> jobs.Job:
    return jobs.Job(DavisDataset(root, 2017, "val"), "cat", variant, TrackerSettings(), root)


def test_variants_of_the_whole_sequence(root: Path) -> None:
    def clip(variant: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
        made = job_of(root, variant).load()
        assert made is not None
        return made.frames, made.label_maps

    frames, truths = clip("plain")

    assert all(np.array_equal(a, b) for a, b in zip(clip("backwards")[1], truths[::-1], strict=True))
    assert [len(each) for each in clip("third")] == [2, 2]
    assert np.array_equal(clip("mirrored")[0][2], frames[2][:, ::-1])
    small = clip("half")
    assert small[0][0].shape == (135, 240, 3)
    assert small[1][0].shape == (135, 240)
    hidden_frames, hidden = clip("occluded")
    assert [int(truth.sum()) > 0 for truth in hidden] == [True, False, False, False, False]
    assert not np.array_equal(hidden_frames[1], frames[1])
    assert truths[1].any()


def test_a_second_run_uses_the_first(root: Path, first_run: tuple[str, str, int], monkeypatch) -> None:  # type: ignore[no-untyped-def]
    table, result, encoded = first_run

    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", None)  # it starts no process
    assert ablate_plain(root) == table

    assert result in [each.read_text() for each in (root / "cache" / "results").iterdir()]
    assert encoded == 5
    ((j, _),) = tables.object_scores(json.loads(result), visible=False)
    assert j > 0.8
    assert f"| memory | {100 * j:.1f} |" in table


@pytest.mark.usefixtures("in_this_process")
def test_a_dump_has_the_truth_beside_what_the_tracker_says(root: Path, tmp_path: Path) -> None:
    """A clip that needs other sequences is left out where there are none."""
    path, cache = tmp_path / "dump.jsonl", root / "cache"

    run(ablate.main, f"ablate {root} --cache {cache} --variants rough,identical --rows memory --dump {path}")

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["frame"] for line in lines] == [1, 2, 3, 4]
    assert {line["variant"] for line in lines} == {"rough"}
    assert all(line["truth_area"] > 1000 and line["j"] > 0.5 and line["area"] > 1000 for line in lines)
    assert all(0 < line["score"] <= 1 and 0 < line["similarity"] <= 1 for line in lines)


@pytest.mark.usefixtures("in_this_process")
def test_an_earlier_run_is_shown_beside(root: Path, tmp_path: Path) -> None:
    command = f"ablate {root} --cache {root / 'cache'} --variants rough --rows memory --per-clip"
    run(ablate.main, f"{command} --dump {tmp_path / 'dump.jsonl'}")

    lines = run(ablate.main, f"{command} --against {tmp_path / 'dump.jsonl'}").splitlines()

    assert lines[0].startswith("| | J |")
    assert lines[2].replace("memory, before", "memory") == lines[3]
    assert lines[-3] == "| object | memory, before | memory | change |"
    assert lines[-1].endswith(" | +0.0 |")


def record(frame: int, number: int, j: float, area: int = 9) -> dict[str, float]:
    return {"frame": frame, "id": number, "j": j, "f": j, "truth_area": area}


def test_hidden_frames_can_be_left_out_of_the_scores() -> None:
    """The first frame has no record, and the last one is not scored."""
    result = {"frames": 4, "records": [record(1, 1, 0.5), record(2, 1, 0.0, area=0), record(3, 1, 0.9)]}

    assert tables.object_scores(result, visible=False).tolist() == [[0.25, 0.25]]
    assert tables.object_scores(result, visible=True).tolist() == [[0.5, 0.5]]


def test_each_variant_counts_once_and_both_splits_are_told_apart(root: Path) -> None:
    """The variant with two objects weighs no more than that with one; breakdance is held out."""
    dataset, settings = DavisDataset(root, 2017, "val"), TrackerSettings()
    row = [
        jobs.Job(dataset, sequence, variant, settings, root)
        for sequence, variant in (("cat", "plain"), ("cat", "front"), ("breakdance", "plain"), ("breakdance", "zoom"))
    ]
    results = ([record(1, 1, 0.2)], [record(1, 1, 0.8), record(1, 2, 1.0)], [record(1, 1, 0.4)], [])
    for job, records in zip(row, results, strict=True):
        job.__dict__["key"] = f"{job.sequence} {job.variant}"
        job.__dict__["result"] = {"frames": 3, "records": records, "passes": 1.0, "milliseconds": 2.0}
    done = {job.key: job.__dict__["result"] for job in row}

    lines = list(tables.table({"memory": row}, done, ["plain", "front", "zoom"]))

    cells = dict(line.strip("| ").split(" | ") for line in lines[2:] if not line.startswith("| zoom"))
    means = {"J": "60.0", "F": "60.0", "J&F": "60.0", "development": "55.0", "held out": "40.0"}
    assert cells == {**means, "plain": "30.0", "front": "90.0", "passes": "1.0", "ms": "2"}
    assert next(tables.per_clip({"memory": row}, done, ["plain", "front"])) == "| object | memory |"


def test_tables_are_written_between_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- nine -->\nold\n<!-- end of nine -->\nafter\n")

    tables.write_between(f"{page}:nine", ["| new |"])

    assert page.read_text() == "before\n<!-- nine -->\n| new |\n<!-- end of nine -->\nafter\n"
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.parametrize("place", ["page.md:ten", "page.md", "none.md:nine", "page.md:twice", "page.md:reversed"])
def test_a_place_without_marks_is_refused(tmp_path: Path, monkeypatch, place: str) -> None:  # type: ignore[no-untyped-def]
    """Refused before the dataset is read: it does not exist."""
    page = tmp_path / "page.md"
    marks = "<!-- {0} -->\n<!-- end of {0} -->\n"
    text = marks.format("nine") + 2 * marks.format("twice") + "<!-- end of reversed -->\n<!-- reversed -->\n"
    page.write_text(text)
    monkeypatch.setattr(sys, "argv", ["ablate", "none", "--cache", "none", "--write", str(tmp_path / place)])

    with pytest.raises(SystemExit, match="FILE must hold"):
        ablate.main()

    assert page.read_text() == text


@pytest.mark.usefixtures("in_this_process")
def test_quick_is_compared_with_the_default(root: Path) -> None:
    command = f"between {root} --cache {root / 'cache'} --set flow_agreement=0.6"

    table = run(between.main, command)

    assert run(between.main, command) == table
    _, default, quick, change, encoded, steps, _ = table.splitlines()[-1].strip("| ").split(" | ")
    assert table.splitlines()[-1].startswith("| plain cat |")
    assert min(float(default), float(quick)) > 80
    assert abs(float(quick) - float(default) - float(change)) < 0.11
    assert 0.4 <= float(encoded) <= 1
    assert float(steps) > 0


@pytest.mark.usefixtures("in_this_process")
def test_drift_compares_repetitions(root: Path) -> None:
    printed = run(drift.main, f"drift {root} --cache {root / 'cache'} --length 3 --frames 11 --workers 1")

    name, first, last, _, change = printed.splitlines()[-1].split()
    assert name == "cat"
    assert float(first) > 80
    assert float(last) > 80
    # All three are rounded to a tenth.
    assert float(change) == pytest.approx(float(last) - float(first), abs=0.11)


def test_a_repetition_is_once_forth_and_once_back(root: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Frames run 0 1 2 1 0 1 2 1 ...; the annotated one is not scored, so the first repetition is 1 2 1 0."""
    job = job_of(root, "plain")
    plain = job.load()
    assert plain is not None
    known = [truth.tobytes() for truth in plain.label_maps]

    def numbered(job: jobs.Job, clip: Clip):  # type: ignore[no-untyped-def]
        for i, truth in enumerate(clip.label_maps[1:]):
            yield known.index(truth.tobytes()) + (10 if i >= 4 else 0), 0.0

    monkeypatch.setattr(drift, "follow", numbered)
    monkeypatch.setattr(drift, "scored", lambda clip, results: [{"j": results[0]}])

    assert drift.repetitions(job, length=3, frames=10).tolist() == [1.0, 11.0]


def test_embeddings_depend_on_all_that_makes_them() -> None:
    names = {path.relative_to(path.parents[1]).as_posix() for path in embeddings.sources()}

    assert names >= {"backends/openvino_encoder.py", "backends/onnx_export.py", "networks/vit.py"}
    assert names >= {"sam/encoder.py", "sam/geometry.py", "weights/mobile_sam.safetensors"}


def test_embeddings_are_kept_for_portrait_frames(tmp_path: Path, encoder: SamEncoder) -> None:
    frame = frame_of(scene([(40, 60), None])[0][:, :150])
    cache = CachedEncoder(encoder, tmp_path)
    (fresh,) = cache.encode([frame])

    cache.fill(frame)
    (kept,) = cache.encode([frame])

    assert [stage.shape for stage in kept.stages] == [stage.shape for stage in fresh.stages]
    torch.testing.assert_close(cell_features(kept), cell_features(fresh), atol=1e-3, rtol=0)
