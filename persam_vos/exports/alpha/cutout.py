"""Writes the objects alone, on another background."""

from __future__ import annotations

from pathlib import Path

from persam_vos.exports.alpha.backgrounds import background_of, laid_on
from persam_vos.exports.alpha.pixels import alpha_of
from persam_vos.exports.base import ExportSettings
from persam_vos.exports.videos import DrawnVideo
from persam_vos.masks import Rgb
from persam_vos.media import Frame, FramesDone
from persam_vos.results import FrameResult


class CutoutWriter(DrawnVideo):
    """Writes ``cutout.mp4``: the objects, with soft edges, on a colour, a picture, a video or the blurred frame."""

    name = "cutout"

    def __init__(self, settings: ExportSettings) -> None:
        super().__init__(settings)
        self._background = background_of(settings.options, settings.info)

    def draw(self, frame: Frame, result: FrameResult) -> Rgb:
        """Return the objects on the background."""
        return laid_on(frame.rgb, alpha_of(result), self._background.of(frame))

    def resume(self, done: FramesDone) -> None:
        """Go on with the parts of an earlier run; see ``ResumableWriter``."""
        super().resume(done)
        self._background.resume(done)

    def close(self) -> tuple[Path, ...]:
        """Finish the file; see ``ResultWriter``."""
        self._background.close()
        return super().close()

    def abort(self) -> None:
        """Remove the unfinished file; see ``ResultWriter``."""
        self._background.close()
        super().abort()

    def suspend(self) -> None:
        """Leave the complete parts; see ``ResumableWriter``."""
        self._background.close()
        super().suspend()
