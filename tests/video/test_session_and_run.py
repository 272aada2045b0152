"""What a session has found, a run finds again: the same prompts, the same masks to the pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from persam_vos import Session, demo_clip
from persam_vos.cli.app import main


def test_a_streamed_run_gives_the_masks_of_a_session(tmp_path: Path) -> None:
    """Its embeddings were kept, those of the run never are."""
    video, mask = demo_clip()
    with Session(video, end=4, cache=tmp_path / "cache") as session:
        session.add(0, mask=mask)
        session.propagate()
        session.save(tmp_path / "bunny.json")
        found = [result.label_map for result in session]

    run = ["run", str(video), "--prompts", str(tmp_path / "bunny.json"), "-o", str(tmp_path / "out"), "--quiet"]
    assert main([*run, "--export", "masks"]) == 0

    for index, label_map in enumerate(found):
        again = np.asarray(Image.open(tmp_path / "out" / "masks" / f"{index:05d}.png"))
        assert (again == label_map).all()
    assert len(found) == 4
