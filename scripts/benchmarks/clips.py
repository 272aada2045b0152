"""Clips of any size and length, made from the demo clip."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.media.masks.files import read_mask
from persam_vos.media.readers import open_video
from persam_vos.media.stream import FrameReader

SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}


def make_clip(source: str, path: Path, size: tuple[int, int], count: int) -> None:
    """Write ``count`` frames of a clip, scaled to width x height, as H.264; a shorter clip runs forth and back."""
    with open_video(source) as reader, av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=reader.info.frame_rate or 25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        frames = list(itertools.islice(reader, count))
        for frame in itertools.islice(itertools.cycle([*frames, *frames[-2:0:-1]]), count):
            picture = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_CUBIC)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def label_map_of(mask: Path, width: int, height: int, objects: int = 1) -> LabelMap:
    """Return the mask of a clip at a size; for more than one object, squares spread over the frame."""
    if objects == 1:
        return read_mask(mask, height=height, width=width, resize=True)
    label_map = np.zeros((height, width), np.uint8)
    per_row = int(np.ceil(objects**0.5))
    side = height // (2 * per_row)
    for i in range(objects):
        y, x = height * (2 * (i // per_row) + 1) // (2 * per_row), width * (2 * (i % per_row) + 1) // (2 * per_row)
        label_map[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = i + 1
    return label_map


class FirstFrames:
    """The first frames of another reader."""

    def __init__(self, reader: FrameReader, count: int) -> None:
        self.info, self.warnings = reader.info, reader.warnings
        self._frames = itertools.islice(iter(reader), count)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames."""
        return self._frames

    def close(self) -> None:
        """Leave the other reader open."""


class LoopedFrames:
    """A reader that repeats a clip, decoded anew each time, at width x height."""

    def __init__(self, path: str, size: tuple[int, int], count: int) -> None:
        self._path, self._size, self._count = path, size, count
        self.warnings: list[str] = []
        with open_video(path) as reader:
            self.info = dataclasses.replace(
                reader.info, width=size[0], height=size[1], frame_count=count, has_audio=False
            )

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, at a constant rate."""
        step = round(1 / ((self.info.frame_rate or 25) * self.info.time_base))
        index = 0
        while True:
            with open_video(self._path) as reader:
                for frame in reader:
                    if index == self._count:
                        return
                    yield Frame(index, index * step, self.info.time_base, cv2.resize(frame.rgb, self._size))
                    index += 1

    def close(self) -> None:
        """Nothing is left open."""
