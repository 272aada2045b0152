"""Videos keep how the colours of their source are stored."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from persam_vos.media import open_video
from persam_vos.media.colours import SWSCALE_MATRICES, Colours
from persam_vos.media.encoding.video_formats import H264, PRORES_4444, VP9_ALPHA, VideoFormat
from persam_vos.media.encoding.video_writer import VideoWriter

PICTURE = np.full((48, 64, 3), (230, 60, 20), np.uint8)


def tagged(path: Path, colours: Colours, pixels: str = "yuv420p") -> Path:
    """Write a clip of one colour whose matrix, primaries, transfer function and range are told."""
    levels = ColorRange.JPEG if colours.full_range else ColorRange.MPEG
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        context = stream.codec_context
        context.colorspace, context.color_primaries = colours.matrix, colours.primaries
        context.color_trc, context.color_range = colours.transfer, levels
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(PICTURE, format="rgb24").reformat(
                format=pixels,
                src_color_range=ColorRange.JPEG,
                dst_color_range=levels,
                dst_colorspace=SWSCALE_MATRICES.get(colours.matrix, colours.matrix),
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def written(source: Path, path: Path, video_format: VideoFormat) -> tuple[Colours, np.ndarray]:
    """Write the frames of a clip; return how colours are stored, and the first frame that is read again."""
    with open_video(source) as reader:
        writer = VideoWriter(path, reader.info, video_format)
        for frame in reader:
            alpha = np.full(frame.rgb.shape[:2], 255, np.uint8)
            writer.write(frame, np.dstack([frame.rgb, alpha]))
        writer.close()
    with open_video(path) as reader:
        return reader.info.colours, reader.peek().rgb


@pytest.mark.parametrize(
    "colours",
    [
        Colours(),
        Colours(5, 5, 6),
        Colours(6, 6, 6),
        Colours(6, 6, 6, True),
        Colours(1, 1, 13, True),
        Colours(9, 9, 14),
        Colours(9, 9, 1),
    ],
)
def test_an_h264_video_is_stored_as_its_source(tmp_path: Path, colours: Colours) -> None:
    found, picture = written(tagged(tmp_path / "a.mp4", colours), tmp_path / "b.mp4", H264)

    assert found == colours
    assert np.abs(picture.astype(int) - PICTURE).max() <= 6


@pytest.mark.parametrize(("video_format", "keeps_range"), [(PRORES_4444, False), (VP9_ALPHA, True)])
def test_other_videos_are_too_as_far_as_they_can(tmp_path: Path, video_format: VideoFormat, keeps_range: bool) -> None:
    source = tagged(tmp_path / "a.mp4", Colours(6, 6, 6, True))

    found, picture = written(source, tmp_path / f"b{video_format.suffix}", video_format)

    assert found == Colours(6, 6, 6 if keeps_range else 1, keeps_range)
    assert np.abs(picture.astype(int) - PICTURE).max() <= 8


def test_a_source_that_tells_nothing_becomes_bt709(tmp_path: Path) -> None:
    source = tagged(tmp_path / "a.mp4", Colours(2, 2, 2))

    found, _ = written(source, tmp_path / "b.mp4", H264)

    assert found == Colours()
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].time_base == Fraction(1, 12800)


@pytest.mark.parametrize("video_format", [H264, PRORES_4444, VP9_ALPHA])
def test_bt2020_without_hdr_keeps_its_colours(tmp_path: Path, video_format: VideoFormat) -> None:
    source = tagged(tmp_path / "a.mp4", Colours(10, 9, 15))  # with constant luminance

    found, picture = written(source, tmp_path / f"b{video_format.suffix}", video_format)

    assert (found.matrix, found.primaries) == (9, 9)
    assert np.abs(picture.astype(int) - PICTURE).max() <= 8
