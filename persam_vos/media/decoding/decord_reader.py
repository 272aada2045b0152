"""Reads a video file with decord."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np

from persam_vos.errors import MissingDependencyError, VideoError
from persam_vos.files import real_path
from persam_vos.masks import Rgb
from persam_vos.media.decoding.container import open_container, video_stream
from persam_vos.media.decoding.pyav_reader import VideoReader
from persam_vos.media.decoding.shown_times import shown_times
from persam_vos.media.frame import Frame
from persam_vos.media.stream import Clock, DisplayMatrix, GeneratorReader, upright

_MAX_MEAN_DIFFERENCE = 2.0  # of 255 levels, between two decodings of the same frame


class DecordReader(GeneratorReader):
    """Reads a video file with decord. Frames of 8-bit 4:2:0 video are those of ``VideoReader`` to within 2 levels.

    Other pixel formats agree on average: at sharp edges between colours the two decoders scale chroma differently.
    decord decodes ahead without a bound, so memory may grow if its consumer is slow. Size, timestamps (one integer per
    frame, all read at the start) and orientation come from PyAV, because decord rounds timestamps and takes mirrored
    video for rotated.

    Args:
        path: The file.

    Raises:
        MissingDependencyError: If decord is not installed.
        VideoError: If the file is not a video, or decord cannot read it or reads other frames than PyAV.
    """

    def __init__(self, path: Path) -> None:
        try:
            import decord
        except ImportError as error:
            raise MissingDependencyError(
                "reader decord needs the package decord, which is not installed; pip install decord, or use pyav"
            ) from error
        decord.logging.set_level(decord.logging.QUIET)  # errors and warnings of ours say it once
        with VideoReader(path) as probe:
            self.info, self.warnings = probe.info, list(probe.warnings)
            reference = probe.peek().rgb
        self._pts = _presentation_times(path)
        self._failures = (decord.DECORDError, StopIteration, RuntimeError, AssertionError)
        try:
            self._decoder = decord.VideoReader(str(real_path(path)), num_threads=1)
            first = self._decoder.next().asnumpy()
        except self._failures as error:
            raise VideoError(f"{path}: decord cannot decode it; use pyav") from error
        if len(self._decoder) != len(self._pts):
            raise VideoError(
                f"{path}: decord finds {len(self._decoder)} frames, the file has {len(self._pts)}; use pyav"
            )
        matrix = _turn_between(first, reference)
        if matrix is None:
            raise VideoError(f"{path}: decord and FFmpeg decode its first frame differently; use pyav")
        self._frames = self._deliver(first, matrix)

    def close(self) -> None:
        """Close the decoder; a second call does nothing."""
        super().close()
        self._decoder = None

    def _deliver(self, first: Rgb, matrix: DisplayMatrix) -> Generator[Frame, None, None]:
        clock = Clock(self.info)
        for index, pts in enumerate(self._pts):
            try:
                rgb = self._decoder.next().asnumpy() if index else first
            except self._failures:
                self.warnings.append(f"ends early: frame {index} cannot be decoded")
                return
            yield Frame(index=index, pts=clock.tick(pts, 0), time_base=self.info.time_base, rgb=upright(rgb, matrix))


def _turn_between(rgb: Rgb, reference: Rgb) -> DisplayMatrix | None:
    """Return the display matrix, one of eight, that turns ``rgb`` into ``reference``; None if none does.

    decord 0.6 applies rotations, but takes mirroring for a rotation by 180 degrees and mangles very small rotated
    frames. Hence its first frame is compared with PyAV's.
    """
    signs = ((1, 1), (-1, -1), (-1, 1), (1, -1))
    turns = [(a, 0, 0, d) for a, d in signs] + [(0, b, c, 0) for b, c in signs]
    for a, b, c, d in turns:
        matrix = np.array([a, b, 0, c, d, 0, 0, 0, 1], np.int32)
        turned = upright(rgb, matrix)
        if turned.shape == reference.shape and cv2.absdiff(turned, reference).mean() <= _MAX_MEAN_DIFFERENCE:
            return matrix
    return None


def _presentation_times(path: Path) -> list[int]:
    """Return the timestamps of all frames, in presentation order, without decoding any."""
    with open_container(path) as container:
        stream = video_stream(path, container)
        guessed = shown_times(container, stream, path) is not None
        shown = (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)
        times = (packet.dts if guessed else packet.pts for packet in shown)
        return sorted(time for time in times if time is not None)
