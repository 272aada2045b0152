"""Videos drawn from the results: the overlay, and the objects cut out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from persam_vos.exports.base import ExportSettings
from persam_vos.exports.draw import draw_cutout, draw_overlay
from persam_vos.masks import Rgb, check_size
from persam_vos.media.frame import Frame
from persam_vos.media.video_writer import VideoWriter
from persam_vos.results import FrameResult


class _DrawnVideo(ABC):
    """Draws one picture per result and has it encoded; see ``ResultWriter``. A subclass says what is drawn."""

    name: str

    def __init__(self, settings: ExportSettings) -> None:
        self.settings = settings
        self._writer = VideoWriter(settings.folder / self.name, settings.info)
        self.warnings = self._writer.warnings

    @abstractmethod
    def draw(self, frame: Frame, result: FrameResult) -> Rgb:
        """Return the picture of a frame: uint8, H x W x 3, the frame's size."""

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


class OverlayWriter(_DrawnVideo):
    """Writes ``overlay.mp4``: the frames with each object tinted and outlined."""

    name = "overlay.mp4"

    def draw(self, frame: Frame, result: FrameResult) -> Rgb:
        """Return the frame with its objects tinted."""
        return draw_overlay(frame.rgb, result.label_map)


class CutoutWriter(_DrawnVideo):
    """Writes ``cutout.mp4``: the objects alone on a plain background."""

    name = "cutout.mp4"

    def draw(self, frame: Frame, result: FrameResult) -> Rgb:
        """Return the objects on the background."""
        return draw_cutout(frame.rgb, result.label_map, self.settings.background)
