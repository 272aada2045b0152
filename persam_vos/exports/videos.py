"""Writes the videos of a run: what all of them share, and the overlay."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from persam_vos.exports.base import ExportSettings
from persam_vos.exports.draw import draw_overlay
from persam_vos.exports.legend import draw_legend
from persam_vos.exports.tags import draw_tags
from persam_vos.masks import Rgb, check_size
from persam_vos.media import Frame, FramesDone, VideoWriter
from persam_vos.media.encoding.video_encoder import Picture
from persam_vos.media.encoding.video_formats import H264, VideoFormat
from persam_vos.results import FrameResult


class DrawnVideo(ABC):
    """Base of the video writers: draws one picture per result and encodes it; see ``ResumableWriter``.

    Attributes:
        name: Of the file, without its suffix.
        path: Its final name.
    """

    name: str

    def __init__(self, settings: ExportSettings) -> None:
        self.settings = settings
        made = self.video_format(settings)
        self.path = settings.folder / f"{self.name}{settings.ending}{made.suffix}"
        self._writer = VideoWriter(self.path, settings.info, made)
        self.warnings = self._writer.warnings

    def video_format(self, settings: ExportSettings) -> VideoFormat:  # noqa: ARG002
        """Return what the file is."""
        return H264

    @abstractmethod
    def draw(self, frame: Frame, result: FrameResult) -> Picture:
        """Return the picture of a frame, of its size."""

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Draw and encode a frame; see ``ResultWriter``."""
        check_size(result.label_map, frame.rgb, f"frame {frame.index}")
        self._writer.write(frame, self.draw(frame, result))

    def close(self) -> tuple[Path, ...]:
        """Finish the file; see ``ResultWriter``."""
        return self._writer.close()

    def abort(self) -> None:
        """Remove the unfinished file; see ``ResultWriter``."""
        self._writer.abort()

    def checkpoint(self) -> None:
        """Complete a part of the file; see ``ResumableWriter``."""
        self._writer.checkpoint()

    def resume(self, done: FramesDone) -> None:
        """Go on with the parts of an earlier run; see ``ResumableWriter``."""
        self._writer.resume(done)

    def suspend(self) -> None:
        """Leave the complete parts; see ``ResumableWriter``."""
        self._writer.suspend()


class OverlayWriter(DrawnVideo):
    """Writes ``overlay.mp4``: each object tinted, outlined, named and scored, and a legend of several objects."""

    name = "overlay"

    def draw(self, frame: Frame, result: FrameResult) -> Rgb:
        """Return the frame with its objects tinted; the legend lists absent objects too, so that it stays the same."""
        drawn = draw_overlay(frame.rgb, result.label_map, self.settings.styles)
        draw_tags(drawn, result, self.settings.styles)
        draw_legend(drawn, [entry.id for entry in result.objects], self.settings.styles)
        return drawn
