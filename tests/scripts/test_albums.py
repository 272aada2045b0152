"""references.py and presence.py: no photo searched is a reference; the tables hold means of albums."""

from __future__ import annotations

from pathlib import Path

import albums
import numpy as np
import presence
import pytest
import references
from PIL import Image

from persam_vos.errors import DatasetError


def save(root: Path, name: str, count: int) -> None:
    """Write a class in the layout of PerSeg: photos of different greys, with masks of the lower half."""
    for kind in ("Images", "Annotations"):
        (root / kind / name).mkdir(parents=True)
    mask = np.zeros((40, 60), np.uint8)
    mask[20:] = 255
    for i in range(count):
        Image.fromarray(np.full((40, 60, 3), 10 * i, np.uint8)).save(root / "Images" / name / f"{i:02d}.jpg")
        Image.fromarray(mask).save(root / "Annotations" / name / f"{i:02d}.png")


def test_classes_are_albums(tmp_path: Path) -> None:
    save(tmp_path, "cat", 3)
    save(tmp_path, "lonely", 1)

    (album,) = albums.read_albums([tmp_path], frames=6)

    assert (album.name, len(album.photos), album.object_ids) == ("cat", 3, [1])


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "cat", 2)
    Image.fromarray(np.full((40, 59), 255, np.uint8)).save(tmp_path / "Annotations" / "cat" / "01.png")

    with pytest.raises(DatasetError, match=r"cat: a mask is \(40, 59\)"):
        albums.read_albums([tmp_path], frames=6)


class Finder:
    """Records the photos it gets, and finds an object that fills each photo."""

    def __init__(self) -> None:
        self.shown, self.searched = [], []

    def learn(self, photos) -> None:
        self.shown.append([int(rgb[0, 0, 0]) for rgb, _ in photos])

    def find(self, frame):
        self.searched.append(int(frame.rgb[0, 0, 0]))
        return type("Result", (), {"label_map": np.ones(frame.rgb.shape[:2], np.uint8)})


@pytest.mark.parametrize(("photos", "counts"), [(2, [1]), (3, [1, 2]), (6, [1, 2, 3, 4])])
def test_a_photo_searched_is_never_a_reference(tmp_path: Path, photos: int, counts: list[int]) -> None:
    save(tmp_path, "cat", photos)
    (album,) = albums.read_albums([tmp_path], frames=6)
    for order in references.orders(album, 2):
        finder = Finder()

        curve = references.measure(finder, album, order, 4)

        assert [len(each) for each in finder.shown] == counts
        assert not set(finder.searched) & set(finder.shown[-1])
        assert curve.iou == (50.0,) * len(counts)


def test_gains_are_means_of_albums() -> None:
    found = {
        "a": [references.Curve((50.0, 60.0), (0.0, 1.0)), references.Curve((50.0, 70.0), (0.0, 1.0))],
        "b": [references.Curve((80.0, 90.0), (0.0, 1.0))],
    }

    lines = list(references.rows("memory", found, 4))

    assert lines[1] == "| memory | 2 | 2 | 77.50 | +12.50 ± 2.50 | +10.0 | 1.00 |"
    assert len(lines) == 2


def test_misses_and_false_finds_are_counted() -> None:
    looks = [
        presence.Finding("a", "a", 0.95, 0.9),
        presence.Finding("a", "a", 0.81, 0.9),
        presence.Finding("a", "b", 0.86, 0.0),
        presence.Finding("a", "b", 0.0, 0.0),
    ]

    rows = {line.split(" | ")[0]: line for line in presence.table(looks)}

    assert rows["| 0.80"] == "| 0.80 | 0.0% | 0.0% | 50.0% | 25.0% | 90.0 |"
    assert rows["| 0.82"] == "| 0.82 | 50.0% | 50.0% | 50.0% | 50.0% | 45.0 |"
