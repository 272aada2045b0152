"""The masks of prompts: written beside those that were read, which stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from persam_vos.exports.prompt_masks import write_prompt_masks
from persam_vos.masks import Mask


def read(path: Path) -> Mask:
    return np.asarray(Image.open(path)) > 0


def test_a_mask_that_was_read_and_cut_is_written_under_another_name(tmp_path: Path) -> None:
    drawn, cut = np.ones((4, 6), bool), np.eye(4, 6, dtype=bool)
    (first,) = write_prompt_masks(tmp_path, {(0, 1): drawn}).values()
    assert first == tmp_path / "prompts" / "00000_1.png"
    assert write_prompt_masks(tmp_path, {(0, 1): drawn}, keep=[first]) == {(0, 1): first}

    (second,) = write_prompt_masks(tmp_path, {(0, 1): cut}, keep=[first]).values()

    assert second.name == "00000_1-2.png"
    assert read(first).all()
    assert (read(second) == cut).all()
    assert write_prompt_masks(tmp_path, {(0, 1): cut}, keep=[second]) == {(0, 1): first}
    assert sorted(path.name for path in first.parent.iterdir()) == ["00000_1-2.png", "00000_1.png"]
    write_prompt_masks(tmp_path, {(0, 1): cut})
    assert [path.name for path in first.parent.iterdir()] == ["00000_1.png"]
