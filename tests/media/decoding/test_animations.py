"""Animated pictures, under any suffix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import moving_square, read_all
from PIL import Image

from persam_vos.errors import VideoError
from persam_vos.media.decoding.animations import is_animated_webp, is_animation
from persam_vos.media.readers import open_random_access

DURATIONS = [40, 120, 80, 200, 40]


def animation(path: Path, kind: str) -> Path:
    pictures = [Image.fromarray(rgb) for rgb in moving_square(5)]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    pictures[0].save(path, kind, save_all=True, append_images=pictures[1:], duration=DURATIONS, loop=0, **lossless)
    return path


@pytest.mark.parametrize("suffix", [".png", ".webp", ".gif", ".jpg", ".mp4", ""])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_every_frame_is_shown_at_its_time(tmp_path: Path, kind: str, suffix: str) -> None:
    path = animation(tmp_path / f"a{suffix}", kind)

    info, frames, warnings = read_all(path)

    assert [round(frame.time * 1000) for frame in frames] == [0, 40, 160, 240, 440]
    assert (info.width, info.height, warnings) == (64, 48, [])
    if kind != "GIF":
        assert all(np.array_equal(frame.rgb, rgb) for frame, rgb in zip(frames, moving_square(5), strict=True))
    with open_random_access(path) as video:
        assert [video.time_of(index) for index in range(5)] == [frame.time for frame in frames]
        for index in (3, 1, 4):
            assert np.array_equal(video.frame(index).rgb, frames[index].rgb)


def test_what_is_transparent_is_white_as_in_photos(tmp_path: Path) -> None:
    rgba = np.zeros((48, 64, 4), np.uint8)
    rgba[10:20, 10:20] = (200, 30, 30, 255)
    rgba[20:30, 10:20] = (200, 30, 30, 100)
    pictures = [Image.fromarray(rgba), Image.fromarray(np.roll(rgba, 5, axis=1))]
    pictures[0].save(tmp_path / "still.png")
    still = read_all(tmp_path / "still.png")[1][0].rgb
    for name in ("a.webp", "a.png"):
        lossless = {"lossless": True, "exact": True} if name == "a.webp" else {}
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=40, **lossless)
        found = read_all(tmp_path / name)[1]
        assert len(found) == 2
        assert np.array_equal(found[0].rgb, still)


def test_still_pictures_are_no_animations(tmp_path: Path) -> None:
    for name in ("a.png", "a.webp", "a.jpg"):
        Image.fromarray(moving_square(1)[0]).save(tmp_path / name)
        assert not is_animation(tmp_path / name)
    assert not is_animation(tmp_path / "none.png")
    assert not is_animated_webp(tmp_path / "none.webp")


def test_a_damaged_animation_is_told_with_its_name(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp", "WEBP")
    path.write_bytes(path.read_bytes()[:200])

    with pytest.raises(VideoError, match=r"a\.webp"):
        read_all(path)
