"""What the commands are given: a short clip, a mask, prompts and photos, made anew in each folder."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

FRAMES, HEIGHT, WIDTH, SIDE = 8, 64, 96, 24
PHOTOS = 6
SETTINGS = "settings.yaml"
_SETTINGS = "backend: torch\nprecision: float32\nbatch_size: 1\nmask_token: false\npasses: 1\ncolours: 0.0\n"
_TOP = 20


def make_material(folder: Path, frames: int = FRAMES) -> None:
    """Write clip.mp4, mask.png, prompts.json, clips.jsonl, settings.yaml, and photos/0.jpg and on."""
    (folder / "photos").mkdir(parents=True)
    write_clip(folder / "clip.mp4", frames)
    (folder / SETTINGS).write_text(_SETTINGS, encoding="utf-8")
    Image.fromarray(square(0).astype(np.uint8)).save(folder / "mask.png")
    box = [_left(0), _TOP, _left(0) + SIDE - 1, _TOP + SIDE - 1]
    later = [_left(frames - 2), _TOP, _left(frames - 2) + SIDE - 1, _TOP + SIDE - 1]
    said = [{"frame": 0, "object": 1, "box": box}, {"frame": frames - 2, "object": 1, "box": later}]
    text = json.dumps({"version": 1, "video": "clip.mp4", "prompts": said})
    (folder / "prompts.json").write_text(text, encoding="utf-8")
    clips: list[dict[str, object]] = [
        {"id": "whole", "video": "clip.mp4", "mask": "mask.png"},
        {
            "id": "part",
            "video": "clip.mp4",
            "box": [left := _left(3), _TOP, left + SIDE - 1, _TOP + SIDE - 1],
            "start": 3,
        },
        {"id": "said", "video": "clip.mp4", "prompts": "prompts.json"},
    ]
    (folder / "clips.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in clips), encoding="utf-8")
    for index in range(PHOTOS):
        Image.fromarray(picture(index)).save(folder / "photos" / f"{index}.jpg", quality=95)


def write_clip(path: Path, frames: int = FRAMES) -> None:
    """Write a video of a square that moves, with sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "5", "g": "4"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=44100, layout="mono")
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for index in range(frames * 44100 // 25 // 1024):
            heard = av.AudioFrame.from_ndarray(np.full((1, 1024), 500, np.int16), format="s16", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 44100, 1024 * index, Fraction(1, 44100)
            container.mux(sound.encode(heard))
        container.mux(sound.encode(None))


def picture(index: int) -> npt.NDArray[np.uint8]:
    """Return a picture of the square, uint8, H x W x 3."""
    rgb = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., 0] = np.linspace(20, 120, WIDTH, dtype=np.uint8)
    rgb[..., 1] = np.linspace(20, 120, HEIGHT, dtype=np.uint8)[:, None]
    rgb[..., 2] = 60
    rgb[square(index)] = (240, 200, 40)
    return rgb


def square(index: int) -> npt.NDArray[np.bool_]:
    """Return the mask of the square in a picture, H x W."""
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[_TOP : _TOP + SIDE, _left(index) : _left(index) + SIDE] = True
    return mask


def _left(index: int) -> int:
    return 4 + 4 * index % (WIDTH - SIDE - 4)
