"""Films that are interlaced, HDR, or partly transparent."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from clips import moving_square, read_all, save, worst, write_clip

from persam_vos.errors import SettingsError
from persam_vos.media.readers import open_random_access


def interlaced(path: Path, codec: str = "libx264") -> Path:
    """Write frames whose even rows are of one moment and whose odd rows are of the next one."""
    moments = moving_square(16)
    woven = [np.where(np.arange(48)[:, None, None] % 2 == 0, moments[i], moments[i + 1]) for i in range(0, 16, 2)]
    options = {"x264-params": "tff=1", "crf": "5"} if codec == "libx264" else {"flags": "+ildct+ilme", "top": "1"}
    return write_clip(path, woven, codec=codec, options=options)


def combs(rgb: np.ndarray) -> float:
    """Return how much each row differs from both its neighbours, where these are alike."""
    rows = rgb.astype(int)
    return float(np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean())


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mpg", "mpeg2video")])
def test_interlaced_frames_are_told_and_deinterlaced_on_request(tmp_path: Path, name: str, codec: str) -> None:
    path = interlaced(tmp_path / name, codec)

    _, woven, (warning,) = read_all(path)
    _, mended, none = read_all(path, deinterlace=True)

    assert "interlaced" in warning
    assert "--deinterlace" in warning
    assert none == []
    assert [frame.time for frame in mended] == [frame.time for frame in woven]
    assert combs(mended[2].rgb) < 0.5 * combs(woven[2].rgb)
    with open_random_access(path, deinterlace=True) as video:
        assert np.array_equal(video.frame(5).rgb, mended[5].rgb)


def test_decord_does_not_deinterlace(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="deinterlace goes with the reader pyav"):
        read_all(tmp_path / "a.mp4", backend="decord", deinterlace=True)


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_tone_mapped_and_told(tmp_path: Path, transfer: int) -> None:
    tags = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    frames = moving_square(3)
    path = write_clip(tmp_path / "a.mp4", frames, codec="libx265", pix_fmt="yuv420p10le", tags=tags, options={})

    _, found, warnings = read_all(path)

    assert warnings == ["the video is HDR, and is tone-mapped to BT.709"]
    assert found[1].rgb.std() > 20
    # Primaries are wider than those of BT.709, so that what is shown in them is more saturated there.
    square = found[0].rgb[20, 4].astype(int)
    assert square[0] - square[2] > int(frames[0][20, 4, 0]) - int(frames[0][20, 4, 2])
    with open_random_access(path) as video:
        assert np.array_equal(video.frame(1).rgb, found[1].rgb)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "tolerance"),
    [
        ("a.mov", "png", "rgba", 0),
        ("a.mov", "qtrle", "argb", 0),
        ("a.mov", "prores_ks", "yuva444p10le", 4),
        ("a.webm", "libvpx-vp9", "yuva420p", 8),
        ("a.mkv", "ffv1", "bgra", 0),
    ],
)
def test_a_film_with_alpha_has_the_pixels_of_pictures_with_alpha(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, tolerance: int
) -> None:
    rgba = np.zeros((48, 64, 4), np.uint8)
    rgba[8:40, 16:48] = (200, 60, 30, 255)
    rgba[16:32, 24:40, 3] = 0
    film = [av.VideoFrame.from_ndarray(rgba, format="rgba") for _ in range(3)]
    options = {"profile": "4", "alpha_bits": "16"} if codec == "prores_ks" else {}
    path = write_clip(tmp_path / name, film, codec=codec, pix_fmt=pix_fmt, options=options)
    picture = read_all(save(tmp_path / "a.png", rgba))[1][0].rgb

    for frame in read_all(path)[1]:
        middle, hole, outside = (slice(10, 14), slice(18, 22)), (slice(20, 28), slice(28, 36)), (slice(0, 6),)
        for part in (middle, hole, outside):
            assert worst(frame.rgb[part], picture[part]) <= tolerance
