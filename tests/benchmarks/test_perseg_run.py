"""PerSeg segmented and scored, with the shipped weights, and what an earlier run leaves behind."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from pictures import scene
from PIL import Image

from persam_vos.benchmarks import perseg as jobs
from persam_vos.errors import OutputError
from persam_vos.pipeline.progress import NoProgress
from persam_vos.settings.photos import PhotoSettings

pytestmark = pytest.mark.usefixtures("networks_are_shared")

FAST = {"backend": "torch", "precision": "float32", "mask_token": False, "passes": 1}


def perseg_of_cats(folder: Path, *places: tuple[int, int]) -> Path:
    """Write PerSeg with one class, and a photo of the cat at each place."""
    for index, place in enumerate(places):
        rgb, labels = scene([place, None])
        for kind, suffix, picture in (("Images", "jpg", rgb), ("Annotations", "png", labels)):
            path = folder / kind / "cat" / f"{index:02}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    return folder


def test_perseg_is_segmented_and_scored(tmp_path: Path) -> None:
    root = perseg_of_cats(tmp_path / "PerSeg", (60, 80), (330, 120))

    scores = jobs.run_perseg(root, tmp_path / "out", PhotoSettings(**FAST), NoProgress())

    assert scores.miou > 80
    with (tmp_path / "out" / "global_results-perseg.csv").open() as file:
        assert float(next(csv.DictReader(file))["mIoU"]) == pytest.approx(scores.miou, abs=1e-5)
    assert (tmp_path / "out" / "contact_sheet.jpg").is_file()

    # As if the class had had a third photo.
    (tmp_path / "out" / "cat" / "02.png").write_bytes((tmp_path / "out" / "cat" / "01.png").read_bytes())
    again = jobs.run_perseg(root, tmp_path / "out", PhotoSettings(**FAST), NoProgress(), overwrite=True)

    assert again.miou == scores.miou
    assert sorted(path.name for path in (tmp_path / "out" / "cat").iterdir()) == ["00.png", "01.png"]


def test_a_folder_that_must_not_be_replaced_is_found_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_engine(settings: PhotoSettings) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(jobs, "Engine", no_engine)
    root = perseg_of_cats(tmp_path / "PerSeg", (60, 80), (330, 120))
    (tmp_path / "out" / "cat").mkdir(parents=True)
    (tmp_path / "out" / "cat" / "notes.png").write_text("mine")

    with pytest.raises(OutputError, match=r"cat: holds notes\.png"):
        jobs.run_perseg(root, tmp_path / "out", PhotoSettings(**FAST), NoProgress(), overwrite=True)
