"""Frames of a video file in any order, by seeking to key frames and decoding from there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np

from persam_vos.errors import VideoError
from persam_vos.media.decoding.container import open_container, other_videos, video_stream
from persam_vos.media.decoding.decode import (
    Tally,
    decode,
    describe,
    first_frame,
    time_base_of,
)
from persam_vos.media.decoding.frame_maker import FrameMaker
from persam_vos.media.decoding.packet_index import FrameTable, decode_table, read_table
from persam_vos.media.decoding.shown_times import ShownTimes, shown_times
from persam_vos.media.frame import Frame
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.stream import StreamInfo

_MAX_AHEAD_BYTES = 200 * 2**20  # of decoded frames that wait while a video is read backwards
_PROBED_FRAMES = 32  # decoded at once, which shows most files whose frames are not what their packets promise


class VideoFileAccess(RandomAccessVideo):
    """Frames of a video file in any order; see ``RandomAccessVideo``.

    Where the decoder does not deliver what the packets promise, the whole file is decoded once, without keeping pixels,
    to find out which frames it has.

    Args:
        path: The file.
        deinterlace: Make every second row of interlaced frames anew.

    Raises:
        VideoError: If the file is missing, is not a video, or has no frame that can be decoded.
    """

    _table: FrameTable

    def __init__(self, path: Path, *, deinterlace: bool = False) -> None:
        self.files, self.warnings = (path,), []
        self._path = path
        self._lock = threading.RLock()
        self._cursor = _Cursor(path)
        self._latest: tuple[int, av.VideoFrame] | None = None
        self._last_delivered = -1
        self._is_closed = False
        try:
            first, self._header, self._maker = self._cursor.describe(deinterlace)
            self._room = max(1, _MAX_AHEAD_BYTES // sum(plane.buffer_size for plane in first.planes))
            self._take(read_table(path, self._header))
            for index in range(_PROBED_FRAMES):
                if index < len(self):
                    self._decoded(index)
        except BaseException:
            self._cursor.close()
            raise

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._table)

    def end(self) -> Fraction:
        """Return when the last frame ends, in seconds."""
        return self._table.end * self.info.time_base

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            self._is_closed, self._latest = True, None
            self._cursor.close()

    def _pts(self, index: int) -> int:
        return int(self._table.pts[index])

    def _frame(self, index: int) -> Frame:
        with self._lock:
            if self._latest is None or self._latest[0] != index:
                self._latest = index, self._decoded(index)
            return self._make(*self._latest)

    def _make(self, index: int, decoded: av.VideoFrame) -> Frame:
        self._last_delivered = max(self._last_delivered, index)
        return self._maker.make(decoded, index, self._pts(index))

    def _backwards(self, indices: range) -> Iterator[Frame]:
        done = 0
        while done < len(indices):
            block = self._block(indices[done:])
            with self._lock:
                ahead = [(index, self._decoded(index)) for index in reversed(block)]
            done += len(block)
            while ahead:
                with self._lock:
                    frame = self._make(*ahead.pop())
                yield frame

    def _block(self, indices: range) -> range:
        """Return the first of some descending indices: those that one key frame leads to, as far as memory allows."""
        key = self._table.last_key(indices[0]) if self._table.is_sought else -1
        low = self._table.first_frame(key) if key >= 0 else 0
        inside = len(range(indices[0], low - 1, indices.step))
        return indices[: min(inside, self._room)]

    def _decoded(self, index: int) -> av.VideoFrame:
        """Decode the frame at an index, from wherever that is fast and exact."""
        if self._is_closed:
            raise VideoError(f"{self._path}: has been closed; open it again")
        for way in (self._go_on, self._seek_near, self._seek_before, self._cursor.restart):
            if way(index):
                try:
                    return self._cursor.read(self._table, index)
                except _UnexpectedFrameError:
                    continue
        if self._table.is_decoded:
            raise VideoError(f"{self._path}: frame {index} cannot be decoded any more; has the file changed?")
        self._take(decode_table(self._path, self._header))
        return self._decoded(self._checked(index))

    def _go_on(self, index: int) -> bool:
        """Tell whether to go on decoding from where the decoder is: no key frame lies nearer to the wanted one."""
        here = self._cursor.next_index
        if here is None or here > index:
            return False
        key = self._table.last_key(index) if self._table.is_sought else -1
        return key < 0 or self._table.first_frame(key) <= here

    def _seek_near(self, index: int) -> bool:
        return self._seek(index, 0)

    def _seek_before(self, index: int) -> bool:
        return self._seek(index, 1)

    def _seek(self, index: int, keys_back: int) -> bool:
        """Go to the last key frame before an index, or so many before it; return whether that has worked."""
        if not self._table.is_sought:
            return False
        key = self._table.last_key(index) - keys_back
        return key >= 0 and self._table.first_frame(key) > 0 and self._cursor.seek(self._table, key)

    def _take(self, table: FrameTable) -> None:
        """Go by a table from now on."""
        seen = slice(self._last_delivered + 1)
        is_renumbered = self._last_delivered >= 0 and not np.array_equal(table.pts[seen], self._table.pts[seen])
        self._table = table
        self.info = replace(self._header, frame_count=len(table))
        self.warnings[:] = [*self._maker.warnings, *table.warnings]
        if is_renumbered:
            self.warnings.append("frames turned out to be missing; some that were read before had other numbers")


class _UnexpectedFrameError(Exception):
    """The decoder delivered another frame than the table has, a damaged one, or none."""


class _Cursor:
    """A decoder somewhere in a file; it delivers frame after frame and checks them against the table.

    Attributes:
        next_index: Index of the frame that comes next; None if that is unknown.
    """

    next_index: int | None
    _frames: Iterator[av.VideoFrame]

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def describe(self, deinterlace: bool) -> tuple[av.VideoFrame, StreamInfo, FrameMaker]:
        """Return the first frame, what the header says, and what makes frames like it; to be called first."""
        first = first_frame(self._path, self._stream, self._frames, self._tally)
        self._frames = chain([first], self._frames)
        maker = FrameMaker(self._path, first, time_base_of(self._stream), deinterlace=deinterlace)
        maker.warnings[:0] = other_videos(self._container, self._stream)
        return first, describe(self._path, self._container, self._stream, maker), maker

    def restart(self, _index: int = 0) -> bool:
        """Open the file anew and begin with its first frame; returns True."""
        self.close()
        self._open()
        return True

    def seek(self, table: FrameTable, key: int) -> bool:
        """Begin at a key frame of the table, or at one before it; return whether that has worked."""
        pts, dts = map(int, table.keys[key])
        for target in dict.fromkeys((pts, dts)):
            packets = self._packets_from(target)
            begin = next((packet for packet in packets if packet.is_keyframe), None)
            if begin is None or begin.pts is None or begin.pts > pts:
                continue
            landed = int(np.searchsorted(table.keys[:, 0], begin.pts))
            if table.keys[landed, 0] == begin.pts:
                self._begin(chain([begin], packets), next_index=table.first_frame(landed), first_pts=begin.pts)
                return True
        self.next_index = None
        return False

    def read(self, table: FrameTable, index: int) -> av.VideoFrame:
        """Decode on to the frame at an index, which lies ahead.

        Raises:
            _UnexpectedFrameError: If the frames are not those of the table.
        """
        here, self.next_index = self.next_index, None
        if here is None:
            raise _UnexpectedFrameError
        is_checked = self._first_pts is not None or not table.is_decoded
        for decoded in self._frames:
            if self._first_pts is not None and (decoded.pts is None or decoded.pts < self._first_pts):
                continue  # shown before the key frame, and perhaps made of frames that were never decoded
            if is_checked and (here >= len(table) or decoded.pts != table.pts[here] or decoded.is_corrupt):
                break
            here += 1
            if here > index:
                self.next_index = here
                return decoded
        raise _UnexpectedFrameError

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self.next_index = None
        self._container.close()

    def _open(self) -> None:
        self._container = open_container(self._path)
        try:
            self._stream = video_stream(self._path, self._container)
        except BaseException:
            self._container.close()
            raise
        times = shown_times(self._container, self._stream, self._path)
        self._begin(self._container.demux(self._stream), next_index=0, first_pts=None, times=times)

    def _packets_from(self, target: int) -> Iterator[av.Packet[av.VideoStream]]:
        """Go to a timestamp, as near as the container can, and yield the packets from there on."""
        try:
            self._container.seek(target, stream=self._stream)
            yield from self._container.demux(self._stream)
        except av.FFmpegError:
            return

    def _begin(
        self,
        packets: Iterator[av.Packet[av.VideoStream]],
        *,
        next_index: int,
        first_pts: int | None,
        times: ShownTimes | None = None,
    ) -> None:
        self._tally = Tally()
        self._frames = decode(self._stream, packets, self._tally, times)
        self.next_index, self._first_pts = next_index, first_pts
