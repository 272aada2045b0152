"""Writes pictures for compositing: the objects of each frame with alpha."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from persam_vos.errors import OutputError, reason
from persam_vos.exports.alpha.pixels import alpha_of, premultiplied, straight
from persam_vos.exports.base import ExportSettings
from persam_vos.exports.frame_folder import FrameFolderWriter
from persam_vos.exports.frame_names import FrameNames
from persam_vos.media import Frame
from persam_vos.results import FrameResult

# Fast and nearly as small as the highest level.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 3]


class _Pictures(FrameFolderWriter):
    """Base of the writers of pictures with alpha."""

    folder_name: str

    def __init__(self, settings: ExportSettings) -> None:
        options = settings.options
        names = FrameNames(settings.info.images, start_number=options.start_number, keep=options.keep_names)
        self.path = settings.folder / f"{self.folder_name}{settings.ending}"
        super().__init__(self.path, names)
        self.premultiplies = options.alpha == "premultiplied"


class RgbaWriter(_Pictures):
    """Writes ``rgba/00000.png``, ...: the objects with alpha."""

    folder_name = "rgba"

    def save(self, folder: Path, name: str, frame: Frame, result: FrameResult) -> tuple[Path]:
        """Write a PNG; see ``FrameFolderWriter``."""
        path = folder / f"{name}.png"
        join = premultiplied if self.premultiplies else straight
        rgba = join(frame.rgb, alpha_of(result))
        if not cv2.imwrite(str(path), cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA), _PNG):
            raise OutputError(f"{path}: cannot be written")
        return (path,)


class ExrWriter(_Pictures):
    """Writes ``exr/00000.exr``, ...: the objects in scene-linear half-float colours, premultiplied, and alpha.

    The transfer function of sRGB is undone, so that a viewer for sRGB shows the colours of the video. Alpha stays as
    it is.
    """

    folder_name = "exr"

    def save(self, folder: Path, name: str, frame: Frame, result: FrameResult) -> tuple[Path]:
        """Write an EXR; see ``FrameFolderWriter``."""
        path = folder / f"{name}.exr"
        try:
            path.write_bytes(exr_of(scene_linear(frame.rgb, alpha_of(result))))
        except av.FFmpegError as error:
            raise OutputError(f"{path}: cannot be written ({reason(error)})") from error
        return (path,)


def scene_linear(rgb: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return linear light times alpha, and alpha: float32, H x W x 4, of uint8, H x W x 3 and H x W."""
    cover = alpha.astype(np.float32) / 255
    return np.dstack([_LINEAR[rgb] * cover[..., None], cover])


def exr_of(rgba: npt.NDArray[np.float32]) -> bytes:
    """Return pixels, float32 H x W x 4, as the bytes of an OpenEXR file of half floats with ZIP compression."""
    encoder = av.CodecContext.create("exr", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = rgba.shape[:2]
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "gbrapf32le", Fraction(1), Fraction(1)
    encoder.options = {"format": "half", "compression": "zip16"}
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgba), format="gbrapf32le")
    return b"".join(bytes(packet) for packet in (*encoder.encode(picture), *encoder.encode(None)))


def _linear_light() -> npt.NDArray[np.float32]:
    """Return the light, 0..1, of each value of sRGB (IEC 61966-2-1): float32, 256."""
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR = _linear_light()
