"""Writes films for editors: mattes, and the objects with alpha."""

from __future__ import annotations

from persam_vos.exports.alpha.pixels import alpha_of, premultiplied, straight
from persam_vos.exports.base import ExportSettings
from persam_vos.exports.videos import DrawnVideo
from persam_vos.media import Frame
from persam_vos.media.encoding.video_encoder import Picture
from persam_vos.media.encoding.video_formats import H264, PRORES_422_HQ, PRORES_4444, VP9_ALPHA, VideoFormat
from persam_vos.results import FrameResult

_MATTES = {"h264": H264, "prores": PRORES_422_HQ}


class MatteWriter(DrawnVideo):
    """Writes ``matte.mp4`` or ``matte.mov``: the objects in white on black, with soft edges."""

    name = "matte"

    def video_format(self, settings: ExportSettings) -> VideoFormat:
        """Return H.264, or ProRes 422 HQ if it is asked for."""
        return _MATTES[settings.options.matte_codec]

    def draw(self, frame: Frame, result: FrameResult) -> Picture:  # noqa: ARG002
        """Return alpha as a grey picture."""
        return alpha_of(result)


class _AlphaVideo(DrawnVideo):
    """Base of films with alpha."""

    def draw(self, frame: Frame, result: FrameResult) -> Picture:
        """Return the frame with alpha."""
        join = premultiplied if self.settings.options.alpha == "premultiplied" else straight
        return join(frame.rgb, alpha_of(result))


class ProresWriter(_AlphaVideo):
    """Writes ``prores.mov``: the objects with alpha, in ProRes 4444."""

    name = "prores"

    def video_format(self, settings: ExportSettings) -> VideoFormat:  # noqa: ARG002
        """Return ProRes 4444."""
        return PRORES_4444


class WebmWriter(_AlphaVideo):
    """Writes ``alpha.webm``: the objects with alpha, in VP9, which browsers show."""

    name = "alpha"

    def video_format(self, settings: ExportSettings) -> VideoFormat:  # noqa: ARG002
        """Return VP9 with alpha."""
        return VP9_ALPHA
