"""Anything that is called a video, and how it is read."""

from __future__ import annotations

from pathlib import Path

from clips import moving_square, write_clip

from persam_vos.settings.video import Settings
from persam_vos.video.source import VideoSource


def test_a_reader_that_cannot_read_in_any_order_is_told_of(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", moving_square(3))

    with VideoSource(clip, Settings(reader="decord")).random_access() as frames:
        assert frames.warnings == ["with prompts after the first frame, PyAV reads the video, and not decord"]
    with VideoSource(clip, Settings()).random_access() as frames:
        assert frames.warnings == []
    with VideoSource(moving_square(3), Settings(reader="decord")).random_access() as frames:
        assert frames.warnings == []
