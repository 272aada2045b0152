"""Files with several streams, with oblong pixels, or with times that FFmpeg guesses."""

from __future__ import annotations

import io
import json
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import moving_square, read_all, set_display_matrix, write_clip
from PIL import Image

from persam_vos.errors import VideoError
from persam_vos.exports.base import ExportSettings
from persam_vos.exports.tracks import TracksWriter
from persam_vos.media.encoding.video_writer import VideoWriter
from persam_vos.media.readers import open_random_access, open_video
from persam_vos.results import FrameResult, ObjectResult

B_FRAMES = {"preset": "medium", "crf": "10", "bf": "3", "g": "12"}


def with_streams(path: Path, *streams: tuple[str, int, int, int], cover: bool = False) -> Path:
    """Write videos of (codec, width, height, frames) into one file, and perhaps a cover picture before them."""
    with av.open(str(path), "w") as container:
        videos = []
        if cover:
            picture = container.add_stream("mjpeg", rate=25)
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            videos.append((picture, 32, 32, 1))
        for codec, width, height, count in streams:
            video = container.add_stream(codec, rate=25)
            video.width, video.height = width, height
            video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            videos.append((video, width, height, count))
        for video, width, height, count in videos:
            for rgb in moving_square(count, width=width, height=height):
                container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            container.mux(video.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("libx264", "a.avi"),
        ("libx264", "a.asf"),
        ("libx264", "a.mxf"),
        ("mpeg4", "a.avi"),
        ("mpeg2video", "a.wmv"),
        ("libx264", "a.mkv"),
    ],
)
def test_reordered_frames_have_their_times_in_any_container(tmp_path: Path, codec: str, name: str) -> None:
    options = B_FRAMES if codec == "libx264" else {"bf": "2", "g": "12"}
    clip = write_clip(tmp_path / name, moving_square(30), codec=codec, options=options)

    _, frames, warnings = read_all(clip)

    assert [round(frame.time * 1000) for frame in frames] == list(range(0, 30 * 40, 40))
    assert warnings == []
    with open_random_access(clip) as video:
        assert [video.time_of(index) for index in range(len(video))] == [frame.time for frame in frames]
        assert np.array_equal(video.frame(17).rgb, frames[17].rgb)
        assert video.warnings == []


def test_a_preview_picture_before_the_film_is_not_the_film(tmp_path: Path) -> None:
    clip = with_streams(tmp_path / "a.mp4", ("mjpeg", 48, 32, 1), ("libx264", 64, 48, 10))

    info, frames, warnings = read_all(clip)

    assert (info.width, info.height, len(frames)) == (64, 48, 10)
    assert warnings == ["has more than one video: 64 x 48 (stream 1) is read, 48 x 32 (stream 0) is not"]
    with open_random_access(clip) as video:
        assert (len(video), video.warnings) == (10, warnings)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    info, frames, warnings = read_all(with_streams(tmp_path / "a.mp4", ("libx264", 64, 48, 3), cover=True))

    assert (info.width, info.height, len(frames), warnings) == (64, 48, 3, [])


@pytest.mark.parametrize("turned", [False, True])
def test_oblong_pixels_stay_so_in_written_videos(tmp_path: Path, turned: bool) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_square(4), tags={"sample_aspect_ratio": Fraction(64, 45)})
    if turned:
        set_display_matrix(clip, (0, 1, -1, 0))

    with open_video(clip) as reader:
        writer = VideoWriter(tmp_path / "b.mp4", reader.info)
        for frame in reader:
            writer.write(frame, frame.rgb)
            writer.checkpoint()
        writer.close()

    aspect = Fraction(45, 64) if turned else Fraction(64, 45)
    assert reader.info.pixel_aspect == aspect
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == aspect
    assert read_all(tmp_path / "b.mp4")[0].pixel_aspect == aspect


def test_frames_of_images_name_their_files(tmp_path: Path) -> None:
    for number in (1001, 1002):
        Image.fromarray(moving_square(1)[0]).save(tmp_path / f"shot.{number}.png")

    info, frames, _ = read_all(tmp_path)
    writer = TracksWriter(ExportSettings(tmp_path, info))
    for frame in frames:
        entry = ObjectResult(1, False, 0.0, None, 0, None)
        writer.write(
            frame, FrameResult(frame.index, frame.pts, frame.time_base, np.zeros((48, 64), np.uint8), (entry,))
        )
    writer.close()

    lines = (tmp_path / "tracks.jsonl").read_text().splitlines()
    assert [json.loads(line)["source"] for line in lines] == ["shot.1001.png", "shot.1002.png"]


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx264"), ("a.flv", "flv1"), ("a.avi", "mpeg4")])
def test_a_claimed_rate_of_a_thousand_is_not_believed(tmp_path: Path, name: str, codec: str) -> None:
    frames = moving_square(30)
    pts, second = [40 * index for index in range(30)], Fraction(1, 1000)
    clip = write_clip(tmp_path / name, frames, rate=1000, pts=pts, time_base=second, codec=codec, options={})

    with open_video(clip) as reader:
        writer = VideoWriter(tmp_path / "b.mp4", reader.info)
        for frame in reader:
            writer.write(frame, frame.rgb)
        writer.close()

    assert reader.info.frame_rate == 25
    assert reader.warnings == []
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].codec_context.level <= 21  # 2.1: 64 x 48 at 25 frames a second needs 1.0


@pytest.mark.parametrize("opened", [open_video, open_random_access])
def test_a_film_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path, opened: Any) -> None:
    path = tmp_path / "a.gif"
    Image.new("P", (8, 8)).save(path)
    gif = bytearray(path.read_bytes())
    gif[6:10] = struct.pack("<HH", 11_000, 10_000)
    path.write_bytes(gif)

    with pytest.raises(VideoError, match=r"11000 x 10000 pixels; at most 100,000,000 are allowed"):
        opened(path)


def test_a_frame_of_too_many_pixels_on_the_way_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persam_vos.media.decoding.container._SIZE_LIMIT", {"max_pixels": "10000"})
    data = b""
    for size in ((64, 48), (256, 192), (64, 48)):
        jpeg = io.BytesIO()
        Image.new("RGB", size).save(jpeg, "JPEG")
        data += jpeg.getvalue()
    (tmp_path / "a.mjpeg").write_bytes(data)

    _, frames, warnings = read_all(tmp_path / "a.mjpeg")

    assert len(frames) == 2
    assert any("damaged" in each for each in warnings)
