"""The frames of a video whose masks are rendered: all of them, then those that have masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from persam_vos.errors import VideoError
from persam_vos.masks import Rgb
from persam_vos.media import FrameReader, StreamInfo, open_video
from persam_vos.media.array_reader import ArrayReader
from persam_vos.media.decoding.live_sources import live_source
from persam_vos.media.ranges import SkippingReader, frame_range
from persam_vos.prompts import Span
from persam_vos.rendering.mask_folder import MaskSource, span_of_masks
from persam_vos.settings.output import OutputSettings

WHOLE = Span()
FRAME_RATE = Fraction(24)
"""Frames per second of images and arrays, unless another one is given."""
VideoFrames = str | Rgb | Sequence[Rgb]
_VIDEOS = "a path, a glob, an array N x H x W x 3, or a list of arrays H x W x 3"


@dataclass(frozen=True, slots=True)
class RenderedVideo:
    """A video that can be opened several times.

    Attributes:
        source: A path or glob; an array N x H x W x 3, or a sequence of arrays H x W x 3: uint8, RGB.
        settings: How it is read.
        frame_rate: Frames per second of images and arrays.
    """

    source: VideoFrames
    settings: OutputSettings
    frame_rate: Fraction = FRAME_RATE

    def check(self) -> None:
        """Refuse frames that come once, such as those of a camera: the masks are of others.

        Raises:
            VideoError: If they do, or the source is no video.
        """
        if isinstance(self.source, str):
            live = live_source(self.source, playlists=self.settings.allow_playlists)
            if live is not None and not live.is_repeatable:
                raise VideoError(
                    f"{self.source}: is {live.name}, whose frames come once; give the file that the masks are of"
                )
        elif isinstance(self.source, np.ndarray):
            if self.source.ndim != 4:
                raise VideoError(f"video is an array {' x '.join(map(str, self.source.shape))}; allowed: {_VIDEOS}")
        elif not isinstance(self.source, Sequence):
            raise VideoError(f"video is of type {type(self.source).__name__}; allowed: {_VIDEOS}")

    def open(self, span: Span = WHOLE) -> FrameReader:
        """Open it, or some of its frames.

        Raises:
            VideoError: If it cannot be opened.
            SettingsError: If the span is none.
        """
        if isinstance(self.source, str):
            return open_video(
                self.source,
                backend=self.settings.reader,
                frame_rate=self.frame_rate,
                start=span.start,
                end=span.end,
                stride=span.stride,
                deinterlace=self.settings.deinterlace,
                playlists=self.settings.allow_playlists,
            )
        reader, wanted = ArrayReader(self.source, frame_rate=self.frame_rate), frame_range(*span)
        return reader if wanted.is_whole else SkippingReader(reader, wanted.clip_by_rate(reader.info))

    def open_part(self, info: StreamInfo, masks: MaskSource, span: Span) -> FrameReader:
        """Open the frames of a span; without one, those that have masks.

        Args:
            info: Of the whole video.
            masks: Of its frames.
            span: What is asked for.
        """
        if span != WHOLE:
            return self.open(span)
        start, stop, stride = span_of_masks(masks.indices)
        # What is live may never end.
        reaches_end = not info.address if info.frame_count is None else stop >= info.frame_count
        is_all = start == 0 and stride == 1 and reaches_end
        return self.open() if is_all else self.open(Span(start, stop, stride))
