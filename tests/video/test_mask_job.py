"""The mask of one frame, written into a file that is none of those that are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEngine
from PIL import Image

from persam_vos.errors import OutputError
from persam_vos.prompts import Box, ObjectPrompt, Point
from persam_vos.settings.video import Settings
from persam_vos.video import mask_job
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

    with pytest.raises(OutputError, match="is what is read, or lies in it; give another --overlay"):
        write_mask(str(tmp_path / source), prompts, tmp_path / "m.png", Settings(), overlay=tmp_path / output)

    assert [path.name for path in (tmp_path / "film").iterdir()] == ["0.png"]
    assert (tmp_path / "film" / "0.png").read_bytes() == before


@pytest.mark.parametrize("name", ["mask.png", "look.webp", "look"])
def test_an_overlay_is_another_picture(tmp_path: Path, name: str) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "0.png")
    prompts = (ObjectPrompt(points=(Point(1, 1),)),)
    files = {"output": tmp_path / "mask.png", "overlay": tmp_path / name}

    with pytest.raises(OutputError, match=r"must be another file than --output: .png, .jpg, .jpeg"):
        write_mask(str(tmp_path / "0.png"), prompts, settings=Settings(), **files)

    assert [path.name for path in tmp_path.iterdir()] == ["0.png"]


def test_an_overlay_shows_the_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_job, "Engine", lambda settings: FakeEngine(settings=settings))
    ground = np.full((48, 64, 3), 90, np.uint8)
    Image.fromarray(ground).save(tmp_path / "0.png")
    prompts = (ObjectPrompt(box=Box(10, 8, 40, 30)),)
    files = {"output": tmp_path / "mask.png", "overlay": tmp_path / "look.png"}

    write_mask(str(tmp_path / "0.png"), prompts, settings=Settings(), **files)

    mask, look = (np.asarray(Image.open(path)) for path in files.values())
    assert mask.any()
    assert np.array_equal((look != ground).any(axis=2), mask > 0)
