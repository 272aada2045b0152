"""Mattes, films and pictures with alpha, decoded again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from clips import moving_square, write_clip

from persam_vos.errors import OutputError
from persam_vos.exports.alpha.pixels import kinds_of_alpha, premultiplied, straight
from persam_vos.exports.select import open_writers
from persam_vos.media import Frame, open_video
from persam_vos.media.encoding.video_formats import H264, VideoFormat
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.settings.output import ExportOptions

ODD = 65, 49


def ramp(frame: Frame) -> FrameResult:
    """A disc that moves, with an edge of six pixels."""
    y, x = np.mgrid[: frame.height, : frame.width]
    distance = 12 - np.hypot(x - 24 - frame.index, y - 24)
    alpha = np.clip(np.rint(127.5 + 42 * distance), 0, 255).astype(np.uint8)
    labels = (alpha >= 128).astype(np.uint8)
    found = ObjectResult(1, True, 0.5, 0.25, int(labels.sum()), (0, 0, 1, 1))
    return FrameResult(frame.index, frame.pts, frame.time_base, labels, (found,), alpha=alpha)


def exported(folder: Path, *names: str, size: tuple[int, int] = (64, 48), **options: object) -> list[Frame]:
    """Write exports of a clip, and return its frames."""
    width, height = size
    pictures = moving_square(4, width=width + width % 2, height=height + height % 2)
    if size == ODD:
        pictures = [picture[:height, :width] for picture in pictures]
        source = folder / "frames"
        source.mkdir()
        for index, picture in enumerate(pictures):
            cv2.imwrite(str(source / f"{index:03d}.png"), picture[..., ::-1])
    else:
        source = write_clip(folder / "a.mp4", pictures, pts=[0, 40, 100, 130], time_base=Fraction(1, 1000))
    with open_video(source) as reader:
        writers = open_writers(folder / "out", names, info=reader.info, options=ExportOptions(**options))
        frames = list(reader)
        for frame in frames:
            for writer in writers:
                writer.write(frame, ramp(frame))
        for writer in writers:
            writer.close()
            assert writer.warnings == []
    return frames


def decoded(path: Path, pixels: str = "rgba") -> list[tuple[Fraction, np.ndarray]]:
    """Decode a film with its alpha, which FFmpeg's own decoder of VP9 leaves out."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        reads = stream.codec_context
        if path.suffix == ".webm":
            reads = av.CodecContext.create("libvpx-vp9", "r")
        frames = [frame for packet in container.demux(stream) for frame in reads.decode(packet)]
        unit = stream.time_base
    ranges = {"src_color_range": ColorRange.MPEG, "dst_color_range": ColorRange.JPEG}
    return [
        (frame.pts * unit, frame.reformat(format=pixels, src_colorspace=Colorspace.ITU709, **ranges).to_ndarray())
        for frame in frames
    ]


@pytest.mark.parametrize(("name", "file", "error"), [("prores", "prores.mov", 0.5), ("webm", "alpha.webm", 2.0)])
@pytest.mark.parametrize("size", [(64, 48), ODD])
def test_alpha_and_colours_come_back(tmp_path: Path, name: str, file: str, error: float, size: tuple[int, int]) -> None:
    frames = exported(tmp_path, name, size=size)

    found = decoded(tmp_path / "out" / file)

    assert [time for time, _ in found] == [pytest.approx(float(frame.time), abs=0.0005) for frame in frames]
    for (_, rgba), frame in zip(found, frames, strict=True):
        alpha = ramp(frame).alpha
        assert rgba.shape == (size[1], size[0], 4)
        assert np.abs(rgba[..., 3].astype(int) - alpha).mean() < error
        # Straight: colours of the frame where alpha is neither 0 nor 255, too.
        soft = (alpha > 8) & (alpha < 250)
        assert np.abs(rgba[soft][:, :3].astype(int) - frame.rgb[soft]).mean() < 12


def test_a_film_of_prores_says_what_it_is(tmp_path: Path) -> None:
    exported(tmp_path, "prores", "matte", matte_codec="prores")

    for name, tag, pixels in (("prores.mov", "ap4h", "yuva444p12le"), ("matte.mov", "apch", "yuv422p10le")):
        with av.open(str(tmp_path / "out" / name)) as container:
            stream = container.streams.video[0]
            frame = next(container.decode(stream))
            assert (stream.codec_context.codec_tag, stream.pix_fmt) == (tag, pixels)
            assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)


@pytest.mark.parametrize(("codec", "file", "size"), [("h264", "matte.mp4", (64, 48)), ("prores", "matte.mov", ODD)])
def test_a_matte_is_white_on_black(tmp_path: Path, codec: str, file: str, size: tuple[int, int]) -> None:
    frames = exported(tmp_path, "matte", size=size, matte_codec=codec)

    for (_, grey), frame in zip(decoded(tmp_path / "out" / file, "gray"), frames, strict=True):
        assert np.abs(grey.astype(int) - ramp(frame).alpha).mean() < 2
        assert {int(grey.min()), int(grey.max())} <= {0, 1, 254, 255}


@pytest.mark.parametrize("kind", ["straight", "premultiplied"])
def test_pictures_hold_alpha_exactly(tmp_path: Path, kind: str) -> None:
    frames = exported(tmp_path, "rgba", alpha=kind, start_number=1001)

    for position, frame in enumerate(frames):
        found = cv2.imread(str(tmp_path / "out" / "rgba" / f"{1001 + position:05d}.png"), cv2.IMREAD_UNCHANGED)
        alpha = ramp(frame).alpha
        assert (found[..., 3] == alpha).all()
        colours = frame.rgb[..., ::-1]
        if kind == "premultiplied":
            assert np.abs(found[..., :3] - colours * (alpha[..., None] / 255)).max() <= 0.5
        else:
            assert (found[..., :3][alpha > 0] == colours[alpha > 0]).all()


def test_a_picture_of_openexr_is_linear_premultiplied_half_floats(tmp_path: Path) -> None:
    frames = exported(tmp_path, "exr")

    with av.open(str(tmp_path / "out" / "exr" / "00002.exr")) as container:
        picture = next(container.decode(video=0))
    assert picture.format.name == "gbrapf16le"
    green, blue, red, alpha = (
        np.frombuffer(plane, np.float16).reshape(plane.height, -1)[:, : plane.width] for plane in picture.planes
    )
    expected = ramp(frames[2]).alpha / 255
    light = np.power((frames[2].rgb / 255 + 0.055) / 1.055, 2.4)
    assert np.abs(alpha - expected).max() < 0.001
    bright = frames[2].rgb > 20
    for place, channel in enumerate((red, green, blue)):
        wanted = light[..., place] * expected
        assert np.abs(channel - wanted)[bright[..., place]].max() < 0.002


def test_straight_colours_reach_beyond_the_edge_and_then_are_black() -> None:
    rgb = np.full((90, 120, 3), 200, np.uint8)
    alpha = np.zeros((90, 120), np.uint8)
    alpha[30:60, 50:70] = 255

    found = straight(rgb, alpha)

    assert (found[14:76, 34:86, :3] == 200).all()
    assert not found[:10].any()
    assert (found[..., 3] == alpha).all()
    assert not premultiplied(rgb, alpha)[..., :3][alpha == 0].any()


def test_what_alpha_is_is_said() -> None:
    straight_ones, other = ExportOptions(), ExportOptions(alpha="premultiplied")

    assert kinds_of_alpha(["masks", "prores", "exr"], straight_ones) == {"prores": "straight", "exr": "premultiplied"}
    assert kinds_of_alpha(["webm"], other) == {"webm": "premultiplied"}


def test_what_cannot_be_encoded_is_said_at_once() -> None:
    missing = VideoFormat(name="Nothing", encoder="no_such_encoder", pixels="yuv420p", container="mp4")

    with pytest.raises(OutputError, match="no_such_encoder is not in this build"):
        missing.check(64, 48)
    with pytest.raises(OutputError, match=r"20000 x 64 .*at most 16384"):
        H264.check(64, 20000)
