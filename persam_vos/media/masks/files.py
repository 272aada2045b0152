"""A mask file becomes a label map, or is refused with the reason."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from persam_vos.errors import MaskError, MaskSizeError, SettingsError, reason
from persam_vos.files import PathLike
from persam_vos.masks import VOID, LabelMap, Rgb, as_label_map
from persam_vos.media.frame import Frame
from persam_vos.media.masks.doubts import stretch_warnings, void_warnings
from persam_vos.media.masks.json_files import Canvas, json_values
from persam_vos.media.masks.pictures import Values, brightness, distinct, picture_values
from persam_vos.media.masks.rims import is_soft, rim_ids
from persam_vos.media.photo_files import MAX_PIXELS, refuse_many_scans
from persam_vos.quiet import quiet_warnings

# Pillow hands them to other programs: PostScript, which is one itself, to Ghostscript.
_FORMATS_OF_PROGRAMS = ("EPS", "WMF")


def read_mask(
    path: PathLike,
    *,
    like: Frame | Rgb | None = None,
    height: int | None = None,
    width: int | None = None,
    resize: bool = False,
    threshold: int | None = None,
    invert: bool = False,
    ids: Sequence[int] | None = None,
    of: str = "video",
    frame: str | None = None,
    doubts: list[str] | None = None,
) -> LabelMap:
    """Read the mask, or label map, of one frame or photo.

    A palette or greyscale picture holds object n as value n, unless all its colours are black and white; a picture of
    one single value besides 0 (255, say) is one object; 255 beside other values is void and becomes background, as in
    DAVIS. A colour picture of one colour on black, or with one flat shape in its alpha channel, is one object; where
    one colour is painted on opaque black, its alpha does not matter. A JSON file holds polygons or run lengths; see
    ``json_values``.

    Args:
        path: PNG or any other picture Pillow reads, whose EXIF orientation is not applied; or JSON of LabelMe, COCO or
            YouTube-VIS.
        like: The frame, or its pixels: its size is the mask's. Without it, and without ``height`` and ``width``, a
            mask of any size is read.
        height: Of the frame, in pixels, instead of ``like``.
        width: Of the frame, in pixels, instead of ``like``.
        resize: Scale a mask of another size (nearest neighbour) instead of refusing it.
        threshold: Take the picture as one soft mask: alpha, or brightness without any, above this, 0..254, is object 1.
        invert: Take what is ground for object 1, and the object for ground.
        ids: Of a label map, the objects that are read; others become ground. None for all.
        of: Noun for the frame or photo in messages.
        frame: Of JSON of YouTube-VIS, the frame whose masks are read: the name of its file without the suffix, such as
            ``00012``; None for the first one.
        doubts: Gets a line about what was perhaps meant otherwise.

    Returns:
        uint8, H x W, with at least one object.

    Raises:
        SettingsError: If one of ``height`` and ``width`` is given without the other.
        MaskError: If the file is no mask: unreadable, anti-aliased, resized with interpolation, of several colours, or
            of ids over 254; or several objects are to be inverted.
        MaskSizeError: If it is of another size and ``resize`` is off.
        EmptyMaskError: If it holds no object.

    >>> from persam_vos import demo_clip
    >>> read_mask(demo_clip().mask).shape
    (360, 640)
    """
    path, told = Path(path), [] if doubts is None else doubts
    size = _size(like, height, width)
    check_is_file(path, of)
    if path.suffix.lower() == ".json":
        wanted = None if resize else size
        values = json_values(path, Canvas(size, lambda found: _check_size(path, found, wanted, of), frame), told)
    else:
        values = _read_values(path, threshold, None if resize else size, of, told)
        _refuse_smoothed(path, values, ids)
    told += void_warnings(values)
    if ids is not None:
        values = _only(path, values, ids)
    if size is not None and values.shape != size:
        told += stretch_warnings(values.shape, size, of)
        scaled = Image.fromarray(values if values.dtype == np.uint8 else values.astype(np.int32))
        values = np.asarray(scaled.resize(size[::-1], Image.Resampling.NEAREST))
    return _to_label_map(path, _inverted(path, values) if invert else values, of)


def as_mask(mask: PathLike | npt.ArrayLike, height: int, width: int, *, of: str) -> LabelMap:
    """Return the label map of a frame or photo, given as a path or as an array.

    Args:
        mask: See ``read_mask`` for a path, ``as_label_map`` for an array.
        height: Of the frame, in pixels.
        width: Of the frame, in pixels.
        of: Noun for the frame or photo in messages.

    Returns:
        uint8, H x W, with at least one object.

    Raises:
        MaskError: See there.
    """
    if isinstance(mask, (str, os.PathLike)):
        return read_mask(mask, height=height, width=width, of=of)
    return as_label_map(mask, height, width, of=of)


def _size(like: Frame | Rgb | None, height: int | None, width: int | None) -> tuple[int, int] | None:
    if like is not None:
        height, width = (like.rgb if isinstance(like, Frame) else like).shape[:2]
    if height is not None and width is not None:
        return height, width
    if height is not None or width is not None:
        given, missing = ("width", "height") if height is None else ("height", "width")
        raise SettingsError(f"{given} is given without {missing}; give both, or neither to read a mask of any size")
    return None


def check_is_file(path: Path, of: str = "video") -> None:
    """Refuse a mask that is missing.

    Raises:
        MaskError: If it is no file.
    """
    if not path.is_file():
        fault = "is no file; give" if path.exists() else "no such file; give a mask,"
        raise MaskError(f"{path}: {fault} a PNG of the {of}'s size")


def _read_values(path: Path, threshold: int | None, size: tuple[int, int] | None, of: str, doubts: list[str]) -> Values:
    """Read a picture's values, H x W; its size must be ``size``, (height, width), unless that is None."""
    try:
        # Pillow warns of large pictures; their size is checked here.
        with quiet_warnings(Image.DecompressionBombWarning):
            picture = Image.open(path)
        with picture:
            _check_size(path, picture.size[::-1], size, of)
            _refuse_hostile(path, picture)
            picture.load()
            if threshold is not None:
                return (brightness(picture) > threshold).view(np.uint8)
            return picture_values(path, picture, doubts)
    except MaskError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of nearly any type on damaged files
        raise MaskError(f"{path}: not a readable picture ({reason(error)}); give a PNG of the {of}'s size") from error


def _refuse_hostile(path: Path, picture: Image.Image) -> None:
    refuse_many_scans(path, picture)
    if picture.format in _FORMATS_OF_PROGRAMS:
        raise ValueError(f"it is {picture.format}, which only another program could draw")
    if picture.width * picture.height > MAX_PIXELS:
        raise ValueError(f"it has {picture.height} x {picture.width} pixels, and {MAX_PIXELS:,} are allowed")


def _check_size(path: Path, found: tuple[int, ...], size: tuple[int, int] | None, of: str) -> None:
    if size is not None and found != size:
        (height, width), (rows, columns) = found, size
        raise MaskSizeError(
            f"{path}: mask is {height} x {width}, {of} is {rows} x {columns} (height x width); pass "
            "--resize-mask to scale it, in Python read_mask(..., resize=True)"
        )


def _refuse_smoothed(path: Path, values: Values, ids: Sequence[int] | None) -> None:
    """Raise ``MaskError`` for values that are levels between others; with ``ids``, it is said which of them count."""
    if is_soft(values):
        levels = distinct(values).size
        raise MaskError(
            f"{path}: looks like an anti-aliased mask ({levels} grey levels along the edges of white), not a label "
            "map; pass --mask-threshold 127 to cut it, in Python read_mask(..., threshold=127), or save it without "
            "smoothing"
        )
    rims, bodies = ([], []) if ids is not None else rim_ids(values)
    if rims:
        left = [each for each in bodies if each not in rims] or bodies
        one_of = "id" if len(rims) == 1 else "ids"
        raise MaskError(
            f"{path}: {one_of} {_listed(rims)} surround{'s' * (len(rims) == 1)} others as rims, as in a label map that"
            " was resized with interpolation; resize it with nearest neighbour, or pass --mask-ids"
            f" {_listed(left, ',')} to read these alone, or --mask-ids {_listed(sorted({*rims, *bodies}), ',')} if all"
            " are objects"
        )


def _only(path: Path, values: Values, ids: Sequence[int]) -> Values:
    """Return values in which all but some ids are ground."""
    found = distinct(values).tolist()
    if missing := [each for each in ids if each not in found]:
        raise MaskError(f"{path}: has no object {missing[0]}; its ids are {_listed(found)}")
    chosen: Values = np.where(np.isin(values, list(ids)), values, 0)
    return chosen


def _inverted(path: Path, values: Values) -> Values:
    """Return the ground of a mask of one object as object 1."""
    found = distinct(values).tolist()
    if len(found) > 1:
        raise MaskError(f"{path}: shows {len(found)} objects, and only a mask of one object can be inverted")
    inverted: Values = (values == 0).view(np.uint8)
    return inverted


def _to_label_map(path: Path, values: Values, of: str) -> LabelMap:
    ids = distinct(values)
    height, width = values.shape
    if ids.size == 1 and not 0 < ids[0] <= VOID:
        # White of a picture of more than 8 bits.
        return as_label_map(values != 0, height, width, name=f"{path}: mask", of=of)
    return as_label_map(values, height, width, name=f"{path}: mask", of=of)


def _listed(numbers: Sequence[int], separator: str = ", ") -> str:
    return separator.join(map(str, numbers))
