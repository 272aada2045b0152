"""What is wrong with words of the command line is told before PyTorch is imported, which takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from clips import moving_square, save, write_clip

CODE = """
import contextlib, io, json, sys
sys.modules["torch"] = None  # an import of it fails
from persam_vos.cli.app import main
told = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as lines:
        told.append([main(arguments), lines.getvalue()])
print(json.dumps(told))
"""
CASES = {
    "run, export": (["run", "clip.mp4", "--box", "1,1,9,9", "--export", "films"], "films"),
    "run, option": (["run", "clip.mp4", "--box", "1,1,9,9", "--grow", "900"], "grow"),
    "run, background": (["run", "clip.mp4", "--box", "1,1,9,9", "--background", "no.png"], "no.png"),
    "run, stride": (["run", "clip.mp4", "--box", "1,1,9,9", "--stride", "0"], "--stride is '0'"),
    "run, start": (["run", "clip.mp4", "--box", "1,1,9,9", "--start", "soon"], "position in the video is 'soon'"),
    "run, ids": (["run", "clip.mp4", "--first-mask", "mask.png", "--mask-ids", "0"], "--mask-ids is '0'"),
    "run, video": (["run", "no.mp4", "--box", "1,1,9,9"], "no.mp4: no such file or folder"),
    "run, camera": (["run", "987", "--box", "1,1,9,9"], "987: "),
    "run, mask": (["run", "clip.mp4", "--first-mask", "no.png"], "no.png: no such file; give a mask"),
    "run, folder": (["run", "clip.mp4", "--first-mask", "."], ".: is no file; give a PNG of the video's size"),
    "run, object": (["run", "clip.mp4", "--object", "2=no.json"], "no.json: no such file; give a mask"),
    "run, later mask": (["run", "clip.mp4", "--prompt", "3:no.png"], "no.png: no such file; give a mask"),
    "run, prompts": (["run", "clip.mp4", "--prompts", "no.json"], "no.json"),
    "run, mask of prompts": (["run", "clip.mp4", "--prompts", "prompts.json"], "gone.png: no such file"),
    "run, weights": (["run", "clip.mp4", "--box", "1,1,9,9", "--checkpoint", "no.pt"], "no.pt"),
    "run, config": (["run", "clip.mp4", "--box", "1,1,9,9", "--config", "no.yaml"], "no.yaml"),
    "render, export": (["render", "clip.mp4", "masks", "--export", "films"], "films"),
    "render, masks": (["render", "clip.mp4", "masks"], "masks: is no folder"),
    "mask, video": (["mask", "no.mp4", "--box", "1,1,9,9"], "no.mp4: no such file or folder"),
    "mask, frame": (["mask", "clip.mp4", "--box", "1,1,9,9", "--frame", "soon"], "position in the video is 'soon'"),
    "image, photo": (["image", "photo.png", "mask.png", "no.jpg"], "no.jpg: no such file or folder"),
    "image, reference": (["image", "no.png", "mask.png", "photo.png"], "no.png"),
    "image, size": (["image", "photo.png", "small.png", "photo.png"], "small.png: mask is 4 x 5, photo is 48 x 64"),
    "image, export": (["image", "photo.png", "mask.png", "photo.png", "--export", "films"], "films"),
    "davis, folder": (["davis", "nowhere"], "nowhere"),
    "davis, weights": (["davis", "nowhere", "--checkpoint", "no.pt"], "no.pt"),
    "perseg, folder": (["perseg", "nowhere"], "nowhere"),
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """The status of each command and what it says, where PyTorch cannot be imported."""
    folder = tmp_path_factory.mktemp("early")
    write_clip(folder / "clip.mp4", moving_square(2))
    save(folder / "photo.png", moving_square(1)[0])
    save(folder / "mask.png", np.eye(48, 64, dtype=np.uint8))
    save(folder / "small.png", np.ones((4, 5), np.uint8))
    prompts = [{"frame": 0, "object": 1, "mask": "gone.png"}]
    (folder / "prompts.json").write_text(json.dumps({"version": 1, "prompts": prompts}))
    arguments = json.dumps([words for words, _ in CASES.values()])
    command = [sys.executable, "-c", CODE, arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert sorted(path.name for path in folder.iterdir()) == [
        "clip.mp4", "mask.png", "photo.png", "prompts.json", "small.png"
    ]  # fmt: skip
    return dict(zip(CASES, map(tuple, json.loads(run.stdout)), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_word_is_told_without_pytorch(told: dict[str, tuple[int, str]], name: str) -> None:
    status, line = told[name]

    assert status == 2
    assert CASES[name][1] in line
    assert line.count("\n") == 1
