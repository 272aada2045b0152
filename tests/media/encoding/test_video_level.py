"""The level of an H.264 video fits its size and its frames a second."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from persam_vos.media import Frame, StreamInfo, VideoWriter


@pytest.mark.parametrize(
    ("size", "rate", "level"), [((854, 480), 25, 30), ((1280, 720), 25, 31), ((1280, 720), 50, 32), ((64, 48), 25, 10)]
)
def test_the_level_is_the_lowest_that_fits(tmp_path: Path, size: tuple[int, int], rate: int, level: int) -> None:
    width, height = size
    unit = Fraction(1, 90_000)
    info = StreamInfo(Path("a.mp4"), width, height, Fraction(rate), unit, frame_count=None, has_audio=False)
    writer = VideoWriter(tmp_path / "b.mp4", info)
    picture = np.zeros((height, width, 3), np.uint8)
    for index in range(2):
        writer.write(Frame(index, index * 90_000 // rate, unit, picture), picture)
    writer.close()

    with av.open(str(tmp_path / "b.mp4")) as container:
        header = container.streams.video[0].codec_context.extradata
    # avcC (ISO 14496-15): version, profile, what the profile leaves out, level.
    assert header is not None
    assert header[3] == level
