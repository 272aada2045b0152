"""When each frame of a video file is shown and where its decoder may begin, by its packets, without decoding any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from persam_vos.errors import reason
from persam_vos.media.decoding.container import open_container, video_stream
from persam_vos.media.decoding.decode import Tally, decode, end_warnings
from persam_vos.media.decoding.shown_times import rises, shown_times
from persam_vos.media.stream import Clock, StreamInfo

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FrameTable:
    """The frames of a file in the order in which they are shown, and its key frames.

    Attributes:
        pts: int64, N: when each frame is shown, rising, in units of the time base.
        keys: int64, K x 2, by the first column: pts and dts of the packets at which a decoder may begin.
        end: When the last frame ends, in the same units.
        is_sought: Whether frames can be told by the timestamp that the decoder gives them, which is then ``pts``.
        is_decoded: Whether all frames have been decoded once; else the table is what the packets promise.
        warnings: What is wrong with the file, one line each.
    """

    pts: Times
    keys: Times
    end: int
    is_sought: bool
    is_decoded: bool
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pts)

    def last_key(self, index: int) -> int:
        """Return the place in ``keys`` of the last one from which a frame can be decoded; -1 if there is none.

        A frame that is shown before a key frame may refer to frames before that one, even if it comes after it in the
        file (an open group of pictures). Hence it belongs to the key frame before.
        """
        return int(np.searchsorted(self.keys[:, 0], self.pts[index], side="right")) - 1

    def first_frame(self, key: int) -> int:
        """Return the index of the first frame that can be decoded from a key frame, given by its place in ``keys``."""
        return int(np.searchsorted(self.pts, self.keys[key, 0]))


def read_table(path: Path, info: StreamInfo) -> FrameTable:
    """Make the table of a file: from its packets alone or, where they promise too little, by decoding all of it.

    Args:
        path: The file.
        info: What its header says.

    Raises:
        VideoError: If it cannot be opened any more.
    """
    with open_container(path) as container:
        stream = video_stream(path, container)
        guessed = shown_times(container, stream, path) is not None
        packets = _read_packets(container, stream)
        times = packets.times()
        if guessed or packets.is_doubtful or times is None:
            return _decode_all(path, info, packets.keys)
        clock = Clock(info)
        clock.tick(times[-1], packets.last_duration)
        packets.tally.delivered = len(times)
        warnings = [*packets.tally.warnings(stream), *end_warnings(container, stream, clock.end)]
        return _table(times, packets.keys, clock.end, is_sought=True, is_decoded=False, warnings=warnings)


def decode_table(path: Path, info: StreamInfo) -> FrameTable:
    """Make the table of a file by decoding all of it; see ``read_table``."""
    with open_container(path) as container:
        keys = _read_packets(container, video_stream(path, container)).keys
    return _decode_all(path, info, keys)


@dataclass(slots=True)
class _Packets:
    """What the packets of a stream say.

    Attributes:
        pts: Of each packet that is shown, in the order of the file; None if it has none.
        keys: pts and dts of the packets at which a decoder may begin.
        tally: Packets that are hidden, and why reading stopped.
        is_doubtful: Whether a packet is damaged or empty.
        last_duration: Of the packet that is shown last, in units of the time base; 0 if unknown.
    """

    pts: list[int | None] = field(default_factory=list)
    keys: list[tuple[int, int]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    is_doubtful: bool = False
    last_duration: int = 0

    def times(self) -> list[int] | None:
        """Return the timestamps in the order of presentation; None if one is missing or occurs twice."""
        known = sorted(pts for pts in self.pts if pts is not None)
        return known if known and len(known) == len(self.pts) and rises(known) else None


def _read_packets(container: av.container.InputContainer, stream: av.VideoStream) -> _Packets:
    found, last = _Packets(), None
    try:
        for packet in container.demux(stream):
            if not packet.size:
                found.is_doubtful |= packet.dts is not None  # the demuxer's last, empty packet has no time
                continue
            found.is_doubtful |= packet.is_corrupt
            if packet.is_keyframe and packet.pts is not None:
                found.keys.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
            if packet.is_discard:
                found.tally.hidden += 1
                continue
            found.pts.append(packet.pts)
            if packet.pts is not None and (last is None or packet.pts > last):
                last, found.last_duration = packet.pts, packet.duration or 0
    except av.FFmpegError as error:
        found.tally.stopped = reason(error)
        found.is_doubtful = True
    return found


def _decode_all(path: Path, info: StreamInfo, keys: Sequence[tuple[int, int]]) -> FrameTable:
    """Decode a file without converting its frames to RGB, and note when each is shown."""
    tally, clock = Tally(), Clock(info)
    raw: list[int | None] = []
    times: list[int] = []
    with open_container(path) as container:
        stream = video_stream(path, container)
        given = shown_times(container, stream, path)
        for decoded in decode(stream, container.demux(stream), tally, given):
            raw.append(decoded.pts)
            times.append(clock.tick(decoded.pts, decoded.duration or 0))
        warnings = [*tally.warnings(stream), *clock.warnings(), *end_warnings(container, stream, clock.end)]
    # A decoder that begins elsewhere would give other times to frames whose times FFmpeg guesses.
    is_sought = raw == times and given is None
    if raw != times:
        warnings.append("timestamps are missing or do not rise; each frame is found by reading from the start")
    return _table(times, keys, clock.end, is_sought=is_sought, is_decoded=True, warnings=warnings)


def _table(
    times: Sequence[int],
    keys: Sequence[tuple[int, int]],
    end: int,
    *,
    is_sought: bool,
    is_decoded: bool,
    warnings: Sequence[str],
) -> FrameTable:
    return FrameTable(
        pts=np.array(times, np.int64),
        keys=np.array(sorted(keys), np.int64).reshape(-1, 2),
        end=end,
        is_sought=is_sought,
        is_decoded=is_decoded,
        warnings=tuple(warnings),
    )
