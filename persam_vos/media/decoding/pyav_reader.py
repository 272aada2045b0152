"""Reads a video file with PyAV: upright frames in full-range RGB."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import av

from persam_vos.media.decoding.container import open_container, other_videos, video_stream
from persam_vos.media.decoding.decode import (
    Tally,
    decode,
    describe,
    end_warnings,
    first_frame,
    time_base_of,
)
from persam_vos.media.decoding.frame_maker import FrameMaker
from persam_vos.media.decoding.shown_times import shown_times
from persam_vos.media.frame import Frame
from persam_vos.media.stream import Clock, GeneratorReader


class VideoReader(GeneratorReader):
    """Reads a video file with PyAV.

    Rotation by a multiple of 90 degrees and mirroring are applied. The pixel aspect ratio is not: pixels stay as
    stored. HDR is tone-mapped. Damaged frames that the decoder can conceal are delivered, packets that it cannot
    decode are skipped, and a file that ends early gives the frames that it has; each case adds a warning. Timestamps
    that do not rise are mended (see ``Clock``), so that no frame is lost and no two share a time.

    Args:
        path: The file.
        deinterlace: Make every second row of interlaced frames anew.

    Raises:
        VideoError: If the file is missing, is not a video, or has no frame that can be decoded.
    """

    def __init__(self, path: Path, *, deinterlace: bool = False) -> None:
        self.warnings = []
        self._container = open_container(path)
        try:
            self._stream = video_stream(path, self._container)
            self._tally = Tally()
            times = shown_times(self._container, self._stream, path)
            self._decoded = decode(self._stream, self._container.demux(self._stream), self._tally, times)
            first = first_frame(path, self._stream, self._decoded, self._tally)
            self._maker = FrameMaker(path, first, time_base_of(self._stream), deinterlace=deinterlace)
            self.warnings += [*other_videos(self._container, self._stream), *self._maker.warnings]
            self.info = describe(path, self._container, self._stream, self._maker)
        except BaseException:
            self._container.close()
            raise
        self._frames = self._deliver(first)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        super().close()
        self._decoded.close()
        self._container.close()

    def _deliver(self, first: av.VideoFrame) -> Generator[Frame, None, None]:
        clock = Clock(self.info)
        yield self._finish(first, 0, clock)
        for index, decoded in enumerate(self._decoded, start=1):
            yield self._finish(decoded, index, clock)
        self.warnings += [
            *self._tally.warnings(self._stream),
            *clock.warnings(),
            *end_warnings(self._container, self._stream, clock.end),
        ]

    def _finish(self, decoded: av.VideoFrame, index: int, clock: Clock) -> Frame:
        return self._maker.make(decoded, index, clock.tick(decoded.pts, decoded.duration or 0))
