"""FFmpeg's filters for single frames: interlaced rows are made anew, HDR becomes what screens and networks expect."""

from __future__ import annotations

from typing import cast

import av

from persam_vos.masks import Rgb

# Transfer functions in a frame's tag (numbers of H.273): PQ and HLG.
_HDR_TRANSFERS = (16, 18)
# swscale maps tones and colours perceptually where transfer function and primaries change.
_TONE_MAP = "out_color_matrix=bt709:out_primaries=bt709:out_transfer=bt709"


class Deinterlacer:
    """Makes every second row of a frame from the others, so that all rows are of one moment.

    Each frame is made alone, so that frames read in any order are the same.
    """

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return a frame whose rows are of one moment.

        Raises:
            av.FFmpegError: If FFmpeg has no filter for frames like it.
        """
        graph = av.filter.Graph()
        begin = _begin(graph, frame)
        _chain(graph, begin, [("estdif", "mode=frame:deint=all")])
        begin.push(frame)
        begin.push(None)
        made = cast(av.VideoFrame, graph.pull())
        made.colorspace, made.color_range = frame.colorspace, frame.color_range
        return made


class ToneMapper:
    """Maps HDR frames, in PQ or HLG and mostly BT.2020, to BT.709 and RGB.

    Args:
        frame: The first frame.

    Raises:
        av.FFmpegError: If this FFmpeg cannot do it.
    """

    def __init__(self, frame: av.VideoFrame) -> None:
        self._graph = av.filter.Graph()
        self._begin = _begin(self._graph, frame)
        _chain(self._graph, self._begin, [("scale", _TONE_MAP), ("format", "rgb24")])

    @classmethod
    def of(cls, frame: av.VideoFrame) -> ToneMapper | None:
        """Return what maps a video that begins with a frame; None if it is no HDR, or FFmpeg cannot map it."""
        try:
            return cls(frame) if is_hdr(frame) else None
        except (av.FFmpegError, ValueError):
            return None

    def to_rgb(self, frame: av.VideoFrame) -> Rgb:
        """Return a frame as uint8, H x W x 3.

        Raises:
            av.FFmpegError: If FFmpeg fails.
        """
        self._begin.push(frame)
        return cast(Rgb, cast(av.VideoFrame, self._graph.pull()).to_ndarray())


def is_hdr(frame: av.VideoFrame) -> bool:
    """Tell whether a frame's tag names a transfer function of HDR."""
    return frame.color_trc in _HDR_TRANSFERS


def _begin(graph: av.filter.Graph, frame: av.VideoFrame) -> av.filter.context.FilterContext:
    """Add where frames like one go in."""
    time_base = frame.time_base or 1
    described = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={time_base}"
    return graph.add("buffer", f"{described}:colorspace={int(frame.colorspace)}:range={int(frame.color_range)}")


def _chain(graph: av.filter.Graph, begin: av.filter.context.FilterContext, filters: list[tuple[str, str]]) -> None:
    """Add filters behind the beginning, and the end behind them."""
    last = begin
    for name, arguments in [*filters, ("buffersink", "")]:
        added = graph.add(name, arguments) if arguments else graph.add(name)
        last.link_to(added)
        last = added
    graph.configure()
