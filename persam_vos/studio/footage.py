"""The video of a session as it is known without the network: its frames, their times, and pictures of them."""

from __future__ import annotations

from pathlib import Path

from persam_vos.media.ranges import frame_range
from persam_vos.media.readers import open_random_access
from persam_vos.prompts import Span
from persam_vos.studio.pictures import Pictures


class Footage:
    """The video of a session.

    Args:
        source: A video, an image or a folder of images, or a glob of images.
        deinterlace: Whether every second row of interlaced frames is made anew.

    Attributes:
        deinterlace: As it was given.
        video: The video.
        info: Facts about it.
        pictures: Of its frames.

    Raises:
        VideoError: If it cannot be opened.
    """

    def __init__(self, source: str, *, deinterlace: bool = False) -> None:
        self.deinterlace = deinterlace
        self.video = open_random_access(source, deinterlace=deinterlace)
        self.info = self.video.info
        self.pictures = Pictures(self.video, lambda: open_random_access(source, deinterlace=deinterlace))

    @property
    def source(self) -> Path:
        """The path of the video, as it was given."""
        return self.info.source

    def frames(self, span: Span) -> range:
        """Return the indices of a part of the video.

        Raises:
            FrameIndexError, SettingsError: If it is not in the video, or is no part.
        """
        clip = frame_range(*span).clip_of(self.video)
        return range(clip.start, len(self.video) if clip.stop is None else clip.stop, clip.stride)

    def times(self, frames: range) -> list[float]:
        """Return when frames are shown, in seconds after the first one of the video."""
        first = self.video.time_of(0)
        return [float(self.video.time_of(frame) - first) for frame in frames]

    def duration(self, frames: range) -> float:
        """Return for how long frames are shown, in seconds."""
        end = self.video.time_of(frames.stop) if frames.stop < len(self.video) else self.video.end()
        return float(end - self.video.time_of(frames[0]))

    def close(self) -> None:
        """Close the video."""
        self.pictures.close()
        self.video.close()
