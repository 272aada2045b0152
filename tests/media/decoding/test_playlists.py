"""Files that would make FFmpeg open other files or addresses are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import moving_square, write_clip
from PIL import Image

from persam_vos.errors import VideoError
from persam_vos.media.decoding.container import FORMATS_THAT_LEAD_ELSEWHERE, open_container, playlist_kind
from persam_vos.media.readers import open_random_access, open_video

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nb.ts\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile b.ts\n"
DASH = '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>\n'
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"


@pytest.mark.parametrize("name", ["a.m3u8", "a.mp4", "a.txt"])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (HLS, "an HLS playlist"),
        ("\ufeff\n" + HLS, "an HLS playlist"),
        (CONCAT, "a list of files"),
        (DASH, "a DASH manifest"),
        (SDP, "a description of a stream"),
        ("[playlist]\nFile1=http://127.0.0.1/x\n", "a playlist"),
    ],
)
def test_a_local_file_leads_nowhere_else(tmp_path: Path, name: str, text: str, kind: str) -> None:
    write_clip(tmp_path / "b.ts", moving_square(3))
    (tmp_path / name).write_text(text, encoding="utf-8")

    for opened in (open_video, open_random_access):
        with pytest.raises(VideoError, match=f"is {kind}") as refused:
            opened(tmp_path / name)
        assert "--allow-playlists" in str(refused.value)
        assert "\n" not in str(refused.value)


def test_ffmpeg_itself_is_told_to_open_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "b.ts", moving_square(3))
    for name, text in (("a.m3u8", HLS), ("a.ffconcat", CONCAT)):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr("persam_vos.media.decoding.container.playlist_kind", lambda path: "")
        with pytest.raises(VideoError, match="not a video"):
            open_container(tmp_path / name)


def test_a_name_is_no_pattern(tmp_path: Path) -> None:
    write_clip(tmp_path / "0.tif", moving_square(1), codec="tiff", pix_fmt="rgb24")
    write_clip(tmp_path / "1.tif", moving_square(1), codec="tiff", pix_fmt="rgb24")
    (tmp_path / "%d.tif").write_bytes((tmp_path / "0.tif").read_bytes())

    with pytest.raises(VideoError, match="not a video"):
        open_video(tmp_path / "%d.tif")


def test_a_link_to_a_name_is_no_pattern(tmp_path: Path) -> None:
    for name, value in (("s0.bmp", 10), ("s1.bmp", 20), ("s%d.bmp", 200)):
        Image.new("RGB", (32, 32), (value,) * 3).save(tmp_path / name)
    (tmp_path / "link.bmp").symlink_to(tmp_path / "s%d.bmp")

    with pytest.raises(VideoError, match="not a video"):
        open_video(tmp_path / "link.bmp")


def test_scripts_that_lead_elsewhere_are_no_videos() -> None:
    # Builds of FFmpeg may run them.
    assert {"avisynth", "vapoursynth", "concat", "lavfi"} <= FORMATS_THAT_LEAD_ELSEWHERE


def test_videos_are_no_playlists(tmp_path: Path) -> None:
    assert playlist_kind(write_clip(tmp_path / "a.mp4", moving_square(1))) == ""
    assert playlist_kind(tmp_path / "none.mp4") == ""
