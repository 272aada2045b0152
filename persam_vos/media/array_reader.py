"""Arrays in memory, or given one by one, become a stream of frames."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sized
from fractions import Fraction
from pathlib import Path

import numpy as np

from persam_vos.errors import VideoError
from persam_vos.masks import Rgb
from persam_vos.media.frame import Frame
from persam_vos.media.stream import GeneratorReader, StreamInfo


class ArrayReader(GeneratorReader):
    """Reads arrays as frames, one at a time, the index being the timestamp.

    Each array is copied when it is read, so that its owner may use its memory for the next one.

    Args:
        frames: An array N x H x W x 3, or any iterable of arrays H x W x 3: uint8, RGB, all of one size. The first
            one is read at once, the others as they are asked for.
        frame_rate: Frames per second.

    Raises:
        VideoError: If there is no frame, or a frame is no such array or has another size than the first.
    """

    def __init__(self, frames: Iterable[Rgb], *, frame_rate: Fraction) -> None:
        self.warnings: list[str] = []
        arrays = iter(frames)
        try:
            first = next(arrays)
        except StopIteration:
            raise VideoError("the frames are an empty iterable; give at least one array") from None
        size = Frame(0, 0, 1 / frame_rate, first)
        self.info = StreamInfo(
            source=Path("arrays"),
            width=size.width,
            height=size.height,
            frame_rate=frame_rate,
            time_base=1 / frame_rate,
            frame_count=len(frames) if isinstance(frames, Sized) else None,
            has_audio=False,
        )
        self._frames = self._deliver(array_frame(first, 0, self.info), arrays)

    def _deliver(self, first: Frame, arrays: Iterator[Rgb]) -> Generator[Frame, None, None]:
        yield first
        for index, array in enumerate(arrays, start=1):
            yield array_frame(array, index, self.info)


def array_frame(array: Rgb, index: int, info: StreamInfo) -> Frame:
    """Return a copy of an array as the frame at ``index``.

    Raises:
        VideoError: If it is no array uint8, H x W x 3, or has another size than ``info`` says.
    """
    frame = Frame(index, index, info.time_base, array)
    if (frame.height, frame.width) != (info.height, info.width):
        raise VideoError(f"frame {index} is {frame.height} x {frame.width}, the first was {info.height} x {info.width}")
    return Frame(index, index, info.time_base, np.array(array, order="C"))
