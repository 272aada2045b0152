"""How the colours of a video are stored: its matrix, primaries, transfer function and range."""

from __future__ import annotations

from dataclasses import dataclass

import av
from av.video.reformatter import ColorRange, Colorspace

from persam_vos.media.decoding.frame_filters import is_hdr

# From the colour matrix in a frame's tag (numbers of H.273) to swscale's name of it. Untagged video is read as BT.601
# whatever its size, as swscale, ffmpeg and decord do. Matrices not listed go to swscale under their own number.
SWSCALE_MATRICES = {
    0: Colorspace.DEFAULT,
    1: Colorspace.ITU709,
    2: Colorspace.DEFAULT,
    3: Colorspace.DEFAULT,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    10: 9,  # BT.2020 with constant luminance, which swscale has no conversion for, as without
}
# Those that videos are written with as well, and what they become: no video is written with constant luminance.
_KEPT_MATRICES = {1: 1, 4: 4, 5: 5, 6: 6, 7: 7, 9: 9, 10: 9}


@dataclass(frozen=True, slots=True)
class Colours:
    """How colours are stored, by the numbers of H.273; those of HD video unless a source says otherwise.

    Attributes:
        matrix: Of the conversion from red, green and blue; 1 is BT.709, 5 and 6 are BT.601, 9 is BT.2020.
        primaries: Which red, green and blue; 2 if that is unknown.
        transfer: How light becomes a number; 2 if that is unknown.
        full_range: Whether black is 0 and white is 255, instead of 16 and 235.
    """

    matrix: int = 1
    primaries: int = 1
    transfer: int = 1
    full_range: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Colours:
        """Return those of a decoded frame, as far as they are told; BT.709 for what is told by none, and for HDR."""
        full = is_full_range(frame)
        if frame.format.is_rgb or is_hdr(frame) or frame.colorspace not in _KEPT_MATRICES:
            return cls(full_range=full and not frame.format.is_rgb)
        return cls(_KEPT_MATRICES[int(frame.colorspace)], int(frame.color_primaries), int(frame.color_trc), full)


def is_full_range(frame: av.VideoFrame) -> bool:
    """Tell whether black is 0 and white is 255 in a decoded frame."""
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")


BT709 = Colours()
