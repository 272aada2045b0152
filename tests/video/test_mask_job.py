"""The mask of one frame, written into a file that is none of those that are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from persam_vos.errors import OutputError
from persam_vos.prompts import ObjectPrompt, Point
from persam_vos.settings.video import Settings
from persam_vos.video.mask_job import write_mask


@pytest.mark.parametrize(
    ("source", "output"), [("film/0.png", "film/0.png"), ("film", "film/mask.png"), ("film/*.png", "film/mask.png")]
)
def test_what_is_read_is_not_replaced_and_gets_no_frame(tmp_path: Path, source: str, output: str) -> None:
    (tmp_path / "film").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "film" / "0.png")
    before = (tmp_path / "film" / "0.png").read_bytes()
    prompts = (ObjectPrompt(points=(Point(1, 1),)),)

    with pytest.raises(OutputError, match="is what is read, or lies in it; give another --output"):
        write_mask(str(tmp_path / source), prompts, tmp_path / output, Settings(), overwrite=True)

    assert [path.name for path in (tmp_path / "film").iterdir()] == ["0.png"]
    assert (tmp_path / "film" / "0.png").read_bytes() == before
