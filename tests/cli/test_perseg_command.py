"""``persam-vos perseg``: its tables, its files and its misuse."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import spoil_png
from command_line import Command, one_line, save
from photo_commands import (
    CAT,
    FAST,
    SIZE,
    claim,
)
from pictures import scene
from PIL import Image


@pytest.fixture
def perseg(tmp_path: Path) -> Path:
    """A class of PerSeg; one mask is a palette's 0 and 1, the other dark red on black."""
    root = tmp_path / "PerSeg"
    for index, place in enumerate((CAT, (330, 120))):
        rgb, labels = scene([place, None])
        save(root / "Images" / "cat" / f"{index:02}.jpg", rgb)
        path = root / "Annotations" / "cat" / f"{index:02}.png"
        if index:
            save(path, labels[..., None] * np.array([128, 0, 0], np.uint8))
        else:
            path.parent.mkdir(parents=True)
            mask = Image.fromarray(labels).convert("P")
            mask.putpalette([0, 0, 0, 128, 0, 0])
            mask.save(path)
    (tmp_path / "fast.yaml").write_text(FAST)
    return root


def test_perseg_prints_the_table_alone(perseg: Path, command: Command, tmp_path: Path) -> None:
    answer = command("perseg", perseg, "-o", tmp_path / "out", "--config", tmp_path / "fast.yaml", "--method", "persam")

    assert answer.status == 0
    lines = answer.out.splitlines()
    assert lines[0].split() == ["photos", "IoU", "Acc", "BIoU"]
    assert lines[1].split()[:2] == ["cat", "1"]
    assert float(lines[-1].removeprefix("mIoU: ")) > 80
    assert "mIoU" not in answer.err
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")} == {
        "cat/00.png", "cat/01.png", "contact_sheet.jpg", "run.json", "global_results-perseg.csv",
        "per-class_results-perseg.csv", "per-photo_results-perseg.csv",
    }  # fmt: skip
    one_line(command("perseg", perseg, "-o", tmp_path / "out"), "is not empty", "--overwrite")


def annotation(root: Path) -> Path:
    return root / "Annotations" / "cat" / "01.png"


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (lambda root: annotation(root).unlink(), ["01.jpg has no annotation in"]),
        (
            lambda root: save(annotation(root), np.ones((270, 479), np.uint8)),
            ["01.png is 270 x 479, its photo 270 x 480"],
        ),
        (lambda root: save(annotation(root), np.zeros(SIZE, np.uint8)), ["01.png holds no object"]),
        (lambda root: spoil_png.truncate(annotation(root)), ["01.png cannot be read as PNG"]),
        (lambda root: annotation(root).with_name("00.png").write_bytes(claim(9, 9)), ["00.png"]),
        (lambda root: (root / "Images" / "cat" / "01.jpg").write_text("text"), ["01.jpg: not an image"]),
        (lambda root: (root / "Images" / "cat" / "01.jpg").unlink(), ["01.png has no photo in"]),
        (lambda root: [path.unlink() for path in root.rglob("01.*")], ["00.jpg is the only photo of its class"]),
        (lambda root: [path.unlink() for path in root.rglob("00.*")], ["00.jpg is missing; photo 00"]),
        (lambda root: [(root / kind / "dog").mkdir() for kind in ("Images", "Annotations")], ["dog is an empty class"]),
        (lambda root: shutil.rmtree(root), ["Images cannot be read"]),
    ],
)
def test_bad_folders_of_perseg(
    perseg: Path, command: Command, tmp_path: Path, spoil: Callable[[Path], object], parts: list[str]
) -> None:
    spoil(perseg)
    one_line(command("perseg", perseg, "-o", tmp_path / "out"), *parts)
    assert not (tmp_path / "out").exists()


def test_misuse_of_perseg(perseg: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"junk")
    for more, parts in (
        (["--classes", "dog"], ["no class dog", "allowed: cat"]),
        (["--classes", ""], ["no class is asked for"]),
        (["--method", "magic"], ["--method is 'magic'"]),
        (["--guidance", "both"], ["--guidance is a setting of persam"]),
        (["--checkpoint", tmp_path / "weights.pth"], ["weights.pth"]),
        (["-o", tmp_path / "weights.pth"], ["weights.pth: is a file"]),
        (["--max-megapixels", "0.01"], ["00.jpg: 480 x 270 pixels", "--max-megapixels"]),
    ):
        one_line(command("perseg", perseg, "-o", tmp_path / "out", *more), *parts)
        assert not (tmp_path / "out").exists()
