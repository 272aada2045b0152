"""A session of a video of two squares, without the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sessions import true_labels, two_squares

from persam_vos.masks import LabelMap
from persam_vos.video.session.session import Session


@pytest.fixture
def truths() -> list[LabelMap]:
    return true_labels()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with two_squares(tmp_path / "cache") as opened:
        yield opened
