"""Images and arrays as frames in any order."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from persam_vos.masks import Rgb
from persam_vos.media.array_reader import ArrayReader, array_frame
from persam_vos.media.frame import Frame
from persam_vos.media.image_reader import Images
from persam_vos.media.random_access import RandomAccessVideo


class _EvenlyTimed(RandomAccessVideo):
    """Frames whose index is their timestamp."""

    def __len__(self) -> int:
        """Number of frames."""
        count = self.info.frame_count
        assert count is not None
        return count

    def end(self) -> Fraction:
        """Return when the last frame ends, in seconds."""
        return len(self) * self.info.time_base

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _pts(self, index: int) -> int:
        return index


class ImageAccess(_EvenlyTimed):
    """Images as frames in any order; see ``RandomAccessVideo``."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self.info, self.warnings, self.files = images.info, list(images.warnings), images.paths

    def _frame(self, index: int) -> Frame:
        return self._images.frame(index)


class ArrayAccess(_EvenlyTimed):
    """Arrays as frames in any order; see ``RandomAccessVideo``.

    Args:
        arrays: An array N x H x W x 3, or N arrays H x W x 3: uint8, RGB, all of one size.
        frame_rate: Frames per second.

    Raises:
        VideoError: If there is no frame, or a frame is no such array or has another size than the first.
    """

    def __init__(self, arrays: Rgb | Sequence[Rgb], *, frame_rate: Fraction) -> None:
        self._arrays = arrays
        with ArrayReader(arrays, frame_rate=frame_rate) as reader:
            self.info, self.warnings = reader.info, []

    def _frame(self, index: int) -> Frame:
        return array_frame(self._arrays[index], index, self.info)
