"""Fixtures of the commands on photos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, call, save
from photo_commands import CAT, CUP, FAST, exif
from pictures import scene
from shared import shared_networks


@pytest.fixture
def command() -> Iterator[Command]:
    """Run the program in this process, where each network is loaded and each picture encoded only once."""
    with shared_networks():
        yield call


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a reference, its mask, settings for short runs, and a folder of photos."""
    folder = tmp_path_factory.mktemp("given")
    rgb, labels = scene([CAT, CUP])
    # A camera held upright: what the file holds lies on its side, and the mask is drawn on what is seen.
    save(folder / "reference.png", np.rot90(rgb), exif=exif(6))
    save(folder / "mask.png", np.where(labels == 1, 255, 0).astype(np.uint8))
    save(folder / "both.png", labels)
    (folder / "fast.yaml").write_text(FAST)
    photos = folder / "photos"
    save(photos / "without.png", scene([None, None])[0])
    save(photos / "mit Löffel 1.jpg", scene([(330, 120), (90, 60)])[0], quality=95)
    save(photos / "turned.jpg", np.rot90(scene([(200, 60), None])[0], -1), exif=exif(8), quality=95)
    return folder
