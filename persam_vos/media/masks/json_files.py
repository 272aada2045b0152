"""Masks in JSON: polygons of LabelMe, polygons or run lengths of COCO and YouTube-VIS."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from persam_vos.errors import MaskError, reason
from persam_vos.masks import VOID, Mask
from persam_vos.media.masks.pictures import Values
from persam_vos.media.masks.run_lengths import mask_of_runs
from persam_vos.media.photo_files import MAX_PIXELS
from persam_vos.quiet import quiet_warnings
from persam_vos.text_files import read_text

_ALLOWED = "give what LabelMe saves, COCO's annotations of one image, or YouTube-VIS's of one video"
# Polygons are drawn so many times larger, so that a pixel is inside if half of it is.
_FINER = 4
_FINE_BYTES = 1 << 26  # of a polygon that is drawn at once
# Of all shapes of a file: 25 masks of 100 million pixels, 240 polygons as large as a frame of 1920 x 1080.
_MOST_DRAWN, _WORK_OF_A_POLYGON = 3_000_000_000, 5
_MAX_SHAPES = VOID - 1
_Shape = tuple[int, Mask]


class _Work:
    """Counts the pixels that are drawn of one file, and ends what would take minutes."""

    def __init__(self) -> None:
        self._pixels = 0

    def add(self, pixels: int) -> None:
        """Count pixels; raises ``ValueError`` if they are too many."""
        self._pixels += pixels
        if self._pixels > _MOST_DRAWN:
            raise ValueError("its shapes are too many for their size: they would take minutes to draw")


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where shapes are drawn.

    Attributes:
        size: (height, width) of the frame, for a file that does not say it; None if that is unknown.
        check: Gets (height, width) that a file says, before anything is drawn, and raises ``MaskError`` if it does not
            fit.
        frame: Of a file that holds masks of a video: the name of the frame's file without its suffix; None for the
            first one.
    """

    size: tuple[int, int] | None
    check: Callable[[tuple[int, int]], None]
    frame: str | None = None
    work: _Work = field(default_factory=_Work, init=False)

    def sized(self, height: Any, width: Any) -> tuple[int, int]:
        """Return the size that a file says, else that of the frame."""
        if height is None or width is None:
            if self.size is None:
                raise ValueError("it says no size of its image")
            return self.size
        rows, columns = int(height), int(width)
        if rows <= 0 or columns <= 0 or rows * columns > MAX_PIXELS:
            raise ValueError(f"its image is {rows} x {columns}; 1 to {MAX_PIXELS:,} pixels are allowed")
        self.check((rows, columns))
        return rows, columns


def json_values(path: Path, canvas: Canvas, doubts: list[str]) -> Values:
    """Return the label map of a JSON file, H x W: the n-th object has the value n, and what is drawn later is in front.

    Parts of one object share their ``group_id`` in LabelMe; in COCO, an object's number is its ``track_id`` if all
    annotations have one.

    Args:
        path: The file.
        canvas: What it is drawn on.
        doubts: Gets a line about what is left out.

    Raises:
        MaskError: If it is no such file, or too large.
    """
    try:
        content = json.loads(read_text(path, encoding="utf-8-sig"))
        labelme = isinstance(content, dict) and "shapes" in content
        found = _labelme(content, canvas, doubts) if labelme else _coco(content, canvas, doubts)
        values: Values | None = None
        for number, mask in found:
            canvas.work.add(mask.size)
            values = np.zeros(mask.shape, np.uint8) if values is None else values
            values[mask] = number
    except MaskError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
        cv2.error,
    ) as error:
        raise MaskError(f"{path}: not readable as a mask ({type(error).__name__}: {error}); {_ALLOWED}") from error
    if values is None:
        raise MaskError(f"{path}: holds no polygon, and no other shape with an area; {_ALLOWED}")
    return values


def _labelme(content: dict[str, Any], canvas: Canvas, doubts: list[str]) -> Iterator[_Shape]:
    height, width = canvas.sized(content.get("imageHeight"), content.get("imageWidth"))
    numbers: dict[Any, int] = {}
    for place, shape in enumerate(content["shapes"]):
        kind, group = shape.get("shape_type") or "polygon", shape.get("group_id")
        if (draw := _LABELME_SHAPES.get(kind)) is None:
            doubts.append(f"a {kind} of {shape.get('label')!r} has no area, and is left out")
            continue
        key = ("alone", place) if group is None else (str(shape.get("label")), str(group))
        number = numbers.setdefault(key, len(numbers) + 1)
        yield _checked_number(number), draw(shape, height, width, canvas.work)


def _of_frame(content: dict[str, Any], canvas: Canvas) -> dict[str, Any]:
    """Return the masks of one frame of YouTube-VIS as COCO."""
    stems = [Path(name).stem for name in content["videos"][0]["file_names"]]
    if canvas.frame is not None and canvas.frame not in stems:
        raise ValueError(f"it holds no frame {canvas.frame}; its frames are {stems[0]} to {stems[-1]}")
    place = 0 if canvas.frame is None else stems.index(canvas.frame)
    own = [each for each in content["annotations"] if each["video_id"] == content["videos"][0]["id"]]
    found = [{**each, "segmentation": each["segmentations"][place]} for each in own]
    if not any(each["segmentation"] for each in found):
        raise ValueError(f"it holds no object in frame {stems[place]}")
    return {"annotations": found}


def _coco(content: Any, canvas: Canvas, doubts: list[str]) -> Iterator[_Shape]:
    if isinstance(content, dict) and "videos" in content:
        content = _of_frame(content, canvas)
    if isinstance(content, dict) and "counts" in content:
        content = {"segmentation": content}
    images = content.get("images", []) if isinstance(content, dict) else []
    annotations = content if isinstance(content, list) else content.get("annotations", [content])
    annotations = [each for each in annotations if each.get("segmentation")]
    of_images = list(dict.fromkeys(each.get("image_id") for each in annotations))
    if len(of_images) > 1:
        order = [each["id"] for each in images if each["id"] in of_images] or of_images
        annotations = [each for each in annotations if each.get("image_id") == order[0]]
        doubts.append(f"holds annotations of {len(of_images)} images, of which those of image {order[0]} are taken")
    image: dict[str, Any] = next(
        (each for each in images if annotations and each["id"] == annotations[0].get("image_id")), {}
    )
    tracks = [each.get("track_id", (each.get("attributes") or {}).get("track_id")) for each in annotations]
    tracked = all(isinstance(each, int) for each in tracks) and len(set(tracks)) == len(tracks)
    for place, annotation in enumerate(annotations):
        number = tracks[place] if tracked else place + 1
        yield _checked_number(number), _segmentation(annotation["segmentation"], image, canvas)


def _segmentation(said: Any, image: dict[str, Any], canvas: Canvas) -> Mask:
    """Return the mask of a COCO segmentation: polygons, or run lengths by column that begin with ground."""
    if not isinstance(said, dict):
        height, width = canvas.sized(image.get("height"), image.get("width"))
        return _filled([np.reshape(np.asarray(each, np.float64), (-1, 2)) for each in said], height, width, canvas.work)
    rows, columns = said["size"]
    height, width = canvas.sized(rows, columns)
    return mask_of_runs(said["counts"], height, width)


def _polygon(shape: dict[str, Any], height: int, width: int, work: _Work) -> Mask:
    return _filled([np.asarray(shape["points"], np.float64)], height, width, work)


def _rectangle(shape: dict[str, Any], height: int, width: int, work: _Work) -> Mask:
    (x0, y0), (x1, y1) = shape["points"]
    return _filled([np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)], height, width, work)


def _circle(shape: dict[str, Any], height: int, width: int, _work: _Work) -> Mask:
    (x, y), edge = shape["points"]
    radius = float(np.hypot(edge[0] - x, edge[1] - y))
    across, down = np.abs(np.arange(width) + 0.5 - x), np.abs(np.arange(height) + 0.5 - y)
    # Half of each row's chord; rows that miss the circle have none.
    halves = np.where(down <= radius, np.sqrt(np.maximum(radius**2 - down**2, 0)), -1)
    return np.asarray(across <= halves[:, None])


def _picture(shape: dict[str, Any], height: int, width: int, _work: _Work) -> Mask:
    """Return the mask of a picture of the part of the frame that begins at the shape's first point."""
    part = _decoded(shape["mask"], height, width)
    left, top = (int(each) for each in shape["points"][0])
    part = part[max(-top, 0) :, max(-left, 0) :]
    left, top = max(left, 0), max(top, 0)
    whole = np.zeros((height, width), np.bool_)
    target = whole[top : top + part.shape[0], left : left + part.shape[1]]
    target[...] = part[: target.shape[0], : target.shape[1]]
    return whole


def _decoded(text: Any, height: int, width: int) -> Mask:
    """Return a PNG in base64 as a mask; it may be twice as high and wide as the frame, over which it may reach."""
    try:
        # Pillow warns of large pictures; their size is checked here.
        with quiet_warnings(Image.DecompressionBombWarning):
            picture = Image.open(io.BytesIO(base64.b64decode(text)), formats=["PNG"])
        with picture:
            if picture.width > 2 * width or picture.height > 2 * height:
                raise ValueError(f"it is {picture.height} x {picture.width}, the image {height} x {width}")
            return np.asarray(picture.convert("L")) > 0
    except Exception as error:  # Pillow's decoders raise errors of nearly any type on damaged files
        raise ValueError(f"a shape's mask cannot be read ({reason(error)})") from error


_LABELME_SHAPES = {"polygon": _polygon, "rectangle": _rectangle, "circle": _circle, "mask": _picture}


def _filled(polygons: Sequence[np.ndarray[Any, np.dtype[np.float64]]], height: int, width: int, work: _Work) -> Mask:
    """Return the pixels that lie inside polygons by half at least: bool, H x W.

    Args:
        polygons: Each N x 2, (x, y) in pixels, where the top left pixel reaches from 0 to 1.
        height: Of the frame.
        width: Of the frame.
        work: Counts what is drawn.
    """
    mask = np.zeros((height, width), np.bool_)
    for points in polygons:
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
            raise ValueError("a polygon needs three points or more, each of two finite numbers")
        points = np.clip(points, -1, (width + 1, height + 1))
        left, top = np.floor(points.min(axis=0)).astype(int).clip(0, (width, height))
        right, bottom = np.ceil(points.max(axis=0)).astype(int).clip(0, (width, height))
        if right <= left or bottom <= top:
            continue
        work.add(int(right - left) * int(bottom - top) * _WORK_OF_A_POLYGON)
        rows = max(_FINE_BYTES // (int(right - left) * _FINER**2), 1)
        for upper in range(int(top), int(bottom), rows):
            here = slice(upper, min(upper + rows, int(bottom))), slice(int(left), int(right))
            mask[here] |= _drawn(points - (left, upper), *mask[here].shape)
    return mask


def _drawn(points: np.ndarray[Any, np.dtype[np.float64]], height: int, width: int) -> Mask:
    """Return the part of a polygon from (0, 0) to (width, height): bool, H x W."""
    fine = np.zeros((height * _FINER, width * _FINER), np.uint8)
    cv2.fillPoly(fine, [np.rint(points * _FINER - 0.5).astype(np.int32)], 255)
    share = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(share >= 128)


def _checked_number(number: int) -> int:
    if not 0 < number <= _MAX_SHAPES:
        raise ValueError(f"it has an object {number}; 1 to {_MAX_SHAPES} are allowed")
    return number
