"""A studio is opened: on a new session, on one that is there, and on what a run was told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from clips import moving_square, write_clip
from PIL import Image

from persam_vos.errors import CheckpointError, PromptError
from persam_vos.prompts import Span
from persam_vos.studio.opening import open_studio


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", moving_square(10))


def told(folder: Path, video: str) -> Path:
    """Write what a run was told: a mask of object 3, which is called dog, in the frames 2 to 7."""
    (folder / "prompts").mkdir(parents=True)
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 10:40] = 255
    Image.fromarray(mask).save(folder / "prompts" / "00002_3.png")
    said = {
        "version": 1,
        "video": video,
        "range": [2, 8],
        "objects": [{"id": 3, "name": "dog", "color": "#e6194b"}],
        "prompts": [{"frame": 2, "object": 3, "mask": "prompts/00002_3.png"}],
    }
    (folder / "prompts.json").write_text(json.dumps(said))
    return folder / "prompts.json"


def test_a_session_begins_with_what_a_run_was_told(clip: Path, tmp_path: Path) -> None:
    prompts = told(tmp_path / "out", "../clip.mp4")
    studio = open_studio(str(clip), span=Span(), prompts=prompts, flags={})
    try:
        (dog,) = studio.workspace.session.objects
        assert (dog.id, dog.name, list(dog.keyframes)) == (3, "dog", [2])
        assert (studio.frames, studio.workspace.session.can_undo) == (range(2, 8), False)
    finally:
        studio.close()

    kept = json.loads((tmp_path / "clip.persam" / "prompts.json").read_text())
    assert [(each["frame"], each["object"]) for each in kept["prompts"]] == [(2, 3)]
    with pytest.raises(PromptError, match=r"is a session already, .*; leave out --prompts, or give another"):
        open_studio(str(clip), span=Span(), prompts=prompts, flags={})
    again = open_studio(str(clip), span=Span(), flags={})
    try:
        assert [each.name for each in again.workspace.session.objects] == ["dog"]
    finally:
        again.close()


def test_prompts_of_another_video_are_refused(clip: Path, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "other.mp4", moving_square(10))

    with pytest.raises(PromptError, match=r"the prompts are of .*clip\.mp4, and not of .*other\.mp4; give that video"):
        open_studio(str(other), span=Span(), prompts=told(tmp_path / "out", str(clip)), flags={})


def test_a_checkpoint_that_is_missing_is_told_before_anything_is_served(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"x\.pt does not exist"):
        open_studio(str(clip), span=Span(), flags={"checkpoint": tmp_path / "x.pt"})

    assert not (tmp_path / "clip.persam").exists()


def test_pictures_are_made_as_the_session_s_masks_are(clip: Path, tmp_path: Path) -> None:
    first = open_studio(
        str(clip), span=Span(), prompts=told(tmp_path / "out", "../clip.mp4"), flags={"deinterlace": True}
    )
    assert first.workspace.is_open or first.workspace.session
    first.close()

    again = open_studio(str(clip), span=Span(), flags={})
    try:
        assert again.workspace.session.settings.deinterlace
        assert again.footage.deinterlace
    finally:
        again.close()
