"""Frames as JPEG and masks as PNG, as browsers show them."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from PIL import Image

from persam_vos.errors import EmptyMaskError, MaskError, MaskSizeError
from persam_vos.masks import LabelMap, Mask
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.quiet import quiet_warnings

_KEPT_BYTES = 64 * 2**20
_JPEG_QUALITY = 90
# Narrower pictures are thumbnails: they are wanted all over the video, while larger ones follow each other.
_THUMBNAIL_WIDTH = 512


class Pictures:
    """Frames of a video as JPEG; the latest are kept, 64 MiB in all.

    Thumbnails have a reader of their own, so that the one that plays need not seek.

    Args:
        video: The video.
        reopen: Opens it once more.
    """

    def __init__(self, video: RandomAccessVideo, reopen: Callable[[], RandomAccessVideo]) -> None:
        self._video, self._reopen = video, reopen
        self._small: RandomAccessVideo | None = None
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()

    def jpeg(self, frame: int, width: int | None = None) -> bytes:
        """Return a frame as JPEG.

        Args:
            frame: Index of the frame.
            width: Pixels that it has at most from left to right; None for all that are stored.

        Raises:
            VideoError, FrameIndexError: If the frame cannot be read.
        """
        whole = self._video.info.width
        key = frame, min(width or whole, whole)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = self._made(*key)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._kept_bytes += len(made)
            while self._kept_bytes > _KEPT_BYTES:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])
        return made

    def close(self) -> None:
        """Close what was opened for thumbnails."""
        with self._lock:
            if self._small is not None:
                self._small.close()

    def _made(self, frame: int, width: int) -> bytes:
        is_small = width < min(self._video.info.width, _THUMBNAIL_WIDTH + 1)
        rgb = (self._thumbnails() if is_small else self._video).frame(frame).rgb
        image = Image.fromarray(rgb)
        if width < image.width:
            height = max(1, round(image.height * width / image.width))
            image = image.resize((width, height), Image.Resampling.BOX)
        return _saved(image, format="JPEG", quality=_JPEG_QUALITY)

    def _thumbnails(self) -> RandomAccessVideo:
        with self._lock:
            if self._small is None:
                self._small = self._reopen()
            return self._small


def png_of(values: LabelMap) -> bytes:
    """Return values, uint8, H x W, as a greyscale PNG."""
    return _saved(Image.fromarray(values), format="PNG", compress_level=1)


def png_of_mask(mask: Mask) -> bytes:
    """Return a mask, bool, H x W, as a PNG that is 255 on the object."""
    return png_of(mask.astype(np.uint8) * np.uint8(255))


def mask_of_png(data: bytes, height: int, width: int) -> Mask:
    """Return the mask that a PNG shows: what is bright, and not transparent.

    The size is checked before pixels are read, so that a small file cannot take much memory.

    Args:
        data: Of the file.
        height: Of the frame, in pixels.
        width: Of the frame, in pixels.

    Returns:
        bool, H x W, with at least one pixel.

    Raises:
        MaskSizeError: If it has another size than the frame.
        EmptyMaskError: If it shows nothing.
        MaskError: If it is no PNG.
    """
    try:
        with quiet_warnings(Image.DecompressionBombWarning), Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.size != (width, height):
                raise MaskSizeError(
                    f"the mask is {image.height} x {image.width}, the frame is {height} x {width} (height x width)"
                )
            grey = np.asarray(image.convert("LA").convert("La").getchannel(0))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, MaskError):
            raise
        raise MaskError(f"the mask is no readable PNG ({error})") from error
    mask: Mask = grey > 127
    if not mask.any():
        raise EmptyMaskError("the mask shows nothing; say that the object is absent, or take back what was said of it")
    return mask


def _saved(image: Image.Image, **options: object) -> bytes:
    written = io.BytesIO()
    image.save(written, **options)  # type: ignore[arg-type]
    return written.getvalue()
