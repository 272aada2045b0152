"""A studio that has something to propagate."""

from __future__ import annotations

import pytest
from studios import Served

from persam_vos.masks import LabelMap


@pytest.fixture
def marked(studio: Served, truths: list[LabelMap]) -> Served:
    """A studio in which object 1 has a mask on frame 3."""
    studio.post("/api/objects", {"name": "red"})
    studio.draw(1, 3, truths[3] == 1)
    return studio
