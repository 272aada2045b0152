"""Makes clips with PyAV and reads them back, for tests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from persam_vos.media.frame import Frame
from persam_vos.media.readers import open_video
from persam_vos.media.stream import StreamInfo

Rgb = npt.NDArray[np.uint8]

LUMA_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}  # of red, of blue
H273 = {None: 2, "bt709": 1, "bt601": 6, "bt2020": 9}  # the number of each matrix in a stream's tags

# Display matrices as an MP4 file holds them: the point (x, y) is shown at (a x + c y, b x + d y), y down.
MATRICES = {
    "clockwise 90": (0, 1, -1, 0),
    "180": (-1, 0, 0, -1),
    "clockwise 270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
}


def moving_square(count: int, *, width: int = 64, height: int = 48) -> list[Rgb]:
    """Frames of a bright square that moves to the right over a gradient."""
    frames = []
    for index in range(count):
        rgb = np.empty((height, width, 3), np.uint8)
        rgb[..., 0] = np.linspace(20, 120, width, dtype=np.uint8)
        rgb[..., 1] = np.linspace(20, 120, height, dtype=np.uint8)[:, None]
        rgb[..., 2] = 60
        left = (4 * index) % (width - 16)
        rgb[height // 3 : height // 3 + 16, left : left + 16] = (230, 200, 40)
        frames.append(rgb)
    return frames


def quadrants(*, width: int = 64, height: int = 48) -> Rgb:
    """Four plain quarters, no two alike: red, green / blue, grey."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2] = (200, 30, 30)
    rgb[: height // 2, width // 2 :] = (30, 200, 30)
    rgb[height // 2 :, : width // 2] = (30, 30, 200)
    rgb[height // 2 :, width // 2 :] = (128, 128, 128)
    return rgb


def write_clip(
    path: Path,
    frames: Iterable[Rgb | av.VideoFrame],
    *,
    rate: Fraction | int = 25,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    audio: str | None = None,
    audio_seconds: float = 1.0,
    audio_start: float = 0.0,
) -> Path:
    """Encode frames; ``pts`` (in ``time_base``) makes a variable rate, ``tags`` are attributes of the encoder."""
    time_base = time_base or 1 / Fraction(rate)
    with av.open(str(path), "w") as container:
        video: av.VideoStream | None = None
        sound = container.add_stream(audio, rate=44100, layout="stereo") if audio else None
        for index, frame in enumerate(frames):
            if not isinstance(frame, av.VideoFrame):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            if video is None:
                video = _add_video(container, codec, frame, rate, time_base, pix_fmt, options, tags)
                if sound is not None:
                    _write_audio(container, sound, audio_start, audio_seconds)
            frame.pts = pts[index] if pts else index
            frame.time_base = time_base
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode(None))
        elif sound is not None:
            _write_audio(container, sound, audio_start, audio_seconds)
        else:
            _add_video(container, codec, av.VideoFrame(64, 48), rate, time_base, pix_fmt, options, tags)
            container.start_encoding()
    return path


def _add_video(
    container: Any,
    codec: str,
    frame: av.VideoFrame,
    rate: Fraction | int,
    time_base: Fraction,
    pix_fmt: str,
    options: dict[str, str] | None,
    tags: dict[str, int] | None,
) -> av.VideoStream:
    if options is None:
        options = {"preset": "ultrafast", "crf": "5"} if codec == "libx264" else {}
    video = container.add_stream(codec, rate=rate, options=options)
    video.width, video.height, video.pix_fmt = frame.width, frame.height, pix_fmt
    video.codec_context.time_base = time_base
    video.time_base = time_base
    for name, value in (tags or {}).items():
        setattr(video.codec_context, name, value)
    return video


def _write_audio(container: Any, stream: Any, start: float, seconds: float) -> None:
    rate, size = 44100, 1024
    tone = (8000 * np.sin(np.arange(size) * 2 * np.pi * 8 / size)).astype(np.int16)
    for index in range(round(seconds * rate / size)):
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(start * rate) + index * size
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def plain_yuv(
    rgb: tuple[int, int, int], *, matrix: str, full: bool, pix_fmt: str = "yuv420p", width: int = 64, height: int = 48
) -> av.VideoFrame:
    """A frame of one colour, converted by the textbook's formula rather than by the library under test."""
    red_weight, blue_weight = LUMA_WEIGHTS[matrix]
    red, green, blue = (value / 255 for value in rgb)
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    chroma_blue = (blue - luma) / (2 * (1 - blue_weight))
    chroma_red = (red - luma) / (2 * (1 - red_weight))
    bits = 10 if pix_fmt.endswith("10le") else 8
    if full:
        top = 2**bits - 1
        planes = (luma * top, chroma_blue * top + 2 ** (bits - 1), chroma_red * top + 2 ** (bits - 1))
    else:
        unit = 2 ** (bits - 8)
        planes = (
            (16 + 219 * luma) * unit,
            (128 + 224 * chroma_blue) * unit,
            (128 + 224 * chroma_red) * unit,
        )
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane, value in zip(frame.planes, planes, strict=True):
        unit_type = np.dtype("<u2" if bits == 10 else "u1")
        plane.update(np.full(plane.buffer_size // unit_type.itemsize, round(value), unit_type).tobytes())
    return frame


def set_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write (a, b, c, d) into the header of the first track of an MP4 file, by hand."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd")
    assert data[header + 4] == 0, "a version 0 header is expected"
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", data, header + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def remux(
    source: Path,
    target: Path,
    change: Callable[[int, av.Packet], av.Packet | None] = lambda number, packet: packet,
    options: dict[str, str] | None = None,
) -> Path:
    """Copy the video packets of a file into another, each as ``change`` gives it back; None leaves it out."""
    with av.open(str(source)) as read, av.open(str(target), "w", options=options or {}) as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(read.demux(read.streams.video[0])):
            if packet.dts is not None and (changed := change(number, packet)) is not None:
                changed.stream = stream
                written.mux(changed)
    return target


def spoiled(packet: av.Packet) -> av.Packet:
    """Return a packet of the same size and times that no H.264 decoder can read."""
    bad = av.Packet(bytes([0, 0, 0, 2]) + b"\xff" * packet.size)
    bad.pts, bad.dts, bad.time_base = packet.pts, packet.dts, packet.time_base
    return bad


def davis_of_squares(folder: Path) -> Path:
    """Write DAVIS with two sequences of 4 frames of a square that moves; in the second one it is object 2 of 2."""
    height, width = 48, 64
    for sequence in ("alpha", "beta"):
        frames, truths = (folder / kind / "480p" / sequence for kind in ("JPEGImages", "Annotations"))
        frames.mkdir(parents=True)
        truths.mkdir(parents=True)
        for index, rgb in enumerate(moving_square(4, width=width, height=height)):
            labels = np.zeros((height, width), np.uint8)
            labels[16:32, 4 * index : 4 * index + 16] = 1 if sequence == "alpha" else 2
            if sequence == "beta":
                rgb[36:44, 40:56] = (20, 220, 230)
                labels[36:44, 40:56] = 1
            Image.fromarray(rgb).save(frames / f"{index:05d}.jpg", quality=95)
            Image.fromarray(labels).save(truths / f"{index:05d}.png")
    lists = folder / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("alpha\nbeta\n")
    return folder


UPRIGHT = {  # what NumPy makes of each display matrix, independently of the reader
    "clockwise 90": lambda rgb: np.rot90(rgb, -1),
    "180": lambda rgb: np.rot90(rgb, 2),
    "clockwise 270": lambda rgb: np.rot90(rgb, 1),
    "mirrored": np.fliplr,
}


def read_all(source: Path | str, **options) -> tuple[StreamInfo, list[Frame], list[str]]:
    with open_video(source, **options) as reader:
        frames = list(reader)
        return reader.info, frames, reader.warnings


def save(path: Path, values: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def worst(left: np.ndarray, right: np.ndarray) -> int:
    return int(np.abs(left.astype(int) - right).max())


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path
