"""A cache of its own for a test, and a picture that is quick to encode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pictures import frame_of

from persam_vos.media.frame import Frame


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERSAM_VOS_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def exports_of_this_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache for all tests of a file, so that each network is exported only once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERSAM_VOS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def wide() -> Frame:
    """A wide crop of a photo: little to encode."""
    from skimage import data

    return frame_of(data.astronaut()[100:160])
