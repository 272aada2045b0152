"""A small photo, its label map and its results, and what a writer makes of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data

from persam_vos.exports.photos import PhotoWriter
from persam_vos.exports.results_jsonl import PhotoResult
from persam_vos.results import ObjectResult

KINDS = {"masks": ".png", "overlays": ".jpg", "cutouts": ".png"}


@cache
def cat() -> np.ndarray:
    return np.asarray(Image.fromarray(data.chelsea()).resize((90, 60)))


@cache
def labels() -> np.ndarray:
    """The cat's eyes, as objects 1 and 9."""
    label_map = np.zeros((60, 90), np.uint8)
    cv2.circle(label_map, (35, 22), 6, 1, -1)
    cv2.circle(label_map, (57, 25), 6, 9, -1)
    return label_map


def result_of(name: str, **changes) -> PhotoResult:
    found = {
        "id": 1,
        "present": True,
        "score": 0.75,
        "similarity": 0.5,
        "area": 113,
        "box": (29, 16, 41, 28),
    }
    return PhotoResult(Path("photos") / f"{name}.jpg", name, labels(), (ObjectResult(**{**found, **changes}),))


def write(output: Path, *names: str, **options) -> None:
    with PhotoWriter(output, **options) as writer:
        for name in names:
            writer.write(result_of(name), cat())


def lines(output: Path) -> list[dict]:
    text = (output / "results.jsonl").read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def files_of(*names: str) -> set[str]:
    return {f"{kind}/{name}{suffix}" for name in names for kind, suffix in KINDS.items()}
