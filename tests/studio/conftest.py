"""A studio of a video of two squares, without the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sessions import saved_film, true_labels
from studios import Served, served

from persam_vos.masks import LabelMap


@pytest.fixture
def truths() -> list[LabelMap]:
    return true_labels()


@pytest.fixture
def film(tmp_path: Path) -> str:
    return saved_film(tmp_path / "frames")


@pytest.fixture
def studio(film: str, tmp_path: Path) -> Iterator[Served]:
    with served(film, tmp_path / "session") as found:
        yield found
