"""Makes upright RGB frames of decoded ones, whatever their colours are stored as."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from persam_vos.errors import VideoError
from persam_vos.masks import Rgb
from persam_vos.media.colours import SWSCALE_MATRICES, Colours, is_full_range
from persam_vos.media.decoding.frame_filters import Deinterlacer, ToneMapper, is_hdr
from persam_vos.media.frame import Frame
from persam_vos.media.photo_files import over_white
from persam_vos.media.stream import DisplayMatrix, swaps_axes, upright

_MAX_SKEW = 0.01  # of a rotation matrix: the ratio of its smaller entry to its larger one


class FrameMaker:
    """Makes upright RGB frames of decoded ones, which must all have the size of the first.

    What is transparent is shown over white, as in photos. HDR is tone-mapped where FFmpeg can do that.

    Args:
        path: The file, for messages.
        first: The first frame of the stream, which says how it is rotated.
        time_base: Seconds per unit of ``Frame.pts``.
        deinterlace: Make the rows of every second moment from those of the other one.

    Attributes:
        width: Width of a frame in pixels, rotation applied.
        height: Height of a frame in pixels, rotation applied.
        colours: How they are stored in the file.
        swaps_axes: Whether rows of the file are columns of a frame.
        warnings: What is doubtful about the rotation, the colours, or interlaced rows.
    """

    def __init__(self, path: Path, first: av.VideoFrame, time_base: Fraction, *, deinterlace: bool = False) -> None:
        self._path, self._time_base = path, time_base
        self._size = (first.width, first.height)
        self._matrix = _display_matrix(first)
        self.colours = Colours.of(first)
        self._reformatter = VideoReformatter()
        self._deinterlacer = Deinterlacer() if deinterlace else None
        self._tone_mapper = ToneMapper.of(first)
        self.swaps_axes = swaps_axes(self._matrix)
        self.width, self.height = self._size[::-1] if self.swaps_axes else self._size
        self.warnings = self._warnings(first)

    def make(self, decoded: av.VideoFrame, index: int, pts: int) -> Frame:
        """Return a decoded frame as the one at ``index``, shown at ``pts``.

        Raises:
            VideoError: If it has another size than the first, or no conversion to RGB.
        """
        if (decoded.width, decoded.height) != self._size:
            raise VideoError(
                f"{self._path}: frame {index} is {decoded.width} x {decoded.height} pixels, the frames before it"
                f" are {self._size[0]} x {self._size[1]}; all frames must have one size"
            )
        try:
            rgb = self._to_rgb(decoded if self._deinterlacer is None else self._deinterlacer.apply(decoded))
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{self._path}: frame {index} ({decoded.format.name}) has no conversion to RGB: {error}"
            ) from error
        return Frame(index=index, pts=pts, time_base=self._time_base, rgb=upright(rgb, self._matrix))

    def _warnings(self, first: av.VideoFrame) -> list[str]:
        found = []
        a, b = (int(value) for value in self._matrix[:2])
        if min(abs(a), abs(b)) > _MAX_SKEW * max(abs(a), abs(b)):
            found.append("the rotation in the metadata is not a multiple of 90 degrees; it is rounded to one")
        if first.interlaced_frame and self._deinterlacer is None:
            found.append(
                "the frames are interlaced: every second row is of another moment, and masks of what moves are combed;"
                " --deinterlace mends that"
            )
        if is_hdr(first):
            how = "is tone-mapped to BT.709" if self._tone_mapper else "is read as if it were not: colours are off"
            found.append(f"the video is HDR, and {how}")
        return found

    def _to_rgb(self, decoded: av.VideoFrame) -> Rgb:
        if self._tone_mapper is not None:
            return self._tone_mapper.to_rgb(decoded)
        has_alpha = decoded.format.has_palette or any(each.is_alpha for each in decoded.format.components)
        converted = self._reformatter.reformat(
            decoded,
            format="rgba" if has_alpha else "rgb24",
            src_colorspace=None if decoded.format.is_rgb else SWSCALE_MATRICES.get(decoded.colorspace),
            src_color_range=ColorRange.JPEG if is_full_range(decoded) or decoded.format.is_rgb else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.BICUBIC,  # of the chroma, as ffmpeg does
        )
        pixels = cast(Rgb, converted.to_ndarray())
        return over_white(pixels) if has_alpha else pixels


def _display_matrix(decoded: av.VideoFrame) -> DisplayMatrix:
    data = decoded.side_data.get("DISPLAYMATRIX")
    if data is None:
        return np.array([1, 0, 0, 0, 1, 0, 0, 0, 1], np.int32)
    return np.frombuffer(memoryview(cast(SideData, data)).tobytes(), np.int32, count=9)
