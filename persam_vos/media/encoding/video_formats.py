"""What videos are encoded as: codec, pixels and container of each kind of file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import av

from persam_vos.errors import OutputError


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFormat:
    """How pictures become a video file.

    Attributes:
        name: What messages call it.
        encoder: FFmpeg's name of the encoder.
        encoder_of_odd_widths: Another one for what ``encoder`` refuses; "" for none.
        pixels: FFmpeg's name of the pixels that are encoded.
        container: FFmpeg's name of the container.
        options: Of the encoder.
        even: Whether width and height must be even.
        max_side: Longest side in pixels.
        full_range: Whether black may be 0 and white the highest value.
        transfers: Numbers of the transfer functions that can be told, see ``Colours``; none for all. Others are told as
            BT.709, as that of BT.601 is the same.
        reordered: Frames by which the encoder decodes ahead of what it shows.
    """

    name: str
    encoder: str
    encoder_of_odd_widths: str = ""
    pixels: str
    container: str
    options: Mapping[str, str] = field(default_factory=dict)
    even: bool = False
    max_side: int = 16384
    full_range: bool = True
    transfers: tuple[int, ...] = ()
    reordered: int = 0

    @property
    def suffix(self) -> str:
        """Suffix of its files, with the dot."""
        return f".{self.container}"

    def container_options(self, time_base: Fraction) -> dict[str, str]:
        """Return the options of the container for frames whose times have a unit, in seconds."""
        if self.container == "webm":
            # Without a random number in the file.
            return {"fflags": "+bitexact"}
        # Not ten seconds of video wait in memory for the next packet of sparse subtitles, but one.
        # MP4 stores a late start in units of the whole movie: milliseconds, unless it is told the video's own units.
        return {"movie_timescale": str(time_base.denominator), "max_interleave_delta": "1000000"}

    def encoder_for(self, width: int) -> str:
        """Return FFmpeg's name of the encoder for pictures of a width."""
        return self.encoder_of_odd_widths if width % 2 and self.encoder_of_odd_widths else self.encoder

    def check(self, width: int, height: int) -> None:
        """Raise ``OutputError`` unless pictures of this size can be encoded here."""
        encoder = self.encoder_for(width)
        if encoder not in av.codecs_available:
            raise OutputError(
                f"{self.name}: FFmpeg's encoder {encoder} is not in this build of PyAV; export something else"
            )
        if max(width, height) > self.max_side:
            raise OutputError(
                f"{self.name}: the video is {height} x {width} (height x width); at most {self.max_side} pixels a side"
                " can be encoded; export something else, such as --export masks"
            )


# For x264. ``superfast`` needs two thirds of the time of ``veryfast`` and 10% more bytes for the same quality.
X264_OPTIONS = {"preset": "superfast", "crf": "18"}

H264 = VideoFormat(
    name="H.264",
    encoder="libx264",
    pixels="yuv420p",
    container="mp4",
    options=X264_OPTIONS,
    even=True,
    reordered=2,
)
_PRORES_TRANSFERS = (1, 2)
# prores_aw takes a quarter of the time of prores_ks, with the same alpha, and refuses odd widths.
PRORES_422_HQ = VideoFormat(
    name="ProRes 422 HQ",
    encoder="prores_aw",
    encoder_of_odd_widths="prores_ks",
    pixels="yuv422p10le",
    container="mov",
    options={"profile": "3", "vendor": "apl0"},
    full_range=False,
    transfers=_PRORES_TRANSFERS,
)
PRORES_4444 = VideoFormat(
    name="ProRes 4444",
    encoder="prores_aw",
    encoder_of_odd_widths="prores_ks",
    pixels="yuva444p10le",
    container="mov",
    # Both encoders write 16 bits of alpha.
    options={"profile": "4", "vendor": "apl0"},
    full_range=False,
    transfers=_PRORES_TRANSFERS,
)
# Alternate reference frames and alpha exclude each other.
VP9_ALPHA = VideoFormat(
    name="VP9 with alpha",
    encoder="libvpx-vp9",
    pixels="yuva420p",
    container="webm",
    options={"crf": "24", "b": "0", "auto-alt-ref": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
)
