"""Animated pictures as videos: they are told by content, whatever their suffix, and WebP is read with Pillow."""

from __future__ import annotations

import struct
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from PIL import WebPImagePlugin

from persam_vos.errors import VideoError, reason
from persam_vos.masks import Rgb
from persam_vos.media.frame import Frame
from persam_vos.media.photo_files import MAX_PIXELS, rgb_of_image
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.stream import GeneratorReader, StreamInfo

_TIME_BASE = Fraction(1, 1000)
# Browsers show frames that claim to last less for so many milliseconds.
_SHORTEST, _SHOWN_INSTEAD = 11, 100
_ANIMATION_FLAG = 2


def is_animation(path: Path) -> bool:
    """Tell whether a file is an animated PNG or WebP, or a GIF; False for one that cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head.startswith(b"\x89PNG"):
                file.seek(8)
                return _has_animation_chunk(file)
            return head.startswith(b"GIF8") or is_animated_webp(path)
    except (OSError, struct.error):
        return False


def is_animated_webp(path: Path) -> bool:
    """Tell whether a file is an animated WebP, which FFmpeg cannot read; False for one that cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except OSError:
        return False
    return len(head) == 21 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & _ANIMATION_FLAG)


def _has_animation_chunk(file: BinaryIO) -> bool:
    """Tell whether a PNG has an ``acTL`` chunk before its pixels."""
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind in (b"acTL", b"IDAT"):
            return bool(kind == b"acTL")
        file.seek(length + 4, 1)
    return False


@dataclass(frozen=True, slots=True)
class _Timing:
    """When each frame is shown and the last one ends, in milliseconds."""

    pts: tuple[int, ...]
    end: int


class AnimationAccess(RandomAccessVideo):
    """Frames of an animated WebP in any order; see ``RandomAccessVideo``.

    A frame before the last one that was read is found by decoding from the start.

    Args:
        path: The file.

    Raises:
        VideoError: If it is damaged, or has more than 100 million pixels a frame.
    """

    def __init__(self, path: Path) -> None:
        self.files, self.warnings = (path,), []
        self._lock = threading.Lock()
        self._timing = _webp_timing(path)
        try:
            self._image = WebPImagePlugin.WebPImageFile(path)
        except Exception as error:  # Pillow's decoders raise errors of nearly any type on damaged files
            raise VideoError(f"{path}: the animation cannot be read ({reason(error)})") from error
        width, height = self._image.size
        if width * height > MAX_PIXELS:
            self._image.close()
            raise VideoError(f"{path}: {width} x {height} pixels; at most {MAX_PIXELS:,} are allowed; scale it down")
        count = len(self._timing.pts)
        self.info = StreamInfo(
            source=path,
            width=width,
            height=height,
            frame_rate=Fraction(count * 1000, self._timing.end),
            time_base=_TIME_BASE,
            frame_count=count,
            has_audio=False,
        )

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._timing.pts)

    def end(self) -> Fraction:
        """Return when the last frame ends, in seconds."""
        return self._timing.end * _TIME_BASE

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            self._image.close()

    def _pts(self, index: int) -> int:
        return self._timing.pts[index]

    def _frame(self, index: int) -> Frame:
        return Frame(index, self._pts(index), _TIME_BASE, self._rgb(index))

    def _rgb(self, index: int) -> Rgb:
        with self._lock:
            try:
                self._image.seek(index)
                self._image.load()
                return rgb_of_image(self._image)
            except Exception as error:  # Pillow's decoders raise errors of nearly any type on damaged files
                raise VideoError(f"{self.info.source}: frame {index} cannot be read ({reason(error)})") from error


class AnimationReader(GeneratorReader):
    """Reads an animated WebP, one frame at a time, in order; see ``AnimationAccess``."""

    def __init__(self, path: Path) -> None:
        self._video = AnimationAccess(path)
        self.info, self.warnings = self._video.info, self._video.warnings
        self._frames = self._deliver()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        super().close()
        self._video.close()

    def _deliver(self) -> Generator[Frame, None, None]:
        yield from self._video.frames()


def _webp_timing(path: Path) -> _Timing:
    """Read from an animated WebP how long each frame is shown."""
    with path.open("rb") as file:
        durations = [each if each >= _SHORTEST else _SHOWN_INSTEAD for each in _webp_durations(file)]
    if not durations:
        raise VideoError(f"{path}: the animation has no frame")
    times = list(accumulate(durations, initial=0))
    return _Timing(tuple(times[:-1]), times[-1])


def _webp_durations(file: BinaryIO) -> Iterator[int]:
    """Yield the milliseconds of each ``ANMF`` chunk of a WebP file."""
    file.seek(12)
    while len(header := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", header)
        if kind == b"ANMF":
            frame = file.read(16)
            if len(frame) < 16:
                return
            yield int.from_bytes(frame[12:15], "little")
            length -= 16
        file.seek(length + length % 2, 1)
