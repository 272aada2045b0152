"""ablate.py and drift.py: variants, the cache of embeddings and results, and the tables in pages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ablate
import drift
import embeddings
import numpy as np
import pytest
import torch
from pictures import frame_of, scene
from PIL import Image

from persam_vos.sam.cells import cell_features
from persam_vos.sam.encoder import SamEncoder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five frames of a cat that moves to the right."""
    folder = tmp_path / "DAVIS"
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


def clip(root: Path, variant: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    dataset = ablate.DavisDataset(root, 2017, "val")
    return ablate.Job(dataset, "cat", variant, ablate.TrackerSettings(), root).load()


def test_variants(root: Path) -> None:
    frames, truths = clip(root, "plain")

    assert all(np.array_equal(a, b) for a, b in zip(clip(root, "backwards")[1], truths[::-1], strict=True))
    assert [len(each) for each in clip(root, "third")] == [2, 2]
    assert np.array_equal(clip(root, "mirrored")[0][2], frames[2][:, ::-1])
    small = clip(root, "half")
    assert small[0][0].shape == (135, 240, 3)
    assert small[1][0].shape == (135, 240)
    hidden_frames, hidden = clip(root, "occluded")
    assert [int(truth.sum()) > 0 for truth in hidden] == [True, False, False, False, False]
    assert not np.array_equal(hidden_frames[1], frames[1])
    assert truths[1].any()


def test_a_second_run_uses_the_first(root: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    cache = root / "cache"
    command = ["ablate", str(root), "--cache", str(cache), "--variants", "plain", "--rows", "memory", "--workers", "1"]
    monkeypatch.setattr(sys, "argv", command)

    ablate.main()
    first, table = (cache / "results.jsonl").read_text(), capsys.readouterr().out
    ablate.main()

    assert capsys.readouterr().out == table
    assert (cache / "results.jsonl").read_text() == first
    assert len(list(cache.rglob("*.npz"))) == 5
    ((j, _),) = json.loads(first)["objects"]
    assert j > 0.8
    assert f"| memory | {100 * j:.1f} |" in table


def test_tables_are_written_between_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- nine -->\nold\n<!-- end of nine -->\nafter\n")

    ablate.write_between(f"{page}:nine", ["| new |"])

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


def test_drift_compares_repetitions(root: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    command = f"drift {root} --cache {root / 'cache'} --length 3 --frames 11 --workers 1"
    monkeypatch.setattr(sys, "argv", command.split())

    drift.main()

    name, first, last, _, change = capsys.readouterr().out.splitlines()[-1].split()
    assert name == "cat"
    assert float(first) > 80
    assert float(last) > 80
    assert -20 < float(change) < 20


def test_a_repetition_is_once_forth_and_once_back(root: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Frames run 0 1 2 1 0 1 2 1 ...; the annotated one is not scored, so the first repetition is 1 2 1 0."""
    dataset = ablate.DavisDataset(root, 2017, "val")
    job = ablate.Job(dataset, "cat", "plain", ablate.TrackerSettings(), root)
    known = [truth.tobytes() for truth in job.load()[1]]

    def numbered(job, frames, truths):  # type: ignore[no-untyped-def]
        for i, truth in enumerate(truths[1:]):
            yield np.array([[known.index(truth.tobytes()) + (10 if i >= 4 else 0), 0.0]]), 0.0

    monkeypatch.setattr(drift, "follow", numbered)

    assert drift.repetitions(job, length=3, frames=10).tolist() == [1.0, 11.0]


def test_embeddings_depend_on_all_that_makes_them() -> None:
    names = {path.relative_to(path.parents[1]).as_posix() for path in embeddings.sources()}

    assert names >= {"backends/openvino_encoder.py", "backends/onnx_export.py", "networks/vit.py"}
    assert names >= {"sam/encoder.py", "sam/geometry.py", "weights/mobile_sam.safetensors"}


def test_embeddings_are_kept_for_portrait_frames(tmp_path: Path, encoder: SamEncoder) -> None:
    frame = frame_of(scene([(40, 60), None])[0][:, :150])
    cache = ablate.CachedEncoder(encoder, tmp_path)
    (fresh,) = cache.encode([frame])

    cache.fill(frame)
    (kept,) = cache.encode([frame])

    assert [stage.shape for stage in kept.stages] == [stage.shape for stage in fresh.stages]
    torch.testing.assert_close(cell_features(kept), cell_features(fresh), atol=1e-3, rtol=0)
