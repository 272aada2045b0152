"""Whole films, photos and masks that damage begins with, all made here."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from fuzzing.changes import Damage, damage_boxes, damage_bytes, damage_png, damage_riff

HEIGHT, WIDTH, FRAMES = 48, 64, 6
Seed = tuple[bytes, Damage]

# Format, codec, pixel format, codec of the sound, and kinds of damage.
_FILMS = (
    ("mp4", "libx264", "yuv420p", "aac", (damage_boxes, damage_bytes)),
    ("mov", "mjpeg", "yuvj420p", "pcm_s16le", (damage_boxes, damage_bytes)),
    ("mov", "prores_ks", "yuva444p10le", "", (damage_boxes, damage_bytes)),
    ("mov", "qtrle", "argb", "", (damage_boxes,)),
    ("matroska", "libx264", "yuv420p", "aac", (damage_bytes,)),
    ("matroska", "ffv1", "yuv420p", "", (damage_bytes,)),
    ("webm", "libvpx-vp9", "yuv420p", "libopus", (damage_bytes,)),
    ("webm", "libvpx", "yuva420p", "", (damage_bytes,)),
    ("avi", "mpeg4", "yuv420p", "pcm_s16le", (damage_riff, damage_bytes)),
    ("mpegts", "mpeg2video", "yuv420p", "", (damage_bytes,)),
    ("asf", "wmv2", "yuv420p", "", (damage_bytes,)),
    ("flv", "flv", "yuv420p", "", (damage_bytes,)),
    ("gif", "gif", "rgb8", "", (damage_bytes,)),
    ("apng", "apng", "rgb24", "", (damage_png, damage_bytes)),
    ("yuv4mpegpipe", "wrapped_avframe", "yuv420p", "", (damage_bytes,)),
    ("h264", "libx264", "yuv420p", "", (damage_bytes,)),
    ("mxf", "mpeg2video", "yuv420p", "", (damage_bytes,)),
    ("nut", "rawvideo", "bgr24", "", (damage_bytes,)),
)
_LEADING_ELSEWHERE = (
    b"#EXTM3U\n#EXTINF:2,\n../canary/secret.mp4\n#EXT-X-ENDLIST\n",
    b"ffconcat version 1.0\nfile ../canary/secret.mp4\n",
    b"[playlist]\nFile1=http://127.0.0.1:47831/a.mp4\n",
    b'<MPD type="static"><Period><BaseURL>../canary/secret.mp4</BaseURL></Period></MPD>',
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 47831 RTP/AVP 96\n",
)


def picture(index: int = 0) -> npt.NDArray[np.uint8]:
    """Return a bright square on a gradient: uint8, H x W x 3."""
    rgb = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., 0], rgb[..., 1], rgb[..., 2] = np.arange(WIDTH), np.arange(HEIGHT)[:, None], 60
    rgb[16:32, 4 + 4 * index : 20 + 4 * index] = (230, 200, 40)
    return rgb


def labels() -> npt.NDArray[np.uint8]:
    """Return a label map of two objects: uint8, H x W."""
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[16:32, 4:20], values[36:44, 40:56] = 1, 2
    return values


def film(kind: str = "mp4", codec: str = "libx264", pixels: str = "yuv420p", sound: str = "") -> bytes:
    """Return a film of six frames, the same bytes in every run."""
    written = io.BytesIO()
    exact = {"fflags": "+bitexact"}
    with av.open(written, "w", format=kind, options=exact) as container:
        options = {"flags": "+bitexact", "threads": "1", "auto-alt-ref": "0"}
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        heard: Any = container.add_stream(sound, rate=48000, layout="stereo") if sound else None
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if heard is not None:
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 9600), np.int16), format="s16", layout="stereo")
            quiet.sample_rate, quiet.time_base, quiet.pts = 48000, Fraction(1, 48000), 0
            resampler = av.AudioResampler(format=heard.format, layout="stereo", rate=48000)
            for each in resampler.resample(quiet):
                container.mux(heard.encode(each))
            container.mux(heard.encode(None))
    return written.getvalue()


def films() -> list[Seed]:
    """Return films of many containers and codecs, and files that name others."""
    found: list[Seed] = []
    for kind, codec, pixels, sound, damages in _FILMS:
        if codec in av.codecs_available:
            data = film(kind, codec, pixels, sound)
            found += [(data, damage) for damage in damages]
    shown = [Image.fromarray(picture(index)) for index in range(FRAMES)]
    animated = saved(shown[0], "WEBP", save_all=True, append_images=shown[1:], duration=40)
    found += [(animated, damage_riff), (animated, damage_bytes)]
    found += [(data, damage_bytes) for data in _LEADING_ELSEWHERE]
    return found


def photos() -> list[Seed]:
    """Return photos of all formats that are read, in the modes that differ."""
    rgb = Image.fromarray(picture())
    deep = Image.fromarray(picture()[..., 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    pngs = [saved(each, "PNG") for each in (rgb, rgb.convert("RGBA"), rgb.convert("P"), rgb.convert("1"), deep)]
    pngs.append(saved(rgb.convert("P"), "PNG", transparency=3, exif=exif))
    webps = [saved(rgb, "WEBP", lossless=True), saved(rgb.convert("RGBA"), "WEBP", exif=exif)]
    others = [
        saved(rgb, "JPEG", exif=exif),
        saved(rgb, "JPEG", progressive=True),
        saved(rgb.convert("CMYK"), "JPEG"),
        saved(rgb, "BMP"),
        saved(rgb.convert("P"), "BMP"),
        saved(rgb, "GIF"),
        *(saved(rgb, "TIFF", compression=each) for each in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg")),
        saved(deep, "TIFF"),
        saved(rgb.convert("1"), "TIFF", compression="group4"),
    ]
    seeds: list[Seed] = [(each, damage_png) for each in pngs] + [(each, damage_riff) for each in webps]
    return seeds + [(each, damage_bytes) for each in (*pngs, *webps, *others)]


def mask_pictures() -> list[Seed]:
    """Return pictures of masks: palette, grey, black and white, alpha, and formats that only Pillow knows."""
    indexed = Image.fromarray(labels(), "P")
    indexed.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    white = Image.fromarray((labels() > 0).astype(np.uint8) * 255)
    cut = Image.fromarray(np.dstack([picture(), np.asarray(white)]))
    pngs = [saved(each, "PNG") for each in (indexed, Image.fromarray(labels()), white, white.convert("1"), cut)]
    others = [saved(white, kind) for kind in ("BMP", "TIFF", "GIF", "WEBP", "TGA", "PPM", "PCX", "SGI", "JPEG", "DDS")]
    postscript = [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n%%EndComments\nshowpage\n"]
    seeds: list[Seed] = [(each, damage_png) for each in pngs]
    return seeds + [(each, damage_bytes) for each in (*pngs, *others, *postscript)]


def label_pngs() -> list[Seed]:
    """Return label maps as data sets have them."""
    indexed = Image.fromarray(labels(), "P")
    indexed.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    pngs = [
        saved(each, "PNG") for each in (indexed, Image.fromarray(labels()), Image.fromarray(labels()).convert("RGB"))
    ]
    return [(each, damage) for each in pngs for damage in (damage_png, damage_bytes)]


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture as a file."""
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def bomb_png(width: int, height: int, mode: int = 0, depth: int = 8) -> bytes:
    """Return a PNG of zeros that is as small as zlib can make it: a thousandth of its pixels."""
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[mode]
    packer, packed = zlib.compressobj(9), b""
    row = bytes(1 + (width * bits + 7) // 8)
    for _ in range(height):
        packed += packer.compress(row)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, depth, mode, 0, 0, 0)), (b"PLTE", bytes(6)))
    written = b"\x89PNG\r\n\x1a\n"
    for kind, body in (*chunks[: 2 if mode == 3 else 1], (b"IDAT", packed + packer.flush()), (b"IEND", b"")):
        written += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return written
