"""When frames are shown, for files that say only when each is decoded."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av

from persam_vos.media.decoding.container import open_container

# Their packets have one time, that of decoding; FFmpeg guesses the other one, and is wrong where frames are reordered.
_DECODE_TIMES_ONLY = frozenset({"avi", "asf"})
# Its packets have both.
_EXACT = frozenset({"mov,mp4,m4a,3gp,3g2,mj2"})
# Enough to meet a frame that is shown before one that is stored before it.
_PROBED_PACKETS, _PROBED_FRAMES = 64, 32


class ShownTimes:
    """Gives each frame the earliest decoding time that no frame before it was given.

    Frames are shown at the pace at which they are decoded, so that the n-th frame shown has the n-th decoding time. A
    file without reordered frames keeps its times.
    """

    def __init__(self) -> None:
        self._waiting: list[int] = []

    def add(self, packet: av.Packet[av.VideoStream]) -> None:
        """Note the time of a packet that is decoded next."""
        if packet.dts is not None:
            heapq.heappush(self._waiting, packet.dts)

    def drop(self, packet: av.Packet[av.VideoStream]) -> None:
        """Forget the time of a packet of which no frame is made."""
        if packet.dts in self._waiting:
            self._waiting.remove(packet.dts)
            heapq.heapify(self._waiting)

    def take(self) -> int | None:
        """Return the time of the frame that is shown next; None if that is unknown."""
        return heapq.heappop(self._waiting) if self._waiting else None


def _are_guessed(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> bool:
    """Tell whether the times at which frames are shown are guessed, and wrong where frames are reordered."""
    if not stream.codec_context.has_b_frames or container.format.name in _EXACT:
        return False
    if container.format.name in _DECODE_TIMES_ONLY:
        return True
    with open_container(path) as probe:
        return _fall_back(probe, probe.streams.video[container.streams.video.index(stream)])


def _fall_back(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    """Tell whether the first packets are stored as they are shown, by their times, and yet their frames are not."""
    try:
        packets = [packet for packet, _ in zip(container.demux(stream), range(_PROBED_PACKETS), strict=False)]
        stored = [packet.pts for packet in packets if packet.pts is not None]
        if len(stored) < 2 or not rises(stored):
            return False
        shown: list[int] = []
        for packet in packets[:_PROBED_FRAMES]:
            shown += [frame.pts for frame in stream.decode(packet) if frame.pts is not None]
    except av.FFmpegError:
        return False
    return not rises(shown)


def rises(times: Sequence[int]) -> bool:
    """Tell whether each time is later than the one before it."""
    return all(later > earlier for earlier, later in pairwise(times))


def shown_times(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> ShownTimes | None:
    """Return what gives the frames of a video their times; None where those of the file are right.

    Args:
        container: The open file; it is not read.
        stream: Its video.
        path: The file, which is opened once more if its format does not tell.
    """
    return ShownTimes() if _are_guessed(container, stream, path) else None
