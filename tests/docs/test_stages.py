"""The pictures of the stages can be drawn with the code as it is."""

from __future__ import annotations

import numpy as np
from stages import TARGET, WIDTH, stages

from persam_vos.settings.video import Settings


def test_every_stage_is_drawn() -> None:
    drawn = stages(Settings(backend="torch"), shown=1)
    others = {path.name for path in TARGET.glob("studio-*.jpg")}
    assert {f"{name}.jpg" for name in drawn} == {path.name for path in TARGET.glob("*.jpg")} - others
    assert all(picture.width == WIDTH and np.asarray(picture).std() > 10 for picture in drawn.values())
