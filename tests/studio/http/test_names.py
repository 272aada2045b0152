"""Objects may be named in any script."""

from __future__ import annotations

import pytest
from studios import Served


@pytest.mark.parametrize("name", ["می‌روم", "क्‍ष", "👨‍👩‍👧"])
def test_names_have_the_joiners_that_scripts_need(studio: Served, name: str) -> None:
    assert studio.post("/api/objects", {"name": name})["objects"][0]["name"] == name
